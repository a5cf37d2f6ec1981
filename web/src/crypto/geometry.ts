/**
 * How a blob is cut into parts, and how long everything is (docs/format.md, "A blob is one or more parts").
 *
 * Sizes and offsets are numbers: the format's largest file has 2^45 bytes, far below 2^53. Bit operators are 32 bits
 * wide and so have no place here.
 */

/** Plaintext of every chunk but the last of a part, in bytes. */
export const CHUNK_PLAIN = 16 * 1024;
/** Length of the tag behind each chunk, in bytes. */
export const TAG = 16;
/** A sealed chunk, in bytes. */
export const CHUNK_SEALED = CHUNK_PLAIN + TAG;
/** Length of a salt, in bytes. */
export const SALT = 24;
/** Length of a commitment, in bytes. */
export const COMMITMENT = 32;
/** What a part begins with: salt and commitment, in bytes. */
export const PART_HEADER = SALT + COMMITMENT;

/** The smallest part size, 8 MiB, as an exponent. */
export const K_MIN = 23;
/** The largest part size, 4 GiB, as an exponent. */
export const K_MAX = 32;
/** No blob has more parts. */
export const MAX_PARTS = 8192;

/** Length of a sealed part over `plainLength` bytes. */
export function sealedLength(plainLength: number): number {
  return PART_HEADER + plainLength + TAG * (Math.floor(plainLength / CHUNK_PLAIN) + 1);
}

/** The part size, as an exponent, of a file of `size` bytes: the smallest of which at most `MAX_PARTS` hold it. */
export function exponentFor(size: number): number {
  for (let k = K_MIN; k <= K_MAX; k += 1) {
    if (size <= MAX_PARTS * 2 ** k) return k;
  }
  throw new RangeError(`a file of ${size} bytes is larger than the format can hold`);
}

/** A blob's parts: each of 2^k bytes of plaintext but the last, which holds the rest of `size`. */
export class Geometry {
  /** The part size as an exponent. */
  readonly k: number;
  /** Plaintext length in bytes. */
  readonly size: number;

  /** Refuses a shape that the format does not know. Tests of many parts pass a `smallest` of their own. */
  constructor(k: number, size: number, smallest = K_MIN) {
    if (!Number.isInteger(k) || k < smallest || k > K_MAX) throw new RangeError(`no part has 2^${k} bytes`);
    if (!Number.isSafeInteger(size) || size < 0 || size > MAX_PARTS * 2 ** k) {
      throw new RangeError(`no file has ${size} bytes in parts of 2^${k}`);
    }
    this.k = k;
    this.size = size;
  }

  /** Plaintext of every part but the last, in bytes. */
  get partSize(): number {
    return 2 ** this.k;
  }

  /** Number of parts; never 0. */
  get partCount(): number {
    return Math.max(1, Math.ceil(this.size / this.partSize));
  }

  /** Length of the object. */
  get objectSize(): number {
    const last = this.partCount - 1;
    return this.partOffset(last) + sealedLength(this.plainLength(last));
  }

  /** Where a part's plaintext begins in the file. */
  plainOffset(part: number): number {
    return part * this.partSize;
  }

  /** Plaintext length of a part; 0 for one that does not exist. */
  plainLength(part: number): number {
    return Math.min(this.partSize, Math.max(0, this.size - this.plainOffset(part)));
  }

  /** Where a part begins in the object. */
  partOffset(part: number): number {
    return part * sealedLength(this.partSize);
  }
}
