/**
 * A front of a real bucket that knows nothing of SHA-256 checksums, as some S3-compatibles do not.
 *
 * Its keeper has the bucket's keys: a request that names such a checksum is signed anew without it. All others pass as they
 * came, their signatures and their Content-MD5 included.
 */

import { once } from "node:events";
import { type IncomingMessage, type Server, type ServerResponse, createServer, request } from "node:http";
import type { AddressInfo } from "node:net";

import { type Store, presign } from "./presign.ts";

const SIGNATURE = /^(authorization|x-amz-date|x-amz-content-sha256|host|content-length|transfer-encoding)$/;

/** The front. */
export class Forgetful {
  readonly #server: Server;
  readonly #store: Store;

  private constructor(server: Server, store: Store) {
    this.#server = server;
    this.#store = store;
  }

  static async start(store: Store): Promise<Forgetful> {
    const server = createServer();
    const front = new Forgetful(server, store);
    server.on("request", (incoming, outgoing) => { void front.#serve(incoming, outgoing); });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return front;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  stop(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const pieces: Buffer[] = [];
    for await (const piece of incoming as AsyncIterable<Buffer>) pieces.push(piece);
    const sent = Buffer.concat(pieces);
    const { method = "", url: path = "", headers } = incoming;
    const body = method === "POST" ? Buffer.from(sent.toString().replace(/<ChecksumSHA256>[^<]*<\/ChecksumSHA256>/g, "")) : sent;
    const known = Object.entries(headers).filter(([name, value]) => name !== "x-amz-checksum-sha256" && value !== "SHA256");
    const isNamed = known.length < Object.keys(headers).length || body.length !== sent.length;
    const kept = known.filter(([name]) => !isNamed || !SIGNATURE.test(name));
    const options = { method, headers: Object.fromEntries(kept), setHost: isNamed };
    const onward = request(isNamed ? this.#signed(method, path) : new URL(path, this.#store.endpoint), options);
    onward.on("error", () => incoming.socket.destroy());
    onward.on("response", (answer) => {
      outgoing.writeHead(answer.statusCode ?? 0, answer.rawHeaders);
      answer.pipe(outgoing);
    });
    onward.end(body);
  }

  #signed(method: string, path: string): string {
    const { pathname, searchParams } = new URL(path, this.#store.endpoint);
    const query = Object.fromEntries([...searchParams].filter(([name]) => !name.startsWith("X-Amz-")));
    return presign(this.#store, method, pathname.slice(`/${this.#store.bucket}/`.length), query);
  }
}
