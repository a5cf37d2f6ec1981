/** The bytes that every implementation agrees on, and blobs made of them. */

import { readFileSync } from "node:fs";

import { type BlobShape, type Bytes, type DataKey, Geometry, fromHex, importDataKey } from "../src/crypto/index.ts";

/** A case of content.json. */
export interface ContentCase {
  readonly dek: string;
  readonly vault_id: string;
  readonly blob_id: string;
  readonly k: number;
  readonly size: number;
  readonly salts: readonly string[];
  readonly headers: readonly string[];
  readonly object_size: number;
  readonly object_sha256: string;
  readonly content_hash: string;
  readonly object?: string;
}

/** A case of range.json. */
export interface RangeCase {
  readonly k: number;
  readonly size: number;
  readonly start: number;
  readonly end: number;
  readonly object_start: number;
  readonly object_end: number;
  readonly steps: readonly Step[];
}

interface Step {
  readonly part: number;
  readonly has_header: boolean;
  readonly first_chunk: number;
  readonly chunk_count: number;
  readonly skip: number;
  readonly take: number;
}

/** A case of checkpoint.json. */
export interface CheckpointCase {
  readonly root: string;
  readonly vault_id: string;
  readonly log: number;
  readonly seq: number;
  readonly epoch: number;
  readonly writer: string;
  readonly part: number;
  readonly is_final: boolean;
  readonly salt: string;
  readonly size: number;
  readonly sealed: string;
}

/** The smallest part that is a whole number of chunks; the vectors and tests use some below the format's own. */
export const SMALLEST_K = 14;

/** The cases of tests/vectors/`name`.json. */
export function casesOf<Case>(name: string): Case[] {
  const text = readFileSync(new URL(`../../tests/vectors/${name}.json`, import.meta.url), "utf8");
  return (JSON.parse(text) as { cases: Case[] }).cases;
}

/** Byte i is (31 i + floor(i / 251)) mod 256. */
export function pattern(size: number): Bytes {
  return Uint8Array.from({ length: size }, (_, index) => (31 * index + Math.floor(index / 251)) % 256);
}

/** The blob of a case. */
export async function blobOf(content: ContentCase): Promise<{ key: DataKey; blob: BlobShape; salts: Bytes[] }> {
  const blob = {
    vaultId: fromHex(content.vault_id),
    blobId: fromHex(content.blob_id),
    geometry: new Geometry(content.k, content.size, SMALLEST_K),
  };
  return { key: await importDataKey(fromHex(content.dek)), blob, salts: content.salts.map(fromHex) };
}
