/**
 * Files on their way down, into the page's own hands: a small one as a Blob, a large one into a file that the owner
 * picked. Both are paused and go on where they were.
 */

import type { Bytes, Geometry } from "../crypto/index.ts";
import type { Clock } from "./clock.ts";
import type { Concurrency } from "./concurrency.ts";
import { Failure } from "./failure.ts";
import type { Grants } from "./grants.ts";
import type { Outcome, Report, Work } from "./job.ts";
import type { Slots } from "./slots.ts";
import { readRange } from "./source.ts";

/** What downloads share. */
export interface DownloadTools {
  slots: Slots;
  concurrency: Concurrency;
  clock: Clock;
}

/** What is known of a file before it is read. */
export interface Described {
  name: string;
  size: number;
}

/** Bytes that are gathered before they are written: each write is a message to another process. */
const WRITE_BYTES = 1024 * 1024;
/** What a part on its way down holds at most, in bytes: what is gathered, and what the streams keep. */
const HELD_BYTES = 4 * 1024 * 1024;

/** A small file as a Blob. */
export class BlobDownload implements Work {
  readonly direction = "down";
  readonly name: string;
  readonly size: number;
  readonly #tools: DownloadTools;
  readonly #grants: Grants;
  #chunks: Bytes[] = [];
  #moved = 0;

  constructor(tools: DownloadTools, grants: Grants, { name, size }: Described) {
    this.#tools = tools;
    this.#grants = grants;
    this.name = name;
    this.size = size;
  }

  moved(): number {
    return this.#moved;
  }

  async run(signal: AbortSignal, report: Report): Promise<Outcome> {
    report.state("running");
    const { slots, clock } = this.#tools;
    const leave = await slots.acquire(this.size, signal);
    try {
      const { blob } = await this.#grants.current(signal);
      const { size } = blob.geometry;
      // An empty file has a chunk to verify, too.
      if (this.#moved < size || size === 0) {
        for await (const bytes of chunksOf(await readRange(this.#grants, this.#moved, size, { clock, signal }))) {
          this.#chunks.push(bytes);
          this.#moved += bytes.length;
        }
      }
      // What a file claims to be is not what this page lets it be.
      const content = new Blob(this.#chunks, { type: "application/octet-stream" });
      this.#chunks = [];
      return { blob: content };
    } finally {
      leave();
    }
  }

  discard(): Promise<void> {
    this.#chunks = [];
    this.#moved = 0;
    return Promise.resolve();
  }
}

/** A range of the file; `reached` is the first byte that is not written. An empty file has an empty one. */
interface Piece {
  reached: number;
  end: number;
  isDone: boolean;
}

/** A file into one that the owner picked: parts at one time, each written where it belongs. */
export class FileDownload implements Work {
  readonly direction = "down";
  readonly name: string;
  readonly size: number;
  readonly #tools: DownloadTools;
  readonly #grants: Grants;
  readonly #handle: FileSystemFileHandle;
  #file: FileSystemWritableFileStream | undefined;
  #pieces: Piece[] | undefined;
  #moved = 0;

  constructor(tools: DownloadTools, grants: Grants, handle: FileSystemFileHandle, { name, size }: Described) {
    this.#tools = tools;
    this.#grants = grants;
    this.#handle = handle;
    this.name = name;
    this.size = size;
  }

  moved(): number {
    return this.#moved;
  }

  async run(signal: AbortSignal, report: Report): Promise<Outcome> {
    report.state("running");
    const { blob } = await this.#grants.current(signal);
    const file = (this.#file ??= await written(this.#handle.createWritable()));
    this.#pieces ??= piecesOf(blob.geometry);
    await this.#copyAll(this.#pieces, file, signal);
    await written(file.close());
    this.#file = undefined;
    return {};
  }

  async discard(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    this.#pieces = undefined;
    this.#moved = 0;
    // One that broke is gone already.
    await file?.abort().catch(() => undefined);
  }

  async #copyAll(pieces: Piece[], file: FileSystemWritableFileStream, signal: AbortSignal): Promise<void> {
    const failed = new AbortController();
    const stop = AbortSignal.any([signal, failed.signal]);
    const copying: Promise<void>[] = [];
    try {
      for (const piece of pieces.filter(({ isDone }) => !isDone)) {
        const leave = await this.#tools.slots.acquire(HELD_BYTES, stop);
        copying.push(this.#copy(piece, file, stop).finally(leave).catch((error: unknown) => { failed.abort(error); }));
      }
    } catch (error) {
      failed.abort(error);
    }
    await Promise.all(copying);
    stop.throwIfAborted();
  }

  async #copy(piece: Piece, file: FileSystemWritableFileStream, signal: AbortSignal): Promise<void> {
    const { clock, concurrency } = this.#tools;
    const begun = clock.now();
    const bytes = piece.end - piece.reached;
    // Stopped after its last byte was written.
    if (bytes === 0 && piece.end > 0) {
      piece.isDone = true;
      return;
    }
    const onFailure = (): void => { concurrency.failed(clock.now()); };
    // One buffer for the whole piece: a Blob for each write would lie in memory until the browser collects it.
    const buffer = new Uint8Array(Math.min(WRITE_BYTES, bytes));
    let held = 0;
    const write = async (): Promise<void> => {
      if (held === 0) return;
      await written(file.write({ type: "write", position: piece.reached, data: buffer.subarray(0, held) }));
      piece.reached += held;
      this.#moved += held;
      held = 0;
    };
    const stream = await readRange(this.#grants, piece.reached, piece.end, { clock, signal, onFailure });
    for await (const chunk of chunksOf(stream)) {
      for (let from = 0; from < chunk.length;) {
        const fits = chunk.subarray(from, from + buffer.length - held);
        buffer.set(fits, held);
        held += fits.length;
        from += fits.length;
        if (held === buffer.length) await write();
      }
    }
    await write();
    piece.isDone = true;
    concurrency.succeeded(bytes, clock.now() - begun, clock.now());
  }
}

/** The chunks of a stream; not every browser lets a stream be iterated itself. */
async function* chunksOf(stream: ReadableStream<Bytes>): AsyncGenerator<Bytes, void> {
  const reader = stream.getReader();
  try {
    for (;;) {
      const { value } = await reader.read();
      if (value === undefined) return;
      yield value;
    }
  } finally {
    // Without effect on a stream that has ended.
    await reader.cancel().catch(() => undefined);
  }
}

function piecesOf(geometry: Geometry): Piece[] {
  return Array.from({ length: geometry.partCount }, (_, part) => {
    const reached = geometry.plainOffset(part);
    return { reached, end: reached + geometry.plainLength(part), isDone: false };
  });
}

/** Why a file could not be written, in its owner's words. */
async function written<Result>(writing: Promise<Result>): Promise<Result> {
  try {
    return await writing;
  } catch (error) {
    const isFull = error instanceof DOMException && error.name === "QuotaExceededError";
    const message = isFull ? "There is no room for the file on this machine." : "The picked file can't be written.";
    const next = isFull ? "Make room, then begin again." : "Pick another place, then begin again.";
    throw new Failure("TARGET_UNWRITABLE", message, next, "restart");
  }
}
