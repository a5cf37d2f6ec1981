/**
 * MD5 (RFC 1321), which WebCrypto does not have: the transfer checksum of buckets that know no better one. Nothing here
 * rests on it; what is stored is proven by the format's own tags.
 */

import type { Bytes } from "./bytes.ts";

const BLOCK = 64;
/** RFC 1321, 3.4: the shifts of each round. */
const SHIFTS = [7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21];
/** RFC 1321, 3.4: entry i is the whole part of 2^32 |sin(i + 1)|. */
const SINES = Int32Array.from({ length: BLOCK }, (_, i) => Math.floor(2 ** 32 * Math.abs(Math.sin(i + 1))));
const STEP_SHIFTS = Int32Array.from({ length: BLOCK }, (_, i) => SHIFTS[4 * (i >> 4) + (i & 3)] ?? 0);
const STEP_WORDS = Int32Array.from({ length: BLOCK }, (_, i) => [i, 5 * i + 1, 3 * i + 5, 7 * i][i >> 4] ?? 0).map(
  (word) => word & 15,
);

/** The 16 bytes of MD5. */
export function md5(bytes: Bytes): Bytes {
  const state = Int32Array.of(0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476);
  const whole = bytes.length - (bytes.length % BLOCK);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const words = new Int32Array(16);
  for (let offset = 0; offset < whole; offset += BLOCK) digestBlock(state, words, view, offset);
  const tail = lastBlocks(bytes.subarray(whole), bytes.length);
  for (let offset = 0; offset < tail.byteLength; offset += BLOCK) digestBlock(state, words, tail, offset);
  const digest = new DataView(new ArrayBuffer(16));
  state.forEach((word, index) => {
    digest.setInt32(4 * index, word, true);
  });
  return new Uint8Array(digest.buffer);
}

/** The rest, a one bit, zeros, and the length in bits. */
function lastBlocks(rest: Bytes, length: number): DataView {
  const padded = new Uint8Array(rest.length + 9 > BLOCK ? 2 * BLOCK : BLOCK);
  padded.set(rest);
  padded[rest.length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setBigUint64(padded.length - 8, BigInt(length) * 8n, true);
  return view;
}

function digestBlock(state: Int32Array, words: Int32Array, view: DataView, offset: number): void {
  for (let index = 0; index < 16; index += 1) words[index] = view.getInt32(offset + 4 * index, true);
  const at = (table: Int32Array, index: number): number => table[index] ?? 0;
  let [a, b, c, d] = [at(state, 0), at(state, 1), at(state, 2), at(state, 3)];
  for (let step = 0; step < BLOCK; step += 1) {
    const mixed = (a + mix(step >> 4, b, c, d) + at(SINES, step) + at(words, at(STEP_WORDS, step))) | 0;
    const shift = at(STEP_SHIFTS, step);
    const rotated = (mixed << shift) | (mixed >>> (32 - shift));
    [a, d, c, b] = [d, c, b, (b + rotated) | 0];
  }
  [a, b, c, d].forEach((word, index) => {
    state[index] = (at(state, index) + word) | 0;
  });
}

function mix(round: number, b: number, c: number, d: number): number {
  if (round === 0) return (b & c) | (~b & d);
  if (round === 1) return (b & d) | (c & ~d);
  if (round === 2) return b ^ c ^ d;
  return c ^ (b | ~d);
}
