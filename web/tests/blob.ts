/** Sealed blobs of many small parts, and streams fed in pieces. */

import { expect } from "vitest";

import { concat } from "../src/crypto/bytes.ts";
import { type BlobShape, type Bytes, type DataKey, Geometry, importDataKey, sealPart } from "../src/crypto/index.ts";
import { SMALLEST_K, pattern } from "./vectors.ts";

/** A blob, sealed, and what it holds. */
export interface SealedBlob {
  readonly key: DataKey;
  readonly blob: BlobShape;
  readonly salts: readonly Bytes[];
  readonly plaintext: Bytes;
  readonly object: Bytes;
}

/** Random bytes. */
export function random(length: number): Bytes {
  return crypto.getRandomValues(new Uint8Array(length));
}

/** Fails unless both are the same bytes. Looking at them one by one, as `toEqual` does, takes minutes. */
export function expectSame(actual: Uint8Array, expected: Uint8Array): void {
  expect(actual.length).toBe(expected.length);
  expect(Buffer.compare(actual, expected)).toBe(0);
}

/** A blob of `size` bytes in parts of 2^k. */
export async function sealBlob(size: number, k = SMALLEST_K): Promise<SealedBlob> {
  const key = await importDataKey(random(32));
  const blob = { vaultId: random(16), blobId: random(16), geometry: new Geometry(k, size, SMALLEST_K) };
  return { key, blob, ...(await sealParts(key, blob)) };
}

/** Another attempt at the same blob. */
export async function sealParts(
  key: DataKey,
  blob: BlobShape,
): Promise<Pick<SealedBlob, "salts" | "plaintext" | "object">> {
  const { geometry } = blob;
  const plaintext = pattern(geometry.size);
  const parts = await Promise.all(
    Array.from({ length: geometry.partCount }, (_, part) => {
      const start = geometry.plainOffset(part);
      return sealPart(key, blob, part, plaintext.slice(start, start + geometry.plainLength(part)));
    }),
  );
  return { salts: parts.map(({ salt }) => salt), plaintext, object: concat(...parts.map(({ sealed }) => sealed)) };
}

/** All that a stream gives out for these bytes, which come in pieces of `piece`. */
export async function openAll(stream: TransformStream<Uint8Array, Bytes>, sealed: Bytes, piece: number): Promise<Bytes> {
  const opened: Bytes[] = [];
  await openInto(opened, stream, sealed, piece);
  return concat(...opened);
}

/** The same, into a list that also a failure leaves behind. */
export async function openInto(
  opened: Bytes[],
  stream: TransformStream<Uint8Array, Bytes>,
  sealed: Bytes,
  piece: number,
): Promise<void> {
  let offset = 0;
  const source = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (offset >= sealed.length) {
        controller.close();
        return;
      }
      controller.enqueue(sealed.slice(offset, offset + piece));
      offset += piece;
    },
  });
  await source.pipeThrough(stream).pipeTo(
    new WritableStream({
      write(plaintext) {
        opened.push(plaintext);
      },
    }),
  );
}
