/** The browser's half of the format: pure code over WebCrypto and Web streams. docs/format.md is its contract. */

export { OpenError } from "./error.ts";
export { Geometry, K_MAX, K_MIN, MAX_PARTS, exponentFor, sealedLength } from "./geometry.ts";
