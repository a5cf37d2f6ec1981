/**
 * Brings sealed parts to the bucket: signed, put, put again as the same bytes, confirmed.
 *
 * Signing and confirming go to the vault in batches. A new address is asked for when one was refused or has grown old.
 */

import { type SealedBody, toHex } from "../crypto/index.ts";
import { Batch } from "./batch.ts";
import { BucketError } from "./bucket.ts";
import type { Clock } from "./clock.ts";
import type { Concurrency } from "./concurrency.ts";
import type { Draft, Drafts, PartToConfirm, PartToSign, SignedPart } from "./drafts.ts";
import { put } from "./put.ts";
import { type Verdict, persist } from "./retry.ts";


/** No batch is larger (the vault's own limit). */
const MOST_PARTS = 100;
/** How long a part waits for others before it is signed, and before it is confirmed, in milliseconds. */
const SIGN_LINGER_MS = 5;
const CONFIRM_LINGER_MS = 2_000;
/** An address that was given out longer ago is not tried again, in milliseconds. */
const OLD_ADDRESS_MS = 2 * 60_000;

/** What it works with. */
export interface CourierTools {
  drafts: Drafts;
  concurrency: Concurrency;
  clock: Clock;
}

/** What has arrived can't be used: the upload has to begin anew. */
export class Unusable extends Error {
  override readonly name = "Unusable";
  /** Because the file is another one than the one that was sent. */
  readonly isOtherFile: boolean;

  constructor(isOtherFile: boolean) {
    super("the upload has to begin anew");
    this.isOtherFile = isOtherFile;
  }
}

/** The way to the bucket for the parts of one upload. */
export class Courier {
  readonly #tools: CourierTools;
  readonly #draft: Draft;
  readonly #signing: Batch<PartToSign, SignedPart>;
  readonly #confirming: Batch<PartToConfirm, undefined>;

  constructor(tools: CourierTools, draft: Draft, signal: AbortSignal) {
    this.#tools = tools;
    this.#draft = draft;
    const { drafts } = tools;
    const ask = (parts: PartToSign[]): Promise<SignedPart[]> => drafts.sign(draft.id, parts, signal);
    this.#signing = new Batch({ ask, most: MOST_PARTS, lingerMs: SIGN_LINGER_MS });
    this.#confirming = new Batch({
      ask: async (parts) => {
        await drafts.confirm(draft.id, parts, signal);
        return parts.map(() => undefined);
      },
      most: MOST_PARTS,
      lingerMs: CONFIRM_LINGER_MS,
    });
  }

  /** Puts a part. The answer waits until the vault has confirmed it, which needs no place in memory any more. */
  async deliver(part: number, sealed: SealedBody, moved: (bytes: number) => void, signal: AbortSignal): Promise<() => Promise<void>> {
    const salt = toHex(sealed.salt);
    const etag = await this.#put(toSign(part, salt, sealed), sealed.body, moved, signal);
    return async () => { await this.#confirming.add({ part, salt, ...(etag === undefined ? {} : { etag }) }); };
  }

  /** Nothing more will come: what waits for company goes now. */
  hurry(): void {
    this.#confirming.flush();
    // The last one is added after this call.
    setTimeout(() => { this.#confirming.flush(); }, 0);
  }

  /** The entity tag; `undefined` where an earlier attempt had arrived, so that the bucket refused a second one. */
  async #put(wanted: PartToSign, body: Blob, moved: (bytes: number) => void, signal: AbortSignal): Promise<string | undefined> {
    const { clock, concurrency } = this.#tools;
    let address: SignedPart | undefined;
    let signedAt = 0;
    const attempt = async (): Promise<string | undefined> => {
      if (address === undefined || clock.now() - signedAt > OLD_ADDRESS_MS) {
        address = await this.#signing.add(wanted);
        signedAt = clock.now();
      }
      const begun = clock.now();
      try {
        const etag = await put(address, body, { signal, onProgress: moved });
        concurrency.succeeded(body.size, clock.now() - begun, clock.now());
        return etag;
      } catch (error) {
        const isThere = this.#draft.single_put && error instanceof BucketError && error.status === 412;
        if (!isThere) throw error;
        // These bytes, or another encryption that an earlier page put there: the completion tells. This page can't, since
        // browsers send a request again by themselves when a connection that was used before breaks.
        return undefined;
      }
    };
    const onFailure = (error: unknown): void => {
      moved(0);
      if (!(error instanceof BucketError)) return;
      if (error.wantsNewAddress) address = undefined;
      else concurrency.failed(clock.now());
    };
    return persist(attempt, judge, { clock, signal, onFailure });
  }
}

/** The vault's refusals were tried again already where they were asked. */
function judge(error: unknown): Verdict {
  if (!(error instanceof BucketError)) return { again: false };
  return error.isTemporary || error.wantsNewAddress ? { again: true, afterMs: error.retryAfterMs } : { again: false };
}

function toSign(part: number, salt: string, sealed: SealedBody): PartToSign {
  const known = { part, length: sealed.body.size, sha256: toHex(sealed.sha256), salt };
  return sealed.md5 === undefined ? known : { ...known, md5: toHex(sealed.md5) };
}
