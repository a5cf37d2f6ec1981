/**
 * How a file reaches the owner's disk: the best way that this browser has.
 *
 * 1. A small file as a Blob, which is then saved in one piece.
 * 2. A picked file, written as the bytes arrive: it is paused and goes on.
 * 3. The service worker streams it as a download of the browser's own.
 * 4. The vault itself opens it, under a ticket: for browsers that have neither.
 */

import { reach } from "../api/index.ts";
import type { Outcome, Report, Work } from "./job.ts";

/** The ways. */
export type Way = "blob" | "picker" | "worker" | "gateway";

/** A file up to this size is held in memory, in bytes. */
export const SMALL_FILE = 32 * 1024 * 1024;
/** How long a hidden frame stays: its download has begun by then, in milliseconds. */
const FRAME_MS = 5 * 60_000;
/** How long the object URL of a saved Blob lives, in milliseconds. */
const SAVE_MS = 60_000;

/** What a browser can. */
export interface Abilities {
  picker: boolean;
  worker: boolean;
}

/** The best way for a file of this size. */
export function wayFor(size: number, { picker, worker }: Abilities): Way {
  if (size <= SMALL_FILE) return "blob";
  if (picker) return "picker";
  return worker ? "worker" : "gateway";
}

/** What this browser can. A service worker that is not active yet counts as none. */
export async function abilities(): Promise<Abilities> {
  const container = (navigator as { serviceWorker?: ServiceWorkerContainer }).serviceWorker;
  const registration = await container?.getRegistration("/");
  return { picker: "showSaveFilePicker" in window, worker: registration?.active?.state === "activated" };
}

/** The picker, which the types do not know yet. **Must** be called in the owner's own gesture. */
export async function pickTarget(name: string): Promise<FileSystemFileHandle> {
  type Picker = (options: { suggestedName: string }) => Promise<FileSystemFileHandle>;
  return (window as unknown as { showSaveFilePicker: Picker }).showSaveFilePicker({ suggestedName: name });
}

/** Lets the browser save a Blob under this name. */
export function saveBlob(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => { URL.revokeObjectURL(url); }, SAVE_MS);
}

/** Lets the browser download what is under this address; a click on a link would be cancelled by some. */
export function navigateHidden(url: string): void {
  const frame = document.createElement("iframe");
  frame.hidden = true;
  frame.src = url;
  document.body.append(frame);
  setTimeout(() => { frame.remove(); }, FRAME_MS);
}

/** The worker's address for a version of a file. */
export function streamUrl(file: string, version?: string): string {
  return `/stream/${file}?disposition=attachment${version === undefined ? "" : `&version=${version}`}`;
}

/** A download that is handed over to the browser: it shows the progress and can pause it. */
export class HandedOver implements Work {
  readonly direction = "down";
  readonly name: string;
  readonly size: number;
  readonly #address: (signal: AbortSignal) => Promise<string>;

  constructor(address: (signal: AbortSignal) => Promise<string>, { name, size }: { name: string; size: number }) {
    this.#address = address;
    this.name = name;
    this.size = size;
  }

  moved(): number {
    return 0;
  }

  async run(signal: AbortSignal, report: Report): Promise<Outcome> {
    report.state("running");
    const address = await this.#address(signal);
    // A frame that is refused shows nothing: the same question is asked before, where the answer can be read.
    await reach(fetch(address, { method: "HEAD", signal }));
    navigateHidden(address);
    return {};
  }

  discard(): Promise<void> {
    return Promise.resolve();
  }
}
