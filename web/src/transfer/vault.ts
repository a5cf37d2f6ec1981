/**
 * What a transfer asks the vault: each question is asked again as long as that makes sense.
 *
 * All of them are safe to repeat: the vault answers the second time what it answered the first.
 */

import { type Api, Problem, type Schema, ok } from "../api/index.ts";
import type { Clock } from "./clock.ts";
import { type Verdict, persist } from "./retry.ts";

/** A folder or file. */
export type Node = Schema<"Node">;
/** What opens a file: its address, key and salts. */
export type GrantAnswer = Schema<"Grant">;

/** Codes of a vault that will answer otherwise soon, though its status is a client's. */
const PASSING_CODES: ReadonlySet<string> = new Set(["UPLOAD_BUSY"]);
/** Codes of a state that waiting does not change, though their status is a server's. */
const LASTING_CODES: ReadonlySet<string> = new Set(["READ_ONLY", "STORED_DATA_DAMAGED"]);

/** Whether and when to ask the vault again. */
export function judgeProblem(error: unknown): Verdict {
  if (!(error instanceof Problem) || LASTING_CODES.has(error.code)) return { again: false };
  if (!error.isTemporary && !PASSING_CODES.has(error.code)) return { again: false };
  return { again: true, afterMs: error.retryAfterMs };
}

/** The vault, as transfers see it. */
export class VaultApi {
  readonly #api: Api;
  readonly #clock: Clock;

  constructor(api: Api, clock: Clock) {
    this.#api = api;
    this.#clock = clock;
  }

  /** Address, key and salts of a version of a file; of the newest without `version`. */
  grant(file: string, version: string | undefined, signal: AbortSignal): Promise<GrantAnswer> {
    const body = version === undefined ? {} : { version };
    const request = { params: { path: { id: file } }, body, signal };
    return this.#persist(signal, () => ok(this.#api.POST("/files/{id}/grant", request)));
  }

  /** An address under which the vault itself serves the file, as an attachment, for a minute from its last use. */
  async ticket(file: string, version: string | undefined, signal: AbortSignal): Promise<string> {
    const body = { disposition: "attachment" as const, ...(version === undefined ? {} : { version }) };
    const request = { params: { path: { id: file } }, body, signal };
    return (await this.#persist(signal, () => ok(this.#api.POST("/files/{id}/ticket", request)))).url;
  }

  #persist<Result>(signal: AbortSignal, ask: () => Promise<Result>): Promise<Result> {
    return persist(ask, judgeProblem, { clock: this.#clock, signal });
  }
}
