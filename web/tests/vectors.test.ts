import { expect, test } from "vitest";

import { bigEndian, concat } from "../src/crypto/bytes.ts";
import { Message } from "../src/crypto/cobblestone.ts";
import { partMessage } from "../src/crypto/content.ts";
import {
  Geometry,
  OpenError,
  contentHash,
  fromHex,
  hashPart,
  importDataKey,
  openPart,
  openRange,
  planRange,
  toHex,
} from "../src/crypto/index.ts";
import { expectSame, openAll } from "./blob.ts";
import { type CheckpointCase, type ContentCase, type RangeCase, blobOf, casesOf, pattern } from "./vectors.ts";

const contents = casesOf<ContentCase>("content");

test.each(contents)("content of $size bytes in parts of 2^$k is sealed and opened byte for byte", async (written) => {
  const { key, blob, salts } = await blobOf(written);
  const { geometry } = blob;
  const plaintext = pattern(written.size);
  const sealed = await Promise.all(
    salts.map(async (salt, part) => {
      const start = geometry.plainOffset(part);
      const message = await partMessage(key, blob, part, salt);
      const slice = plaintext.slice(start, start + geometry.plainLength(part));
      return { bytes: await message.seal(slice), hashes: await hashPart(key, blob, part, salt, slice) };
    }),
  );
  const object = concat(...sealed.map(({ bytes }) => bytes));
  expect(sealed.map(({ bytes }) => toHex(bytes.subarray(0, 56)))).toEqual(written.headers);
  expect([object.length, geometry.objectSize]).toEqual([written.object_size, written.object_size]);
  expect(toHex(new Uint8Array(await crypto.subtle.digest("SHA-256", object)))).toBe(written.object_sha256);
  if (written.object !== undefined) expect(toHex(object)).toBe(written.object);
  expect(toHex(await contentHash(sealed.map(({ hashes }) => hashes.plainSha256)))).toBe(written.content_hash);

  for (const [part, salt] of salts.entries()) {
    const bytes = sealed[part]?.bytes;
    if (!bytes) throw new Error("every part was sealed");
    const start = geometry.plainOffset(part);
    const opened = await openPart(key, blob, part, salt, bytes);
    expectSame(opened, plaintext.subarray(start, start + geometry.plainLength(part)));
  }
  expectSame(await openAll(openRange(key, blob, salts, 0, written.size), object, 65_536), plaintext);
});

test.each(casesOf<RangeCase>("range"))("reading $start .. $end of $size bytes is planned as written", (written) => {
  const plan = planRange(new Geometry(written.k, written.size), written.start, written.end);
  const steps = plan.slices.map((slice) => ({
    part: slice.part,
    has_header: slice.hasHeader,
    first_chunk: slice.firstChunk,
    chunk_count: slice.chunkCount,
    skip: slice.skip,
    take: slice.take,
  }));
  expect({ start: plan.start, end: plan.end, steps }).toEqual({
    start: written.object_start,
    end: written.object_end,
    steps: written.steps,
  });
});

test.each(casesOf<CheckpointCase>("checkpoint"))("a checkpoint's part $part is one message too", async (written) => {
  const root = await crypto.subtle.importKey("raw", fromHex(written.root), "HKDF", false, ["deriveBits"]);
  const info = new TextEncoder().encode("coffer/1/checkpoint");
  const schedule = { name: "HKDF", hash: "SHA-512", salt: fromHex(written.vault_id), info };
  const key = await importDataKey(new Uint8Array(await crypto.subtle.deriveBits(schedule, root, 256)));
  const context = concat(
    new TextEncoder().encode("coffer/1/check\0\0"),
    fromHex(written.vault_id),
    bigEndian(written.log, 1),
    bigEndian(written.seq, 8),
    bigEndian(written.epoch, 8),
    fromHex(written.writer),
    bigEndian(written.part, 4),
    bigEndian(Number(written.is_final), 1),
  );
  const message = await Message.derive(key, fromHex(written.salt), context);
  expect(toHex(await message.seal(pattern(written.size)))).toBe(written.sealed);
  expectSame(await message.open(fromHex(written.sealed)), pattern(written.size));
  const elsewhere = await Message.derive(key, fromHex(written.salt), context.with(61, Number(!written.is_final)));
  await expect(elsewhere.open(fromHex(written.sealed))).rejects.toThrow(OpenError);
});
