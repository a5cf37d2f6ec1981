/** What a page holds in memory. */

import { readFile, readdir } from "node:fs/promises";

import type { CDPSession, Page } from "playwright-core";

/** What a page holds in memory, in bytes: its JavaScript heap, and its whole process with workers and buffers. */
export class Memory {
  readonly #page: CDPSession;
  readonly #renderers: () => Promise<number>;
  heapPeak = 0;
  processPeak = 0;
  #timer: ReturnType<typeof setInterval> | undefined;

  private constructor(page: CDPSession, renderers: () => Promise<number>) {
    this.#page = page;
    this.#renderers = renderers;
  }

  /** Begins to watch. */
  static async watch(page: Page): Promise<Memory> {
    const session = await page.context().newCDPSession(page);
    await session.send("Performance.enable");
    const parent = await rendererParent();
    const memory = new Memory(session, () => residentBytes(parent));
    await memory.#sample();
    memory.#timer = setInterval(() => void memory.#sample().catch(() => undefined), 200);
    return memory;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #sample(): Promise<void> {
    const { metrics } = await this.#page.send("Performance.getMetrics");
    const heap = metrics.find(({ name }) => name === "JSHeapUsedSize")?.value ?? 0;
    this.heapPeak = Math.max(this.heapPeak, heap);
    this.processPeak = Math.max(this.processPeak, await this.#renderers());
  }
}

/** The pids of renderers below this process: Chromium marks them in their command line. */
async function rendererParent(): Promise<number[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map(Number);
  const parents = new Map<number, number>();
  const renderers: number[] = [];
  for (const pid of pids) {
    const [stat, line] = await Promise.all([read(`/proc/${pid}/stat`), read(`/proc/${pid}/cmdline`)]);
    parents.set(pid, Number(stat.split(") ")[1]?.split(" ")[1] ?? 0));
    if (line.includes("--type=renderer")) renderers.push(pid);
  }
  const isOurs = (pid: number): boolean => pid === process.pid || (pid > 1 && isOurs(parents.get(pid) ?? 0));
  return renderers.filter(isOurs);
}

async function residentBytes(pids: number[]): Promise<number> {
  const sizes = await Promise.all(pids.map(async (pid) => {
    const kib = /VmRSS:\s+(\d+)/.exec(await read(`/proc/${pid}/status`))?.[1];
    return Number(kib ?? 0) * 1024;
  }));
  return Math.max(0, ...sizes);
}

async function read(path: string): Promise<string> {
  return readFile(path, "utf8").catch(() => "");
}
