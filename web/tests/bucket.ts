/** A server that answers ranges of one object as a bucket does, and remembers what was asked for. */

import { once } from "node:events";
import { type Server, createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** The server. */
export class Bucket {
  /** The ranges that were asked for, each as [start, end). */
  readonly asked: [number, number][] = [];
  readonly #server: Server;

  private constructor(object: Uint8Array) {
    this.#server = createServer((request, response) => {
      const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "") ?? [];
      const [start, end] = [Number(first), Number(last) + 1];
      this.asked.push([start, end]);
      response.writeHead(206, { "content-range": `bytes ${start}-${end - 1}/${object.length}` });
      response.end(object.subarray(start, end));
    });
  }

  static async start(object: Uint8Array): Promise<Bucket> {
    const bucket = new Bucket(object);
    bucket.#server.listen(0, "127.0.0.1");
    await once(bucket.#server, "listening");
    return bucket;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/object`;
  }

  stop(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}
