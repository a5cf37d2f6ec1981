/**
 * All transfers of a page: they share places for parts on their way, take turns, and are watched as one list.
 *
 * Knows no view: `subscribe` gives snapshots, and every wish of the owner is a method.
 */

import { connect } from "../api/index.ts";
import { PartPool } from "../crypto/index.ts";
import { type Clock, systemClock } from "./clock.ts";
import { Concurrency } from "./concurrency.ts";
import { type Unfinished, Drafts } from "./drafts.ts";
import { BlobDownload, type Described, FileDownload } from "./download.ts";
import { Grants } from "./grants.ts";
import { Job, type Place, type Snapshot, type Work } from "./job.ts";
import { HandedOver, SMALL_FILE, abilities, pickTarget, saveBlob, streamUrl, wayFor } from "./ladder.ts";
import { Slots } from "./slots.ts";
import { type Target, Upload } from "./upload.ts";
import { VaultApi } from "./vault.ts";

/** Files that move at one time; the others wait for their turn. */
const MOST_FILES = 4;
/** Progress is told so often, in milliseconds. */
const PROGRESS_MS = 250;

/** How long a question outside of any transfer may take, in milliseconds. */
const ASK_MS = 60_000;

/** A version of a file that is wanted down here. */
export interface Wanted extends Described {
  file: string;
  version?: string;
}

/** The transfers of a page. */
export class Transfers {
  readonly #clock: Clock = systemClock;
  readonly #concurrency = new Concurrency();
  readonly #slots = new Slots(() => this.#concurrency.limit);
  readonly #turns = new Slots(() => MOST_FILES);
  readonly #pool: PartPool;
  readonly #vault: VaultApi;
  readonly #drafts: Drafts;
  readonly #jobs = new Map<string, Job>();
  readonly #listeners = new Set<(all: readonly Snapshot[]) => void>();
  #timer: ReturnType<typeof setInterval> | undefined;

  /** Transfers with the vault that the page came from. */
  constructor(api = connect(), pool = new PartPool()) {
    this.#pool = pool;
    this.#vault = new VaultApi(api, this.#clock);
    this.#drafts = new Drafts(api, this.#clock);
  }

  /** Sends a file; the answer is the transfer's id. */
  upload(file: File, target: Target): string {
    return this.#add(new Upload(this.#uploadTools(), file, target));
  }

  /** Uploads that have begun and not ended, on whatever machine. */
  unfinished(signal: AbortSignal = AbortSignal.timeout(ASK_MS)): Promise<Unfinished[]> {
    return this.#drafts.unfinished(signal);
  }

  /** Goes on with an unfinished upload, whose file the owner has picked again. */
  continueUpload(unfinished: Unfinished, file: File): string {
    return this.#add(new Upload(this.#uploadTools(), file, targetOf(unfinished), unfinished.id));
  }

  /** Gives an unfinished upload up. */
  forget(unfinished: Unfinished, signal: AbortSignal = AbortSignal.timeout(ASK_MS)): Promise<void> {
    return this.#drafts.cancel(unfinished.id, signal);
  }

  /**
   * Saves a file by the best way that the browser has. **Must** be called in the owner's own gesture: a picker opens in
   * no other.
   */
  async save(wanted: Wanted): Promise<string> {
    if (wanted.size > SMALL_FILE && "showSaveFilePicker" in window) {
      return this.downloadTo(await pickTarget(wanted.name), wanted);
    }
    const way = wayFor(wanted.size, { ...(await abilities()), picker: false });
    if (way === "blob") return this.#add(new Saved(this.#blobDownload(wanted)));
    const { file, version } = wanted;
    const address = way === "worker"
      ? () => Promise.resolve(streamUrl(file, version))
      : (signal: AbortSignal) => this.#vault.ticket(file, version, signal);
    return this.#add(new HandedOver(address, wanted));
  }

  /** Downloads a file into one that the owner has picked. */
  downloadTo(handle: FileSystemFileHandle, wanted: Wanted): string {
    return this.#add(new FileDownload(this.#downloadTools(), this.#grants(wanted), handle, wanted));
  }

  /** Downloads a small file as a Blob, which the snapshot then holds. */
  downloadBlob(wanted: Wanted): string {
    return this.#add(this.#blobDownload(wanted));
  }

  /** Stops a transfer; what has arrived is kept. */
  pause(id: string): void {
    this.#job(id).pause();
  }

  /** Lets a paused or failed transfer go on; one whose failure kept nothing begins anew. */
  resume(id: string): void {
    this.#job(id).start();
  }

  /** Lets an upload go on with its file as the owner picked it again. */
  pick(id: string, file: File): Promise<void> {
    return this.#job(id).pick(file);
  }

  /** Ends a transfer and frees all that it holds, here and in the vault. */
  cancel(id: string): Promise<void> {
    return this.#job(id).cancel();
  }

  /** Takes a transfer that stands still off the list. */
  dismiss(id: string): void {
    if (this.#job(id).isActive) return;
    this.#jobs.delete(id);
    this.#tell();
  }

  /** Calls with all transfers now, at each change of state, and as bytes move. The answer ends it. */
  subscribe(listener: (all: readonly Snapshot[]) => void): () => void {
    this.#listeners.add(listener);
    listener(this.snapshots());
    return () => this.#listeners.delete(listener);
  }

  /** All transfers, in the order in which they began. */
  snapshots(): readonly Snapshot[] {
    return [...this.#jobs.values()].map((job) => job.snapshot());
  }

  #add(work: Work): string {
    const place: Place = {
      clock: this.#clock,
      turn: (signal) => this.#turns.acquire(0, signal),
      changed: () => { this.#tell(); },
    };
    const job = new Job(work, place);
    this.#jobs.set(job.id, job);
    job.start();
    return job.id;
  }

  #job(id: string): Job {
    const job = this.#jobs.get(id);
    if (job === undefined) throw new RangeError(`no transfer ${id}`);
    return job;
  }

  #tell(): void {
    const all = this.snapshots();
    for (const listener of this.#listeners) listener(all);
    const moves = [...this.#jobs.values()].some((job) => job.isActive);
    if (moves) this.#timer ??= setInterval(() => { this.#tell(); }, PROGRESS_MS);
    else {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
  }

  #uploadTools(): ConstructorParameters<typeof Upload>[0] {
    return { drafts: this.#drafts, pool: this.#pool, slots: this.#slots, concurrency: this.#concurrency, clock: this.#clock };
  }

  #downloadTools(): ConstructorParameters<typeof BlobDownload>[0] {
    return { slots: this.#slots, concurrency: this.#concurrency, clock: this.#clock };
  }

  #grants({ file, version }: Wanted): Grants {
    return new Grants((known, signal) => this.#vault.grant(file, known, signal), version);
  }

  #blobDownload(wanted: Wanted): BlobDownload {
    return new BlobDownload(this.#downloadTools(), this.#grants(wanted), wanted);
  }
}

/** A Blob that the browser saves as soon as it is whole. */
class Saved implements Work {
  readonly direction = "down";
  readonly name: string;
  readonly size: number;
  readonly #work: Work;

  constructor(work: Work) {
    this.#work = work;
    this.name = work.name;
    this.size = work.size;
  }

  moved(): number {
    return this.#work.moved();
  }

  async run(...[signal, report]: Parameters<Work["run"]>): ReturnType<Work["run"]> {
    const { blob } = await this.#work.run(signal, report);
    if (blob !== undefined) saveBlob(blob, this.name);
    return {};
  }

  discard(): Promise<void> {
    return this.#work.discard();
  }
}

function targetOf(unfinished: Unfinished): Target {
  const { parent, name, file, on_conflict: onConflict } = unfinished;
  if (file !== undefined) return { file };
  return {
    parent: parent ?? "root",
    ...(name === undefined ? {} : { name }),
    ...(onConflict === undefined ? {} : { onConflict }),
  };
}
