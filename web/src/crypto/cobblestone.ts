/**
 * Cobblestone-256 (c2sp.org/chunked-encryption with AES-256-GCM) over WebCrypto.
 *
 *     key(32) | base nonce(12) | commitment(32) = HKDF-Expand-SHA-512(prk = key, info = INFO | salt(24) | context)
 *     message = salt | commitment | chunk 0 | chunk 1 | ... | last chunk
 *     chunk i = AES-256-GCM(16 KiB, nonce = base nonce XOR i), no associated data; the last one is always shorter
 *
 * It knows nothing of blobs and parts; see content.ts.
 */

import { type Bytes, bigEndian, concat, isEqual } from "./bytes.ts";
import { OpenError } from "./error.ts";
import { CHUNK_PLAIN, CHUNK_SEALED, COMMITMENT, PART_HEADER, SALT, TAG, sealedLength } from "./geometry.ts";
import { inLanes } from "./lanes.ts";

declare const isMessageKey: unique symbol;

/** A key that messages are derived from. It can't be read out, and may be posted to a worker. */
export type MessageKey = CryptoKey & { readonly [isMessageKey]: true };

const INFO = new TextEncoder().encode("c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0");
const KEY = 32;
const NONCE = 12;
const SHA_512 = 64;
/** Chunks are numbered below this. */
const MAX_CHUNKS = 2 ** 38;

/** Takes over 32 bytes of key. The caller's copy **should** be wiped. */
export async function importMessageKey(bytes: Bytes): Promise<MessageKey> {
  if (bytes.length !== KEY) throw new TypeError("a key has 32 bytes");
  const key = await crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-512" }, false, ["sign"]);
  return key as MessageKey;
}

/** What one message is sealed and opened with. */
export class Message {
  /** Salt and commitment: what the message begins with. */
  readonly header: Bytes;
  readonly #key: CryptoKey;
  readonly #baseNonce: Bytes;

  private constructor(header: Bytes, key: CryptoKey, baseNonce: Bytes) {
    this.header = header;
    this.#key = key;
    this.#baseNonce = baseNonce;
  }

  /** Derives the message with this salt and context. */
  static async derive(key: MessageKey, salt: Bytes, context: Bytes): Promise<Message> {
    if (salt.length !== SALT) throw new OpenError();
    const derived = await expand(key, concat(INFO, salt, context), KEY + NONCE + COMMITMENT);
    const aead = await crypto.subtle.importKey("raw", derived.subarray(0, KEY), "AES-GCM", false, ["encrypt", "decrypt"]);
    const message = new Message(concat(salt, derived.subarray(KEY + NONCE)), aead, derived.slice(KEY, KEY + NONCE));
    derived.fill(0);
    return message;
  }

  /** Refuses a header other than this message's own. */
  checkHeader(header: Uint8Array): void {
    if (!isEqual(this.header, header)) throw new OpenError();
  }

  /** The whole message. */
  async seal(plaintext: Bytes, signal?: AbortSignal): Promise<Bytes> {
    const sealed = new Uint8Array(sealedLength(plaintext.length));
    sealed.set(this.header);
    await inLanes(Math.floor(plaintext.length / CHUNK_PLAIN) + 1, signal, async (index) => {
      const start = index * CHUNK_PLAIN;
      const chunk = await this.#sealChunk(index, plaintext.subarray(start, start + CHUNK_PLAIN));
      sealed.set(chunk, PART_HEADER + index * CHUNK_SEALED);
    });
    return sealed;
  }

  /** Opens a whole message. Nothing of it is given out unless every byte has verified. */
  async open(sealed: Bytes, signal?: AbortSignal): Promise<Bytes> {
    this.checkHeader(sealed.subarray(0, PART_HEADER));
    const body = sealed.subarray(PART_HEADER);
    const chunks = Math.floor(body.length / CHUNK_SEALED) + 1;
    const length = body.length - chunks * TAG;
    if (length < 0) throw new OpenError();
    const plaintext = new Uint8Array(length);
    await inLanes(chunks, signal, async (index) => {
      const start = index * CHUNK_SEALED;
      plaintext.set(await this.openChunk(index, body.subarray(start, start + CHUNK_SEALED)), index * CHUNK_PLAIN);
    });
    return plaintext;
  }

  /**
   * Opens one sealed chunk.
   *
   * One of `CHUNK_SEALED` bytes opens only where it is not the last, a shorter one only where it is.
   */
  async openChunk(index: number, sealed: Bytes): Promise<Bytes> {
    if (index >= MAX_CHUNKS || sealed.length < TAG || sealed.length > CHUNK_SEALED) throw new OpenError();
    try {
      return new Uint8Array(await crypto.subtle.decrypt(this.#parameters(index), this.#key, sealed));
    } catch {
      throw new OpenError();
    }
  }

  async #sealChunk(index: number, plaintext: Bytes): Promise<Bytes> {
    return new Uint8Array(await crypto.subtle.encrypt(this.#parameters(index), this.#key, plaintext));
  }

  #parameters(index: number): AesGcmParams {
    const counter = bigEndian(index, NONCE);
    const iv = this.#baseNonce.map((byte, at) => byte ^ (counter[at] ?? 0));
    return { name: "AES-GCM", iv, tagLength: 8 * TAG };
  }
}

/** HKDF-Expand with SHA-512 (RFC 5869, 2.3). WebCrypto's own HKDF extracts first, which this schedule does not. */
async function expand(key: MessageKey, info: Bytes, length: number): Promise<Bytes> {
  const expanded = new Uint8Array(Math.ceil(length / SHA_512) * SHA_512);
  let previous: Bytes = new Uint8Array(0);
  for (let counter = 1; counter * SHA_512 <= expanded.length; counter += 1) {
    const input = concat(previous, info, Uint8Array.of(counter));
    previous.fill(0);
    previous = new Uint8Array(await crypto.subtle.sign("HMAC", key, input));
    input.fill(0);
    expanded.set(previous, (counter - 1) * SHA_512);
  }
  previous.fill(0);
  return expanded.subarray(0, length);
}
