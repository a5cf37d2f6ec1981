/** Programs that a test starts, and that end with it. */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";

/** The program under test: the one of the development build, unless `COFFER_BIN` names another. */
export const PROGRAM = process.env.COFFER_BIN ?? fileURLToPath(new URL("../../../target/debug/coffer", import.meta.url));

/** How long a program may take to be there, in milliseconds. */
const START_MS = 60_000;

/** What a failure shows of a program's output, in characters. */
const MOST_OUTPUT = 4_000;

/** A running program. */
export class Program {
  readonly #child: ChildProcess;
  #output = "";

  constructor(command: string, args: string[], options: { cwd: string; env?: Record<string, string> }) {
    const env = { PATH: process.env.PATH ?? "", ...options.env };
    this.#child = spawn(command, args, { cwd: options.cwd, env, stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => { this.#output += text; });
    }
  }

  /** Everything it has printed. */
  get output(): string {
    return this.#output;
  }

  /** Its id. */
  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Waits until `isThere` says so; a program that ends meanwhile is a failure. */
  async untilThere(isThere: () => Promise<boolean>): Promise<void> {
    const end = Date.now() + START_MS;
    while (!(await isThere().catch(() => false))) {
      if (this.#child.exitCode !== null || Date.now() > end) throw new Error(`the program is not there: ${this.#output.slice(-MOST_OUTPUT)}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Waits for its end; any but a good one is a failure. */
  async untilDone(): Promise<void> {
    if (this.#child.exitCode === null) await once(this.#child, "exit");
    if (this.#child.exitCode !== 0) throw new Error(`the program failed: ${this.#output.slice(-MOST_OUTPUT)}`);
  }

  /** Ends it at once. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await ended;
  }
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("a TCP server has a port");
  return address.port;
}
