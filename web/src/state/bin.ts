/** The trash as a list. */

import { ok } from "../api/index.ts";
import { api } from "./access.svelte.ts";
import { Listing, byCursor } from "./listing.svelte.ts";

/** What was put into the trash, newest first. */
export function trashList(): Listing {
  return new Listing(byCursor((cursor, limit, signal) => {
    const query = { limit, ...(cursor === undefined ? {} : { cursor }) };
    return ok(api.GET("/trash", { params: { query }, signal }));
  }));
}
