/**
 * A proxy in front of the bucket that does to a browser's requests what networks do, and watches what passes.
 *
 * Requests go on as they came, so that their signatures hold.
 */

import { once } from "node:events";
import { Agent, type IncomingMessage, type Server, type ServerResponse, createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { Transform } from "node:stream";

import { Ledger } from "./ledger.ts";

/** What happens to a request. */
export type Fault =
  /** Goes on after so many milliseconds. */
  | { kind: "delay"; ms: number }
  /** Is answered, but the answer never arrives: the connection ends. */
  | { kind: "lose answer" }
  /** Is never answered. */
  | { kind: "silence" }
  /** The connection breaks after so many bytes of the body, in either direction. */
  | { kind: "reset"; afterBytes: number }
  /** A byte of the body is another one when it arrives. */
  | { kind: "corrupt" }
  /** Gets this answer instead. */
  | { kind: "status"; status: number; code: string; readable: boolean; retryAfterSecs?: number };

/** A request that a fault may meet. */
export interface Passing {
  method: string;
  /** Object and part. */
  place: string;
  /** Bytes of the range asked for, where it is a GET with one. */
  range: string | undefined;
  /** How many requests of this method came for this place before. */
  earlier: number;
}

/** The proxy. */
export class Faults {
  readonly ledger = new Ledger();
  /** Every request but preflights, in order. */
  readonly passed: Passing[] = [];
  /** Which fault meets a request; none without. */
  plan: (passing: Passing) => Fault | undefined = () => undefined;
  /** Bytes of all answers' bodies. */
  served = 0;
  /** What becomes of an answer's headers, names and values in turn. */
  rewrite: (headers: string[]) => string[] = (headers) => headers;
  /** How many faults there were. */
  count = 0;
  readonly #server: Server;
  readonly #agent = new Agent({ keepAlive: true });
  readonly #target: number;

  private constructor(server: Server, target: number) {
    this.#server = server;
    this.#target = target;
  }

  static async start(target: number): Promise<Faults> {
    const server = createServer();
    const faults = new Faults(server, target);
    server.on("request", (incoming, outgoing) => { void faults.#serve(incoming, outgoing); });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return faults;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  stop(): void {
    this.#server.close();
    this.#server.closeAllConnections();
    this.#agent.destroy();
  }

  /** No more faults, and nothing remembered. */
  clear(): void {
    this.plan = () => undefined;
    this.passed.length = 0;
    this.served = 0;
    this.count = 0;
  }

  async #serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const fault = incoming.method === "OPTIONS" ? undefined : this.#judge(incoming);
    if (fault !== undefined) this.count += 1;
    if (fault?.kind === "silence") {
      incoming.resume();
      return;
    }
    if (fault?.kind === "status") {
      this.#answer(fault, incoming, outgoing);
      return;
    }
    if (fault?.kind === "delay") await new Promise((resolve) => setTimeout(resolve, fault.ms));
    this.#forward(incoming, outgoing, fault);
  }

  #judge(incoming: IncomingMessage): Fault | undefined {
    const method = incoming.method ?? "";
    const place = placeOf(incoming);
    const earlier = this.passed.filter((one) => one.method === method && one.place === place).length;
    const passing = { method, place, range: incoming.headers.range, earlier };
    this.passed.push(passing);
    return this.plan(passing);
  }

  #forward(incoming: IncomingMessage, outgoing: ServerResponse, fault: Fault | undefined): void {
    const { method, url: path, headers } = incoming;
    const cut = fault?.kind === "reset" ? fault.afterBytes : Infinity;
    const onward = request({ agent: this.#agent, host: "127.0.0.1", port: this.#target, method, path, headers, setHost: false });
    const breakOff = (): void => {
      onward.destroy();
      incoming.socket.destroy();
    };
    onward.on("error", breakOff);
    outgoing.on("close", () => { if (!outgoing.writableFinished) onward.destroy(); });
    const place = placeOf(incoming);
    // What the vault writes to get to know its bucket is sealed by nobody and the same each time.
    const heard = method === "PUT" && !place.includes("/probe/") ? this.ledger.message(place) : undefined;
    let sent = 0;
    incoming.on("data", (bytes: Buffer) => {
      heard?.bytes(bytes);
      sent += bytes.length;
      if (sent > cut) breakOff();
    });
    incoming.on("end", () => heard?.end());
    if (fault?.kind === "corrupt") incoming.pipe(corrupted()).pipe(onward);
    else incoming.pipe(onward);
    onward.on("response", (answer) => {
      if (fault?.kind === "lose answer") {
        answer.resume().on("end", breakOff);
        return;
      }
      outgoing.writeHead(answer.statusCode ?? 0, this.rewrite(answer.rawHeaders));
      let received = 0;
      answer.on("data", (bytes: Buffer) => {
        received += bytes.length;
        this.served += bytes.length;
        if (received > cut) breakOff();
      });
      answer.on("error", breakOff);
      answer.pipe(outgoing);
    });
  }

  #answer(fault: Extract<Fault, { kind: "status" }>, incoming: IncomingMessage, outgoing: ServerResponse): void {
    const headers: Record<string, string> = { "content-type": "application/xml" };
    if (fault.readable) {
      headers["access-control-allow-origin"] = incoming.headers.origin ?? "*";
      headers["access-control-expose-headers"] = "Retry-After";
    }
    if (fault.retryAfterSecs !== undefined) headers["retry-after"] = String(fault.retryAfterSecs);
    const answer = (): void => {
      if (outgoing.headersSent) return;
      outgoing.writeHead(fault.status, headers).end(`<?xml version="1.0"?><Error><Code>${fault.code}</Code></Error>`);
    };
    // As real stores do, it does not wait for the body's end.
    incoming.once("data", answer).once("end", answer).resume();
  }
}

/** Lets everything through but the first byte. */
function corrupted(): Transform {
  let isFirst = true;
  return new Transform({
    transform(bytes: Buffer, _, pass): void {
      const other = Buffer.from(bytes);
      if (isFirst) other[0] = (other[0] ?? 0) ^ 1;
      isFirst = false;
      pass(null, other);
    },
  });
}

function placeOf({ url = "" }: IncomingMessage): string {
  const { pathname, searchParams } = new URL(url, "http://bucket");
  const part = searchParams.get("partNumber");
  return part === null ? pathname : `${pathname}#${part}`;
}
