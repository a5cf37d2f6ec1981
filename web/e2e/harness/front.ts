/**
 * The vault's origin. Tests of the library get it in a page without a view, under a policy like the app's; tests of the app
 * get all of it from the vault itself.
 */

import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { Agent, type IncomingMessage, type Server, type ServerResponse, createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";

const LIBRARY = fileURLToPath(new URL("../../dist/library/", import.meta.url));
const APP = fileURLToPath(new URL("../../dist/app/", import.meta.url));

/** What stands at the origin. */
export type Shown = "library" | "app";

const PAGE = `<!doctype html><meta charset="utf-8"><title>Coffer</title>
<input type="file" id="file" multiple><script type="module" src="/page.js"></script>`;

/** Hands the library to the tests, which run in the page. */
const SCRIPT = `import * as coffer from "/transfer.js"; import * as sealing from "/crypto.js";
Object.assign(window, { transfers: new coffer.Transfers(), sealing, coffer });`;

/** The front. */
export class Front {
  readonly #server: Server;
  readonly #agent = new Agent({ keepAlive: true });
  #vault = 0;
  #store = "";
  readonly #shown: Shown;

  private constructor(server: Server, shown: Shown) {
    this.#server = server;
    this.#shown = shown;
  }

  static async start(shown: Shown): Promise<Front> {
    const server = createServer();
    const front = new Front(server, shown);
    server.on("request", (incoming, outgoing) => { void front.#serve(incoming, outgoing); });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return front;
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Where the vault listens, and the origin that its pages may talk to. */
  lead(vault: number, store: string): void {
    this.#vault = vault;
    this.#store = store;
  }

  stop(): void {
    this.#server.close();
    this.#server.closeAllConnections();
    this.#agent.destroy();
  }

  async #serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const { pathname } = new URL(incoming.url ?? "", this.origin);
    if (this.#shown === "app") this.#forward(incoming, outgoing);
    else if (pathname === "/") this.#send(outgoing, "text/html; charset=utf-8", PAGE);
    else if (pathname === "/page.js") this.#send(outgoing, "text/javascript", SCRIPT);
    else if (pathname === "/sw.js") await this.#file(APP + "sw.js", outgoing);
    else if (/^\/(assets\/)?[\w.-]+\.js$/.test(pathname)) await this.#file(LIBRARY + pathname.slice(1), outgoing);
    else this.#forward(incoming, outgoing);
  }

  async #file(path: string, outgoing: ServerResponse): Promise<void> {
    try {
      this.#send(outgoing, "text/javascript", await readFile(path));
    } catch {
      outgoing.writeHead(404).end();
    }
  }

  #send(outgoing: ServerResponse, type: string, body: string | Buffer): void {
    const policy =
      `default-src 'none'; script-src 'self'; worker-src 'self'; connect-src 'self' ${this.#store}; frame-src 'self'; ` +
      "media-src 'self'; img-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    const headers = { "content-type": type, "content-security-policy": policy, "x-content-type-options": "nosniff", "cache-control": "no-store" };
    outgoing.writeHead(200, headers).end(body);
  }

  #forward(incoming: IncomingMessage, outgoing: ServerResponse): void {
    const { method, url: path, headers } = incoming;
    const onward = request({ agent: this.#agent, host: "127.0.0.1", port: this.#vault, method, path, headers, setHost: false });
    onward.on("error", () => incoming.socket.destroy());
    outgoing.on("close", () => { if (!outgoing.writableFinished) onward.destroy(); });
    onward.on("response", (answer) => {
      outgoing.writeHead(answer.statusCode ?? 0, answer.rawHeaders);
      answer.on("error", () => incoming.socket.destroy());
      answer.pipe(outgoing);
    });
    incoming.pipe(onward);
  }
}
