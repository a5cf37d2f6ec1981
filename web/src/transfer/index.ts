/** Transfers between the browser and the bucket, by the vault's keys and signed addresses. */

export { OpenError } from "../crypto/index.ts";
