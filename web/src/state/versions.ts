/** What a file was before. */

import { type Schema, ok } from "../api/index.ts";
import { api } from "./access.svelte.ts";
import { changed } from "./changes.ts";
import type { Node } from "./listing.svelte.ts";
import { notices } from "./notices.svelte.ts";

/** A version of a file. */
export type Version = Schema<"Version">;

/** Makes an older version the newest again, as a version of its own: nothing is lost, and no byte moves. */
export async function restoreVersion(node: Node, version: Version): Promise<void> {
  const path = { id: node.id, version: version.id };
  await ok(api.POST("/files/{id}/versions/{version}/restore", { params: { path } }));
  changed();
  notices.say(`“${node.name}” is as it was then; what it was just now is an older version`);
}
