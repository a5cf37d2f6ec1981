/**
 * Sealed content: each part of a blob is one Cobblestone-256 message, bound to vault, blob, part size, part number and
 * whether it is the last (docs/format.md, "Content").
 *
 * Every sealing draws a salt of its own here; nobody can pass one in. To send a part again is to send the same bytes.
 */

import { type Bytes, bigEndian, concat, fromHex } from "./bytes.ts";
import { Message, type MessageKey } from "./cobblestone.ts";
import { OpenError } from "./error.ts";
import { Geometry, SALT } from "./geometry.ts";

/** A blob as its readers and writers know it. */
export interface BlobShape {
  /** The vault it belongs to, 16 bytes. */
  readonly vaultId: Bytes;
  /** Its id, 16 bytes. */
  readonly blobId: Bytes;
  /** How it is cut, and its size. */
  readonly geometry: Geometry;
}

/** The shape as the API writes it, in an upload as in a grant. */
export interface WrittenShape {
  readonly vault_id: string;
  readonly blob_id: string;
  readonly format: number;
  readonly part_size_log2: number;
  readonly size: number;
}

/** A sealed part and what the vault wants to know about it. */
export interface SealedPart {
  /** What goes to the bucket. */
  readonly sealed: Bytes;
  /** What it was sealed with; the catalog pins it. */
  readonly salt: Bytes;
  /** SHA-256 of `sealed`. */
  readonly sha256: Bytes;
  /** SHA-256 of the plaintext, for the content hash. */
  readonly plainSha256: Bytes;
}

const FORMAT = 1;
const CONTEXT = new TextEncoder().encode("coffer/1/content");
const ID = 16;
/** A constant of the context, kept for a later use of the same blob id. */
const GENERATION = 1;

/** The shape that the API wrote. A format that this code does not know is refused. */
export function shapeOf(written: WrittenShape): BlobShape {
  if (written.format !== FORMAT) throw new RangeError(`format ${written.format} is not known here`);
  const [vaultId, blobId] = [fromHex(written.vault_id), fromHex(written.blob_id)];
  if (vaultId.length !== ID || blobId.length !== ID) throw new TypeError("an id has 16 bytes");
  return { vaultId, blobId, geometry: new Geometry(written.part_size_log2, written.size) };
}

/** Seals a part under a fresh salt. `plaintext` **must** have the part's length. */
export async function sealPart(
  key: MessageKey,
  blob: BlobShape,
  part: number,
  plaintext: Bytes,
  signal?: AbortSignal,
): Promise<SealedPart> {
  return sealUnder(crypto.getRandomValues(new Uint8Array(SALT)), key, blob, part, plaintext, signal);
}

/** What hashing a part again tells of it. */
export type PartHashes = Pick<SealedPart, "sha256" | "plainSha256">;

/**
 * The hashes that a part has when this plaintext is sealed under a salt that was already used, to compare them with
 * those of the part that was sent. The bytes never leave: two plaintexts under one salt would be the end of both.
 */
export async function hashPart(
  key: MessageKey,
  blob: BlobShape,
  part: number,
  salt: Bytes,
  plaintext: Bytes,
  signal?: AbortSignal,
): Promise<PartHashes> {
  const { sha256, plainSha256 } = await sealUnder(salt, key, blob, part, plaintext, signal);
  return { sha256, plainSha256 };
}

/** Opens a whole part that was sealed with the pinned salt. */
export async function openPart(
  key: MessageKey,
  blob: BlobShape,
  part: number,
  salt: Bytes,
  sealed: Bytes,
  signal?: AbortSignal,
): Promise<Bytes> {
  const plaintext = await (await partMessage(key, blob, part, salt)).open(sealed, signal);
  if (plaintext.length !== blob.geometry.plainLength(part)) throw new OpenError();
  return plaintext;
}

/** The message that a part is. */
export async function partMessage(key: MessageKey, blob: BlobShape, part: number, salt: Bytes): Promise<Message> {
  return Message.derive(key, salt, partContext(blob, part));
}

/** The 62 bytes that a part is bound to. */
export function partContext({ vaultId, blobId, geometry }: BlobShape, part: number): Bytes {
  if (!Number.isInteger(part) || part < 0 || part >= geometry.partCount) throw new RangeError(`there is no part ${part}`);
  const isFinal = part === geometry.partCount - 1;
  return concat(
    CONTEXT,
    vaultId,
    blobId,
    bigEndian(GENERATION, 8),
    bigEndian(geometry.k, 1),
    bigEndian(part, 4),
    bigEndian(Number(isFinal), 1),
  );
}

/** The salts of all parts, out of the one byte string that a grant carries. */
export function splitSalts(salts: Bytes): Bytes[] {
  if (salts.length % SALT !== 0) throw new OpenError();
  return Array.from({ length: salts.length / SALT }, (_, part) => salts.subarray(part * SALT, (part + 1) * SALT));
}

/** The hash of a file's content: SHA-256 over the SHA-256 of each part's plaintext, in order. */
export async function contentHash(plainSha256: readonly Bytes[]): Promise<Bytes> {
  return sha256(concat(...plainSha256));
}

async function sealUnder(
  salt: Bytes,
  key: MessageKey,
  blob: BlobShape,
  part: number,
  plaintext: Bytes,
  signal?: AbortSignal,
): Promise<SealedPart> {
  if (plaintext.length !== blob.geometry.plainLength(part)) throw new RangeError(`part ${part} has another length`);
  const message = await partMessage(key, blob, part, salt);
  const [sealed, plainSha256] = await Promise.all([message.seal(plaintext, signal), sha256(plaintext)]);
  signal?.throwIfAborted();
  return { sealed, salt, sha256: await sha256(sealed), plainSha256 };
}

async function sha256(bytes: Bytes): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}
