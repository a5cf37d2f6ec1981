/**
 * What a bucket answers when it does not do as it was asked.
 *
 * It speaks S3's XML where its CORS rules let a page read it; a refusal without those headers looks like no answer at
 * all, so status 0 is everything from a cut cable to a missing rule.
 */

import { retryAfterMs } from "../api/index.ts";

/** What went wrong: the request as such, or an answer whose headers the page may not read or can't believe. */
export type BucketErrorKind = "answer" | "headers";

/** How much of an error's XML is looked at, in characters. */
const MOST_XML = 4096;

/** A request to the bucket that did not succeed. */
export class BucketError extends Error {
  override readonly name = "BucketError";
  readonly kind: BucketErrorKind;
  /** The HTTP status; 0 where there was no answer, or none that a page may see. */
  readonly status: number;
  /** S3's code, such as `SlowDown`. */
  readonly code: string | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(message: string, status: number, more: { kind?: BucketErrorKind; code?: string | undefined; retryAfterMs?: number | undefined } = {}) {
    super(message);
    this.status = status;
    this.kind = more.kind ?? "answer";
    this.code = more.code;
    this.retryAfterMs = more.retryAfterMs;
  }

  /** Whether a new address for the same bytes may help: this one has expired. */
  get wantsNewAddress(): boolean {
    // Garage answers 400 InvalidRequest ("Date is too old").
    return this.status === 403 || (this.status === 400 && this.code === "InvalidRequest");
  }

  /** Whether the same request may succeed later. */
  get isTemporary(): boolean {
    const { status, code } = this;
    if (this.kind === "headers") return false;
    return status === 0 || status === 408 || status === 429 || status >= 500 || code === "RequestTimeout" || code === "BadDigest";
  }
}

/** The error that an answer stands for. */
export function bucketError(status: number, retryAfter: string | null, body: string): BucketError {
  const code = /<Code>([A-Za-z0-9.]{1,64})<\/Code>/.exec(body.slice(0, MOST_XML))?.[1];
  const more = { code, retryAfterMs: retryAfterMs(retryAfter, Date.now()) };
  return new BucketError(`the bucket answered ${status} ${code ?? ""}`.trimEnd(), status, more);
}
