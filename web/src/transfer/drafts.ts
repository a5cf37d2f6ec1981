/**
 * Unfinished uploads at the vault: begun, looked up, signed, confirmed, completed, cancelled.
 *
 * Each question is asked again as long as that makes sense; all of them are safe to repeat.
 */

import { type Api, Problem, type Schema, done, ok } from "../api/index.ts";
import type { Clock } from "./clock.ts";
import { persist } from "./retry.ts";
import { type Node, judgeProblem } from "./vault.ts";

/** An upload that has begun and not ended. */
export type Draft = Schema<"Upload">;
/** The same in a list: without its key and its parts. */
export type Unfinished = Schema<"UploadSummary">;
/** What to send next: where, and with which headers. */
export type SignedPart = Schema<"SignedPart">;
/** What is known of a part before it is sent. */
export type PartToSign = Schema<"SealedPart">;
/** What is known of a part after it was sent. */
export type PartToConfirm = Schema<"SentPart">;
/** A new upload: of what, and where to. */
export type NewUpload = Schema<"NewUpload">;

/** The vault's uploads. */
export class Drafts {
  readonly #api: Api;
  readonly #clock: Clock;

  constructor(api: Api, clock: Clock) {
    this.#api = api;
    this.#clock = clock;
  }

  /** Begins an upload. The same `key` gives the same upload again. */
  begin(upload: NewUpload, key: string, signal: AbortSignal): Promise<Draft> {
    const params = { header: { "Idempotency-Key": key } };
    return this.#persist(signal, () => ok(this.#api.POST("/uploads", { params, body: upload, signal })));
  }

  /** An upload with its key and its confirmed parts. */
  draft(id: string, signal: AbortSignal): Promise<Draft> {
    return this.#persist(signal, () => ok(this.#api.GET("/uploads/{id}", { params: { path: { id } }, signal })));
  }

  /** All unfinished uploads. */
  async unfinished(signal: AbortSignal): Promise<Unfinished[]> {
    return (await this.#persist(signal, () => ok(this.#api.GET("/uploads", { signal })))).items;
  }

  /** Addresses for these parts, in their order. */
  async sign(id: string, parts: PartToSign[], signal: AbortSignal): Promise<SignedPart[]> {
    const request = { params: { path: { id } }, body: { parts }, signal };
    return (await this.#persist(signal, () => ok(this.#api.POST("/uploads/{id}/parts", request)))).items;
  }

  /** Tells that these parts have arrived. */
  async confirm(id: string, parts: PartToConfirm[], signal: AbortSignal): Promise<void> {
    const request = { params: { path: { id } }, body: { parts }, signal };
    await this.#persist(signal, () => ok(this.#api.POST("/uploads/{id}/parts/confirm", request)));
  }

  /** Makes the file of its parts. */
  complete(id: string, contentHash: string, signal: AbortSignal): Promise<Node> {
    const request = { params: { path: { id } }, body: { content_hash: contentHash }, signal };
    return this.#persist(signal, () => ok(this.#api.POST("/uploads/{id}/complete", request)));
  }

  /** Frees everything that an upload holds; one that is gone already is what is wanted. */
  async cancel(id: string, signal: AbortSignal): Promise<void> {
    const request = { params: { path: { id } }, signal };
    try {
      await this.#persist(signal, () => done(this.#api.DELETE("/uploads/{id}", request)));
    } catch (error) {
      if (!(error instanceof Problem && (error.status === 404 || error.status === 410))) throw error;
    }
  }

  #persist<Result>(signal: AbortSignal, ask: () => Promise<Result>): Promise<Result> {
    return persist(ask, judgeProblem, { clock: this.#clock, signal });
  }
}
