/**
 * The transfers of this page as a list to look at: what is on its way, what waits for the owner's word, what was begun
 * in an earlier life of the page.
 */

import { type Schema } from "../api/index.ts";
import type { Failure, Snapshot, Target, Unfinished, Wanted } from "../transfer/index.ts";
import { Transfers, busyUploads, startStreamer } from "../transfer/index.ts";
import { api } from "./access.svelte.ts";
import { attempt, changed } from "./changes.ts";
import type { Dropped, DroppedFolder } from "./dropped.ts";
import { type Node } from "./listing.svelte.ts";
import { notices } from "./notices.svelte.ts";
import { plant } from "./plant.ts";
import { countText } from "./words.ts";

/** What to do with a name that is taken. */
export type Conflict = Schema<"OnConflict"> | "skip";

/** An upload whose name is taken in its folder. */
interface Clash {
  readonly id: string;
  readonly file: File;
  readonly target: Extract<Target, { parent: string }>;
}

/** Codes that mean nothing but a new log-in. */
const SESSION_OVER: ReadonlySet<string> = new Set(["AUTHENTICATION_REQUIRED", "INVALID_TOKEN", "TOKEN_EXPIRED"]);

class TransferList {
  all = $state.raw<readonly Snapshot[]>([]);
  /** Uploads of an earlier life of the page, or of another machine. */
  unfinished = $state.raw<readonly Unfinished[]>([]);
  /** Uploads whose names are taken: the owner decides. */
  clashes = $state.raw<readonly Clash[]>([]);
  /** Whether the whole list is shown. It folds by itself when all of it went well. */
  isOpen = $state(false);
  /** Folders and files of a drop that are still being looked through. */
  preparing = $state(0);
  readonly #transfers = new Transfers(api);
  readonly #sources = new Map<string, Clash>();
  /** Transfers whose end changes what is listed. */
  readonly #changing = new Set<string>();
  #forAll: Conflict | undefined;
  #wasActive = false;

  readonly active = $derived(this.all.filter(({ state }) => state === "queued" || state === "checking" || state === "running"));
  /** What is to be looked at: an upload that waits for the owner's word is in the dialog. */
  readonly listed = $derived(this.all.filter(({ id }) => !this.clashes.some((clash) => clash.id === id)));
  readonly settled = $derived(this.all.filter(({ state }) => state === "done" || state === "cancelled"));
  readonly failed = $derived(this.listed.filter(({ state }) => state === "failed"));

  constructor() {
    this.#transfers.subscribe((all) => { this.#take(all); });
    void startStreamer();
    void this.look();
    window.addEventListener("beforeunload", (event) => {
      if (this.all.some(({ state, direction }) => direction === "up" && (state === "running" || state === "checking" || state === "queued"))) event.preventDefault();
    });
  }

  /** Asks for uploads that were left unfinished; those that a page of this browser is at are not. */
  async look(): Promise<void> {
    await attempt(async () => {
      const unfinished = await this.#transfers.unfinished();
      const busy = await busyUploads();
      this.unfinished = unfinished.filter(({ id }) => !busy.has(id));
    });
  }

  /** Sends what was dropped or picked; folders are made on the way. */
  async send(dropped: AsyncIterable<Dropped | DroppedFolder>, parent: string): Promise<void> {
    this.#unfold();
    await attempt(async () => {
      this.preparing += 1;
      try {
        for await (const { file, folder } of plant(dropped, parent)) this.#upload(file, { parent: folder });
      } finally {
        this.preparing -= 1;
      }
    });
  }

  /** Sends a new version of a file, unless it was changed after it was looked at. */
  replace(node: Node, file: File): void {
    this.#unfold();
    const target = { file: node.id, ...(node.file === undefined ? {} : { ifMatch: `"${node.file.version}"` }) };
    this.#changing.add(this.#transfers.upload(file, target));
  }

  /** Saves a file. Must be called in the owner's own gesture. */
  async save(wanted: Wanted): Promise<void> {
    this.#unfold();
    try {
      await this.#transfers.save(wanted);
    } catch (error) {
      // The owner closed the picker.
      if (!(error instanceof DOMException && error.name === "AbortError")) notices.fail(error);
    }
  }

  /** Decides about a name that is taken; with `isForAll` about all others of this kind, too. */
  decide(clash: Clash, conflict: Conflict, isForAll: boolean): void {
    const decided = isForAll ? this.clashes : [clash];
    if (isForAll) this.#forAll = conflict;
    this.clashes = this.clashes.filter((one) => !decided.includes(one));
    // What is decided is no clash any more, also while the others are settled.
    for (const { id } of decided) this.#sources.delete(id);
    for (const one of decided) this.#settle(one, conflict);
  }

  pause(id: string): void {
    this.#transfers.pause(id);
  }

  resume(id: string): void {
    this.#transfers.resume(id);
  }

  pick(id: string, file: File): Promise<void> {
    return this.#transfers.pick(id, file);
  }

  async cancel(id: string): Promise<void> {
    await attempt(() => this.#transfers.cancel(id));
    this.dismiss(id);
  }

  dismiss(id: string): void {
    this.#sources.delete(id);
    this.#transfers.dismiss(id);
  }

  /** Takes everything that has ended off the list. */
  clear(): void {
    for (const { id, state } of this.all) if (state === "done" || state === "cancelled") this.dismiss(id);
  }

  /** Goes on with an unfinished upload, whose file was picked again. */
  goOn(unfinished: Unfinished, file: File): void {
    this.unfinished = this.unfinished.filter((one) => one !== unfinished);
    this.#unfold();
    this.#changing.add(this.#transfers.continueUpload(unfinished, file));
  }

  /** Gives an unfinished upload up. */
  async giveUp(unfinished: Unfinished): Promise<void> {
    await attempt(async () => {
      await this.#transfers.forget(unfinished);
      this.unfinished = this.unfinished.filter((one) => one !== unfinished);
    });
  }

  /** Lets everything go on that stopped because the session had ended. */
  goOnAfterLogIn(): void {
    for (const { id, failure } of this.failed) if (failure !== undefined && SESSION_OVER.has(failure.reason)) this.resume(id);
    void this.look();
  }

  /** Shows the list where there is room beside the files. */
  #unfold(): void {
    if (matchMedia("(min-width: 721px)").matches) this.isOpen = true;
  }

  #upload(file: File, target: Clash["target"]): void {
    const id = this.#transfers.upload(file, target);
    this.#sources.set(id, { id, file, target });
    this.#changing.add(id);
  }

  #settle({ id, file, target }: Clash, conflict: Conflict): void {
    this.dismiss(id);
    if (conflict !== "skip") this.#upload(file, { ...target, onConflict: conflict });
  }

  #take(all: readonly Snapshot[]): void {
    this.all = all;
    this.#wasActive ||= this.active.length > 0;
    for (const { id, state, failure } of all) {
      if (state === "done" && this.#changing.delete(id)) changed();
      if (state === "failed" && isClash(failure)) this.#clash(id);
    }
    if (this.clashes.length > 0 || this.active.length > 0 || this.preparing > 0) return;
    this.#forAll = undefined;
    if (this.#wasActive && this.all.every(({ state }) => state === "done")) {
      notices.say(countText(this.all.length, "transfer is done", "transfers are done"));
      this.isOpen = false;
    }
    this.#wasActive = false;
  }

  #clash(id: string): void {
    const source = this.#sources.get(id);
    if (source === undefined || source.target.onConflict !== undefined || this.clashes.some((clash) => clash.id === id)) return;
    const forAll = this.#forAll;
    // Not inside the queue's own telling.
    if (forAll !== undefined) queueMicrotask(() => { this.#settle(source, forAll); });
    else this.clashes = [...this.clashes, source];
  }
}

/** The transfers of this page. */
export const transfers = new TransferList();

/** A file as a download wants it. */
export function wantedOf(node: Node, version?: { id: string; size_bytes: number }): Wanted {
  const size = version?.size_bytes ?? node.file?.size_bytes ?? 0;
  return { file: node.id, name: node.name, size, ...(version === undefined ? {} : { version: version.id }) };
}

function isClash(failure: Failure | undefined): boolean {
  return failure?.reason === "DUPLICATE_RESOURCE";
}
