/** The vault's API, typed by its committed description (`npm run api` writes schema.ts). */

import createClient, { type Client } from "openapi-fetch";

import type { components, paths } from "./schema.ts";

/** A client of one vault. */
export type Api = Client<paths>;

/** What the description calls `Name`. */
export type Schema<Name extends keyof components["schemas"]> = components["schemas"][Name];

/** A client of the vault that this page came from, or of the one at `origin`. */
export function connect(origin = ""): Api {
  return createClient<paths>({ baseUrl: `${origin}/api/v1`, credentials: "same-origin" });
}
