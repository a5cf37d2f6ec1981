/**
 * Sealing and opening of parts in workers: the page neither holds the bytes nor waits for the arithmetic.
 *
 * Tasks wait in order, at most `MAX_WAITING` of them; each worker has `TASKS_PER_WORKER` under way, so that it reads the
 * next part while it seals this one. Nothing here knows of networks.
 */

import type { Bytes } from "./bytes.ts";
import type { MessageKey } from "./cobblestone.ts";
import type { BlobShape, PartHashes } from "./content.ts";
import { OpenError } from "./error.ts";
import type { PartResults, PartTask, SealedBody } from "./part-work.ts";
import type { FromWorker, ToWorker } from "./part.worker.ts";

/** More workers than this only take memory: two parts each. */
export const MAX_WORKERS = 8;
/** Tasks under way in one worker. */
export const TASKS_PER_WORKER = 2;
/** Tasks that wait; one more is refused. */
export const MAX_WAITING = 256;

/** How to seal. */
export interface SealOptions {
  /** Whether MD5 of the sealed bytes is wanted too. */
  readonly md5?: boolean;
  readonly signal?: AbortSignal | undefined;
}

interface Job {
  readonly task: PartTask;
  readonly signal: AbortSignal | undefined;
  readonly settle: (answer: FromWorker) => void;
}

interface Thread {
  readonly worker: Worker;
  readonly jobs: Map<number, Job>;
}

/** Workers for parts. They start when there is work for them. */
export class PartPool {
  readonly #limit: number;
  readonly #threads = new Set<Thread>();
  readonly #waiting: Job[] = [];
  #lastId = 0;
  #closed = false;

  constructor(workers = Math.min(MAX_WORKERS, navigator.hardwareConcurrency)) {
    this.#limit = Math.max(1, workers);
  }

  /** Seals a part of `file` under a fresh salt. The file **must** be as long as the blob; the worker reads the part. */
  seal(key: MessageKey, blob: BlobShape, part: number, file: Blob, options: SealOptions = {}): Promise<SealedBody> {
    const { md5 = false, signal } = options;
    return this.#run({ kind: "seal", ...common(key, blob, part), file, md5 }, signal);
  }

  /** The hashes that a part of `file` has under a salt that was already used; see `hashPart`. */
  hash(
    key: MessageKey,
    blob: BlobShape,
    part: number,
    salt: Bytes,
    file: Blob,
    signal?: AbortSignal,
  ): Promise<PartHashes> {
    return this.#run({ kind: "hash", ...common(key, blob, part), file, salt }, signal);
  }

  /** Opens a whole part that was sealed with the pinned salt. */
  open(key: MessageKey, blob: BlobShape, part: number, salt: Bytes, sealed: Blob, signal?: AbortSignal): Promise<Blob> {
    return this.#run({ kind: "open", ...common(key, blob, part), sealed, salt }, signal);
  }

  /** Ends all workers. What was under way or waits is refused as aborted. */
  close(): void {
    this.#closed = true;
    for (const thread of this.#threads) this.#end(thread, new DOMException("the pool was closed", "AbortError"));
    const waiting = this.#waiting.splice(0);
    for (const job of waiting) job.settle({ id: 0, error: new DOMException("the pool was closed", "AbortError") });
  }

  #run<Task extends PartTask>(task: Task, signal?: AbortSignal): Promise<PartResults[Task["kind"]]> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      if (this.#closed) throw new DOMException("the pool was closed", "AbortError");
      if (this.#waiting.length >= MAX_WAITING) throw new RangeError(`more than ${MAX_WAITING} parts wait`);
      const cancelled = (): void => {
        this.#cancel(job);
        reject(signal?.reason as Error);
      };
      const settle = (answer: FromWorker): void => {
        signal?.removeEventListener("abort", cancelled);
        // The worker answers a task by the result of its kind.
        if ("result" in answer) resolve(answer.result as PartResults[Task["kind"]]);
        else reject("refused" in answer ? new OpenError() : (answer.error as Error));
      };
      const job: Job = { task, signal, settle };
      signal?.addEventListener("abort", cancelled, { once: true });
      this.#waiting.push(job);
      this.#dispatch();
    });
  }

  #dispatch(): void {
    while (this.#waiting.length > 0) {
      const thread = this.#freeThread();
      const job = thread && this.#waiting.shift();
      if (!job) return;
      this.#lastId += 1;
      thread.jobs.set(this.#lastId, job);
      thread.worker.postMessage({ id: this.#lastId, task: job.task } satisfies ToWorker);
    }
  }

  /** The thread with the least to do; a new one where all have something and one more may be. */
  #freeThread(): Thread | undefined {
    const [least] = Array.from(this.#threads).sort((a, b) => a.jobs.size - b.jobs.size);
    if (least?.jobs.size === 0) return least;
    if (this.#threads.size < this.#limit) return this.#start();
    return least && least.jobs.size < TASKS_PER_WORKER ? least : undefined;
  }

  #start(): Thread {
    const worker = new Worker(new URL("./part.worker.ts", import.meta.url), { type: "module" });
    const thread: Thread = { worker, jobs: new Map() };
    worker.addEventListener("message", ({ data }: MessageEvent<FromWorker>) => {
      const job = thread.jobs.get(data.id);
      thread.jobs.delete(data.id);
      job?.settle(data);
      this.#dispatch();
    });
    worker.addEventListener("error", (event) => {
      this.#end(thread, new Error(`a worker failed: ${event.message || "it did not start"}`));
    });
    this.#threads.add(thread);
    return thread;
  }

  /** Ends a thread and refuses what it was doing; the next task starts another. */
  #end(thread: Thread, error: Error): void {
    thread.worker.terminate();
    this.#threads.delete(thread);
    for (const [id, job] of thread.jobs) job.settle({ id, error });
    thread.jobs.clear();
    if (!this.#closed) this.#dispatch();
  }

  /** Forgets a job that waits; tells the worker of one that is under way, which then answers soon. */
  #cancel(job: Job): void {
    const place = this.#waiting.indexOf(job);
    if (place >= 0) this.#waiting.splice(place, 1);
    for (const { worker, jobs } of this.#threads) {
      for (const [id, running] of jobs) {
        if (running === job) worker.postMessage({ id, cancel: true } satisfies ToWorker);
      }
    }
  }
}

type Common = Pick<PartTask, "key" | "vaultId" | "blobId" | "k" | "size" | "part">;

function common(key: MessageKey, { vaultId, blobId, geometry }: BlobShape, part: number): Common {
  return { key, vaultId, blobId, k: geometry.k, size: geometry.size, part };
}
