/**
 * A file on its way up: begun at the vault, sealed and put part by part, completed.
 *
 * Guarantees: the file is read by slices alone; what is sealed is sent again as the same bytes until it has arrived or
 * is given up, and everything that is read again is sealed under a new salt; a part that arrived in an earlier life of
 * the page counts only if the file still has the same bytes there. It knows neither the page nor other transfers.
 */

import { Problem } from "../api/index.ts";
import {
  type BlobShape, type Bytes, type DataKey, type PartPool, contentHash, fromHex, importDataKey, sealedLength, shapeOf, toHex,
} from "../crypto/index.ts";
import { Courier, type CourierTools, Unusable } from "./courier.ts";
import type { Draft, NewUpload } from "./drafts.ts";
import { Failure } from "./failure.ts";
import type { Outcome, Report, Work } from "./job.ts";
import { alone } from "./lock.ts";
import type { Slots } from "./slots.ts";

/** What uploads share. */
export interface UploadTools extends CourierTools {
  pool: PartPool;
  slots: Slots;
}

/** Where a file goes: a new one in a folder, or a new version of one that is there. */
export type Target =
  | { parent: string; name?: string; onConflict?: "fail" | "replace" | "keep_both" }
  | { file: string; ifMatch?: string };

/** An upload begins anew at most so often by itself. */
const MOST_BEGINNINGS = 3;
/** The vault may miss parts that it confirmed at most so often. */
const MOST_ROUNDS = 5;
/** How long freeing an upload may take, in milliseconds. */
const DISCARD_MS = 60_000;

/** A part that has arrived and is confirmed. */
interface Arrived {
  salt: string;
  plainSha256: Bytes;
}

/** A part that has arrived; the vault has to hear of it. */
interface Sent extends Arrived {
  confirmed: () => Promise<void>;
}

/** An upload, as sealing wants it. */
interface Sealing {
  draft: Draft;
  blob: BlobShape;
  key: DataKey;
}

/** The work of an upload. `id` is given where it has begun in an earlier life of the page. */
export class Upload implements Work {
  readonly direction = "up";
  readonly #tools: UploadTools;
  readonly #target: Target;
  readonly #arrived = new Map<number, Arrived>();
  readonly #moving = new Map<number, number>();
  #file: File;
  #id: string | undefined;
  #beginning = crypto.randomUUID();

  constructor(tools: UploadTools, file: File, target: Target, id?: string) {
    this.#tools = tools;
    this.#file = file;
    this.#target = target;
    this.#id = id;
  }

  get name(): string {
    return ("name" in this.#target ? this.#target.name : undefined) ?? this.#file.name;
  }

  get size(): number {
    return this.#file.size;
  }

  /** Takes the file as its owner picked it again; all that has arrived is compared with it. */
  pick(file: File): void {
    this.#file = file;
    this.#arrived.clear();
  }

  moved(): number {
    let bytes = 0;
    for (const moving of this.#moving.values()) bytes += moving;
    return bytes;
  }

  async run(signal: AbortSignal, report: Report): Promise<Outcome> {
    for (let beginnings = 1; ; beginnings += 1) {
      const fresh = this.#id === undefined ? await this.#begin(signal) : undefined;
      const id = (this.#id ??= fresh?.id ?? "");
      try {
        return { node: await alone(id, () => this.#advance(id, fresh, signal, report)) };
      } catch (error) {
        if (!(error instanceof Unusable)) throw error;
        if (beginnings >= MOST_BEGINNINGS) throw neverSettles(error.isOtherFile);
        if (error.isOtherFile) report.notice("FILE_CHANGED");
        await this.discard();
      }
    }
  }

  async discard(): Promise<void> {
    const id = this.#id;
    this.#forget();
    if (id !== undefined) await this.#tools.drafts.cancel(id, AbortSignal.timeout(DISCARD_MS));
  }

  #forget(): void {
    this.#id = undefined;
    this.#beginning = crypto.randomUUID();
    this.#arrived.clear();
    this.#moving.clear();
  }

  #begin(signal: AbortSignal): Promise<Draft> {
    return this.#tools.drafts.begin(wantedOf(this.#file, this.#target), this.#beginning, signal);
  }

  async #advance(id: string, fresh: Draft | undefined, signal: AbortSignal, report: Report): Promise<NonNullable<Outcome["node"]>> {
    const { drafts } = this.#tools;
    for (let rounds = 1; ; rounds += 1) {
      const draft = rounds === 1 && fresh !== undefined ? fresh : await drafts.draft(id, signal);
      if (draft.size !== this.size) throw new Unusable(true);
      const sealing = await sealingOf(draft);
      await this.#check(sealing, signal, report);
      report.state("running");
      await this.#send(sealing, signal);
      try {
        return await drafts.complete(id, await this.#contentHash(sealing), signal);
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        if (error.code === "UPLOAD_DAMAGED") throw new Unusable(false);
        // Another machine sends the same parts, or the vault lost something: what is confirmed is looked up again.
        if (error.code !== "UPLOAD_INCOMPLETE" || rounds >= MOST_ROUNDS) throw error;
      }
    }
  }

  /** Compares what has arrived with the file, as far as this page has not sent it itself. */
  async #check(sealing: Sealing, signal: AbortSignal, report: Report): Promise<void> {
    const { draft, blob: { geometry } } = sealing;
    const confirmed = new Map(draft.parts.map((part) => [part.part, part]));
    this.#moving.clear();
    for (const [part, { salt }] of this.#arrived) {
      if (confirmed.get(part)?.salt === salt) confirmed.delete(part);
      else this.#arrived.delete(part);
    }
    for (const part of this.#arrived.keys()) this.#moving.set(part, geometry.plainLength(part));
    if (confirmed.size === 0) return;
    report.state("checking");
    await this.#each([...confirmed.values()], ({ part }) => geometry.plainLength(part), signal, async (known, leave, stop) => {
      try {
        const plainSha256 = await this.#rehash(sealing, known, stop);
        this.#arrived.set(known.part, { salt: known.salt, plainSha256 });
        this.#moving.set(known.part, geometry.plainLength(known.part));
      } finally {
        leave();
      }
    });
  }

  async #rehash(sealing: Sealing, known: Draft["parts"][number], signal: AbortSignal): Promise<Bytes> {
    const { key, blob } = sealing;
    const salt = fromHex(known.salt);
    const found = await readable(this.#tools.pool.hash(key, blob, known.part, salt, this.#file, signal), signal);
    if (toHex(found.sha256) !== known.sha256) throw new Unusable(true);
    return found.plainSha256;
  }

  async #send(sealing: Sealing, signal: AbortSignal): Promise<void> {
    const { geometry } = sealing.blob;
    const missing = Array.from({ length: geometry.partCount }, (_, part) => part).filter((part) => !this.#arrived.has(part));
    const bytesOf = (part: number): number => sealedLength(geometry.plainLength(part));
    let left = missing.length;
    const stopped = new AbortController();
    const courier = new Courier(this.#tools, sealing.draft, AbortSignal.any([signal, stopped.signal]));
    try {
      await this.#each(missing, bytesOf, signal, async (part, leave, stop) => {
        const sent = await this.#sendPart(sealing, part, courier, stop).finally(leave);
        left -= 1;
        if (left === 0) courier.hurry();
        await sent.confirmed();
        this.#arrived.set(part, { salt: sent.salt, plainSha256: sent.plainSha256 });
      });
    } finally {
      stopped.abort();
    }
  }

  /** Seals a part and brings it to the bucket. What it holds of the part ends with it. */
  async #sendPart(sealing: Sealing, part: number, courier: Courier, signal: AbortSignal): Promise<Sent> {
    const { key, blob, draft } = sealing;
    const length = blob.geometry.plainLength(part);
    const moved = (bytes: number): void => { this.#moving.set(part, Math.min(bytes, length)); };
    try {
      const options = { md5: draft.checksum === "md5", signal };
      const sealed = await readable(this.#tools.pool.seal(key, blob, part, this.#file, options), signal);
      const confirmed = await courier.deliver(part, sealed, moved, signal);
      moved(length);
      return { salt: toHex(sealed.salt), plainSha256: sealed.plainSha256, confirmed };
    } catch (error) {
      this.#moving.delete(part);
      throw error;
    }
  }

  async #contentHash({ blob: { geometry } }: Sealing): Promise<string> {
    const hashes = Array.from({ length: geometry.partCount }, (_, part) => this.#arrived.get(part)?.plainSha256);
    return toHex(await contentHash(hashes.filter((hash) => hash !== undefined)));
  }

  /** Does something for each item as places become free; the first failure stops all of it. */
  async #each<Item>(
    items: Item[],
    bytesOf: (item: Item) => number,
    signal: AbortSignal,
    act: (item: Item, leave: () => void, stop: AbortSignal) => Promise<void>,
  ): Promise<void> {
    const failed = new AbortController();
    const stop = AbortSignal.any([signal, failed.signal]);
    const acting: Promise<void>[] = [];
    try {
      for (const item of items) {
        const leave = await this.#tools.slots.acquire(bytesOf(item), stop);
        acting.push(act(item, leave, stop).catch((error: unknown) => { failed.abort(error); }));
      }
    } catch (error) {
      failed.abort(error);
    }
    await Promise.all(acting);
    stop.throwIfAborted();
  }
}

function wantedOf(file: File, target: Target): NewUpload {
  const what = { size: file.size, ...(file.type === "" ? {} : { type: file.type }) };
  if ("file" in target) {
    return { ...what, file: target.file, ...(target.ifMatch === undefined ? {} : { if_match: target.ifMatch }) };
  }
  return { ...what, parent: target.parent, name: target.name ?? file.name, on_conflict: target.onConflict ?? "fail" };
}

async function sealingOf(draft: Draft): Promise<Sealing> {
  return { draft, blob: shapeOf(draft), key: await importDataKey(fromHex(draft.key)) };
}

/** A file that can't be read any more says so in its owner's words. */
async function readable<Result>(reading: Promise<Result>, signal: AbortSignal): Promise<Result> {
  try {
    return await reading;
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof DOMException && (error.name === "NotReadableError" || error.name === "NotFoundError"))) throw error;
    const next = "Pick the file again: what is still the same is not sent twice.";
    throw new Failure("SOURCE_UNREADABLE", "The file was changed, moved or deleted while it was read.", next, "pick");
  }
}

function neverSettles(isOtherFile: boolean): Failure {
  if (isOtherFile) {
    const next = "Begin again when nothing writes to the file.";
    return new Failure("SOURCE_UNREADABLE", "The file kept changing while it was sent.", next, "restart");
  }
  const next = "Begin again; if it fails again, whoever runs the vault should look at its log and at the bucket.";
  return new Failure("UPLOAD_DAMAGED", "The storage kept something else than it was sent.", next, "restart");
}
