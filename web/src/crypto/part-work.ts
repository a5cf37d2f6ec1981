/** What a worker does with one part: read it, seal or open it, hash it. It never touches the page's memory. */

import type { Bytes } from "./bytes.ts";
import type { MessageKey } from "./cobblestone.ts";
import { type BlobShape, type PartHashes, type SealedPart, hashPart, openPart, sealPart } from "./content.ts";
import { Geometry } from "./geometry.ts";
import { md5 } from "./md5.ts";

/** A task for one part, as it is posted to a worker. */
export type PartTask = {
  readonly key: MessageKey;
  readonly vaultId: Bytes;
  readonly blobId: Bytes;
  readonly k: number;
  readonly size: number;
  readonly part: number;
} & (
  | { readonly kind: "seal"; readonly file: Blob; readonly md5: boolean }
  | { readonly kind: "hash"; readonly file: Blob; readonly salt: Bytes }
  | { readonly kind: "open"; readonly sealed: Blob; readonly salt: Bytes }
);

/** A part sealed by a worker: the bytes are a Blob, which the browser keeps outside the heap. */
export interface SealedBody extends Omit<SealedPart, "sealed"> {
  /** What goes to the bucket, as often as needed. */
  readonly body: Blob;
  /** MD5 of it, where it was asked for. */
  readonly md5?: Bytes;
}

/** What becomes of a task of each kind. */
export interface PartResults {
  readonly seal: SealedBody;
  readonly hash: PartHashes;
  /** The plaintext. */
  readonly open: Blob;
}

/** Does a task. A file that is not as long as the blob, or has changed since it was picked, is refused by an error. */
export async function doPartTask(task: PartTask, signal: AbortSignal): Promise<PartResults[PartTask["kind"]]> {
  const { key, part } = task;
  const geometry = new Geometry(task.k, task.size);
  const blob: BlobShape = { vaultId: task.vaultId, blobId: task.blobId, geometry };
  switch (task.kind) {
    case "seal": {
      const { sealed, ...rest } = await sealPart(key, blob, part, await readPart(task.file, geometry, part), signal);
      const checksum = task.md5 ? { md5: md5(sealed) } : {};
      return { body: new Blob([sealed]), ...rest, ...checksum };
    }
    case "hash":
      return hashPart(key, blob, part, task.salt, await readPart(task.file, geometry, part), signal);
    case "open": {
      const sealed = new Uint8Array(await task.sealed.arrayBuffer());
      return new Blob([await openPart(key, blob, part, task.salt, sealed, signal)]);
    }
  }
}

async function readPart(file: Blob, geometry: Geometry, part: number): Promise<Bytes> {
  if (file.size !== geometry.size) throw new RangeError(`the file has ${file.size} bytes, not ${geometry.size}`);
  const start = geometry.plainOffset(part);
  return new Uint8Array(await file.slice(start, start + geometry.plainLength(part)).arrayBuffer());
}
