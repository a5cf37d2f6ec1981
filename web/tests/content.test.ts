import fc from "fast-check";
import { expect, test } from "vitest";

import { concat } from "../src/crypto/bytes.ts";
import {
  type Bytes,
  Geometry,
  OpenError,
  contentHash,
  hashPart,
  importDataKey,
  openPart,
  openRange,
  planRange,
  sealPart,
  shapeOf,
  splitSalts,
} from "../src/crypto/index.ts";
import { type SealedBlob, expectSame, openAll, openInto, random, sealBlob, sealParts } from "./blob.ts";
import { SMALLEST_K } from "./vectors.ts";

const CHUNK = 16_384;
const PART = CHUNK;
const SEALED_PART = 56 + CHUNK + 16 + 16;

async function read(sealed: SealedBlob, object: Bytes, piece = 10_000): Promise<Bytes> {
  return openAll(openRange(sealed.key, sealed.blob, sealed.salts, 0, sealed.plaintext.length), object, piece);
}

test("every range of a file is the slice of its bytes, in whatever pieces it comes", async () => {
  const blobs = await Promise.all([0, 1, CHUNK, 3 * PART, 100_000].map((size) => sealBlob(size, SMALLEST_K + 1)));
  const input = fc.tuple(fc.constantFrom(...blobs), fc.nat(110_000), fc.nat(110_000), fc.integer({ min: 1, max: 50_000 }));
  await fc.assert(
    fc.asyncProperty(input, async ([{ key, blob, salts, plaintext, object }, one, other, piece]) => {
      const [start, end] = [Math.min(one, other), Math.max(one, other)];
      const plan = planRange(blob.geometry, start, end);
      const opened = await openAll(
        openRange(key, blob, salts, start, end),
        object.slice(plan.start, plan.end),
        Math.max(piece, Math.ceil(object.length / 50)),
      );
      expectSame(opened, plaintext.slice(start, end));
    }),
    { numRuns: 200 },
  );
});

test("single bytes make a stream too", async () => {
  const { key, blob, salts, plaintext, object } = await sealBlob(PART + 5);
  const plan = planRange(blob.geometry, PART - 1, PART + 1);
  const opened = await openAll(openRange(key, blob, salts, PART - 1, PART + 1), object.slice(plan.start, plan.end), 1);
  expectSame(opened, plaintext.slice(PART - 1, PART + 1));
});

test("a flipped bit anywhere is refused, and nothing at or behind it is given out", async () => {
  const sealed = await sealBlob(3 * PART + 100);
  const place = fc.nat(sealed.object.length - 1);
  await fc.assert(
    fc.asyncProperty(place, fc.integer({ min: 0, max: 7 }), async (offset, bit) => {
      const changed = sealed.object.slice();
      changed[offset] = (changed[offset] ?? 0) ^ (1 << bit);
      const opened: Bytes[] = [];
      const stream = openRange(sealed.key, sealed.blob, sealed.salts, 0, sealed.plaintext.length);
      await expect(openInto(opened, stream, changed, 5_000)).rejects.toThrow(OpenError);
      const given = concat(...opened);
      expectSame(given, sealed.plaintext.slice(0, given.length));
      const part = Math.floor(offset / SEALED_PART);
      expect(given.length).toBeLessThanOrEqual(part * PART + Math.max(0, offset % SEALED_PART));
    }),
    { numRuns: 150 },
  );
});

test("an object that was cut, lengthened, swapped or spliced is refused", async () => {
  const sealed = await sealBlob(3 * PART + 100);
  const other = await sealBlob(3 * PART + 100);
  const { object } = sealed;
  const part = (from: Bytes, index: number): Bytes => from.slice(index * SEALED_PART, (index + 1) * SEALED_PART);
  const chunk = (index: number): Bytes => part(object, index).slice(56, 56 + CHUNK + 16);
  const cases: Record<string, Bytes> = {
    nothing: new Uint8Array(0),
    "cut by one byte": object.slice(0, -1),
    "cut in a header": object.slice(0, SEALED_PART + 30),
    "cut after a part": object.slice(0, 3 * SEALED_PART),
    "cut before the last chunk of a part": concat(object.slice(0, SEALED_PART - 16), object.slice(SEALED_PART)),
    "one byte more": concat(object, new Uint8Array(1)),
    "a part twice": concat(part(object, 0), object),
    "swapped parts": concat(part(object, 1), part(object, 0), object.slice(2 * SEALED_PART)),
    "a chunk of another part": concat(object.slice(0, 56), chunk(1), object.slice(56 + CHUNK + 16)),
    "a part of another blob": concat(part(object, 0), part(other.object, 1), object.slice(2 * SEALED_PART)),
  };
  for (const [name, changed] of Object.entries(cases)) {
    await expect(read(sealed, changed), name).rejects.toThrow(OpenError);
    await expect(read(sealed, changed, 1_000_000), name).rejects.toThrow(OpenError);
  }
  expectSame(await read(sealed, object), sealed.plaintext);
});

test("an older attempt at the same part is refused by its salt, as a whole and beside newer parts", async () => {
  const sealed = await sealBlob(2 * PART + 9);
  const older = await sealParts(sealed.key, sealed.blob);
  await expect(read(sealed, older.object)).rejects.toThrow(OpenError);
  const mixed = concat(sealed.object.slice(0, SEALED_PART), older.object.slice(SEALED_PART));
  await expect(read(sealed, mixed)).rejects.toThrow(OpenError);
  expectSame(await read({ ...sealed, ...older }, older.object), sealed.plaintext);
});

test("a range that begins behind the header opens nothing of an older attempt either", async () => {
  const sealed = await sealBlob(4 * CHUNK, SMALLEST_K + 2);
  const older = await sealParts(sealed.key, sealed.blob);
  const plan = planRange(sealed.blob.geometry, CHUNK, 2 * CHUNK);
  const range = openRange(sealed.key, sealed.blob, sealed.salts, CHUNK, 2 * CHUNK);
  await expect(openAll(range, older.object.slice(plan.start, plan.end), 9_000)).rejects.toThrow(OpenError);
});

test("a part opens in its own place only", async () => {
  const { key, blob, salts, object, plaintext } = await sealBlob(2 * PART + 9);
  const [salt, sealed] = [salts[1], object.slice(SEALED_PART, 2 * SEALED_PART)];
  if (!salt) throw new Error("there are three parts");
  expectSame(await openPart(key, blob, 1, salt, sealed), plaintext.slice(PART, 2 * PART));
  const { geometry } = blob;
  const stranger = await importDataKey(random(32));
  const elsewhere = [
    () => openPart(key, blob, 0, salt, sealed),
    () => openPart(stranger, blob, 1, salt, sealed),
    () => openPart(key, { ...blob, vaultId: random(16) }, 1, salt, sealed),
    () => openPart(key, { ...blob, blobId: random(16) }, 1, salt, sealed),
    () => openPart(key, { ...blob, geometry: new Geometry(SMALLEST_K, 2 * PART, SMALLEST_K) }, 1, salt, sealed),
    () => openPart(key, { ...blob, geometry: new Geometry(SMALLEST_K + 1, geometry.size, SMALLEST_K) }, 1, salt, sealed),
    () => openPart(key, blob, 1, random(24), sealed),
    () => openPart(key, blob, 1, random(23), sealed),
    () => openPart(key, blob, 1, salt, sealed.slice(0, 55)),
    () => openPart(key, blob, 1, salt, sealed.slice(0, 56)),
    () => openPart(key, blob, 1, salt, sealed.slice(0, -16)),
  ];
  for (const open of elsewhere) await expect(open()).rejects.toThrow(OpenError);
  await expect(openPart(key, blob, 3, salt, sealed)).rejects.toThrow(RangeError);
});

test("every sealing draws another salt, and hashing again tells whether the plaintext is the same", async () => {
  const { key, blob, plaintext } = await sealBlob(1000);
  const first = await sealPart(key, blob, 0, plaintext);
  const second = await sealPart(key, blob, 0, plaintext);
  expect(first.salt).not.toEqual(second.salt);
  expect(first.sealed.slice(0, 24)).toEqual(first.salt);
  expect(first.sealed).not.toEqual(second.sealed);
  const same = await hashPart(key, blob, 0, first.salt, plaintext);
  expect(same).toEqual({ sha256: first.sha256, plainSha256: first.plainSha256 });
  expect((await hashPart(key, blob, 0, first.salt, plaintext.with(0, 1))).sha256).not.toEqual(first.sha256);
  expect(await contentHash([first.plainSha256])).toHaveLength(32);
  await expect(sealPart(key, blob, 0, plaintext.slice(1))).rejects.toThrow(RangeError);
});

test("sealing and opening end when they are cancelled", async () => {
  const { key, blob, salts, plaintext, object } = await sealBlob(40 * CHUNK, SMALLEST_K + 6);
  const cancelled = AbortSignal.abort();
  await expect(sealPart(key, blob, 0, plaintext, cancelled)).rejects.toThrow("aborted");
  await expect(openPart(key, blob, 0, salts[0] ?? random(24), object, cancelled)).rejects.toThrow("aborted");
  const late = new AbortController();
  const sealing = sealPart(key, blob, 0, plaintext, late.signal);
  late.abort();
  await expect(sealing).rejects.toThrow("aborted");
});

test("a grant is parsed once, and what it may not say is refused", () => {
  const grant = { vault_id: "00".repeat(16), blob_id: "ff".repeat(16), format: 1, part_size_log2: 23, size: 5 };
  expect(shapeOf(grant).geometry).toEqual(new Geometry(23, 5));
  for (const wrong of [
    { ...grant, format: 2 },
    { ...grant, vault_id: "00" },
    { ...grant, blob_id: "FF".repeat(16) },
    { ...grant, blob_id: "f".repeat(31) },
    { ...grant, part_size_log2: 22 },
    { ...grant, size: -1 },
  ]) {
    expect(() => shapeOf(wrong)).toThrow();
  }
  expect(splitSalts(random(48))).toHaveLength(2);
  expect(() => splitSalts(random(47))).toThrow(OpenError);
});

test("a range needs the salts of all parts", async () => {
  const { key, blob, salts } = await sealBlob(3 * PART);
  expect(() => openRange(key, blob, salts.slice(1), 0, 1)).toThrow(OpenError);
});
