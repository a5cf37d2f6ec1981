/** A TCP proxy that counts what passes. */

import { once } from "node:events";
import { type AddressInfo, type Server, type Socket, connect, createServer } from "node:net";

/** The proxy in front of one port. */
export class Counter {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #bytes = 0;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(target: number): Promise<Counter> {
    const server = createServer();
    const counter = new Counter(server);
    server.on("connection", (near) => {
      const far = connect(target, "127.0.0.1");
      for (const [from, to] of [[near, far], [far, near]] as const) {
        counter.#sockets.add(from);
        from.setNoDelay();
        from.on("data", (data) => { counter.#bytes += data.length; });
        from.on("error", () => to.destroy());
        from.on("close", () => {
          counter.#sockets.delete(from);
          to.destroy();
        });
        from.pipe(to);
      }
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return counter;
  }

  /** Where it listens. */
  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** The bytes that passed in both directions. */
  get bytes(): number {
    return this.#bytes;
  }

  stop(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}
