/** The browser's half of the format: pure code over WebCrypto and Web streams. docs/format.md is its contract. */

export { type Bytes, fromBase64, fromHex, toHex } from "./bytes.ts";
export { type MessageKey as DataKey, importMessageKey as importDataKey } from "./cobblestone.ts";
export {
  type BlobShape,
  type PartHashes,
  type SealedPart,
  type WrittenShape,
  contentHash,
  hashPart,
  openPart,
  sealPart,
  shapeOf,
  splitSalts,
} from "./content.ts";
export { OpenError } from "./error.ts";
export { Geometry, K_MAX, K_MIN, MAX_PARTS, exponentFor, sealedLength } from "./geometry.ts";
export type { SealedBody } from "./part-work.ts";
export { MAX_WAITING, PartPool, type SealOptions } from "./pool.ts";
export { type PartSlice, type RangePlan, planRange } from "./range.ts";
export { openRange } from "./stream.ts";
