/** A worker of the pool: takes tasks, one message each, and answers each with one message. */

import { OpenError } from "./error.ts";
import { type PartTask, doPartTask } from "./part-work.ts";

/** What the pool posts. */
export type ToWorker = { readonly id: number; readonly task: PartTask } | { readonly id: number; readonly cancel: true };

/** What the worker answers. An `OpenError` would lose its class on the way. */
export type FromWorker =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly refused: true }
  | { readonly id: number; readonly error: unknown };

const running = new Map<number, AbortController>();

addEventListener("message", ({ data }: MessageEvent<ToWorker>) => {
  if ("cancel" in data) running.get(data.id)?.abort();
  else void answer(data.id, data.task);
});

async function answer(id: number, task: PartTask): Promise<void> {
  const cancel = new AbortController();
  running.set(id, cancel);
  let message: FromWorker;
  try {
    message = { id, result: await doPartTask(task, cancel.signal) };
  } catch (error) {
    message = error instanceof OpenError ? { id, refused: true } : { id, error };
  }
  running.delete(id);
  postMessage(message);
}
