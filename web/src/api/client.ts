/** The vault's API, typed by its committed description (`npm run api` writes schema.ts). */

import createClient, { type Client } from "openapi-fetch";

import { NETWORK, Problem, problemOf } from "./problem.ts";
import { Prover } from "./proof.ts";
import type { components, paths } from "./schema.ts";

/** A client of one vault. */
export type Api = Client<paths>;

/** What the description calls `Name`. */
export type Schema<Name extends keyof components["schemas"]> = components["schemas"][Name];

/** A client of the vault that this page came from; the session travels in its cookie, and is proved where it has a key. */
export function connect(origin = "", prover = new Prover()): Api {
  return createClient<paths>({ baseUrl: `${origin}/api/v1`, credentials: "same-origin", fetch: prover.fetch });
}

interface Answer<Data> {
  data?: Data;
  error?: unknown;
  response: Response;
}

/** The content of a good answer. Everything else is a `Problem`; an abort stays what it is. */
export async function ok<Data>(asked: Promise<Answer<Data>>): Promise<NonNullable<Data>> {
  const data = (await answerOf(asked)).data;
  if (data === undefined || data === null) {
    throw new Problem({ status: 0, code: NETWORK, detail: "The answer broke off." });
  }
  return data;
}

/** Waits for an answer that has no content. */
export async function done(asked: Promise<Answer<unknown>>): Promise<void> {
  await answerOf(asked);
}

/** Waits for a good answer of this origin to a request without the description's types. */
export async function reach(asked: Promise<Response>): Promise<Response> {
  return (await answerOf(asked.then((response) => ({ response })))).response;
}

async function answerOf<Data>(asked: Promise<Answer<Data>>): Promise<Answer<Data>> {
  const answer = await asked.catch((error: unknown) => {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    // fetch says a TypeError for every failure below HTTP, and a SyntaxError is a body that broke off or is no JSON.
    if (error instanceof TypeError || error instanceof SyntaxError) {
      throw new Problem({ status: 0, code: NETWORK, detail: "The vault did not answer." });
    }
    throw error;
  });
  if (!answer.response.ok) throw problemOf(answer.response, answer.error);
  return answer;
}
