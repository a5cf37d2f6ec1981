/** What a file was before. */

import { type Schema, reach } from "../api/index.ts";
import { streamUrl } from "../transfer/index.ts";
import type { Node } from "./listing.svelte.ts";
import { transfers } from "./transfers.svelte.ts";

/** A version of a file. */
export type Version = Schema<"Version">;

/**
 * Makes an older version the newest again, as a version of its own: nothing is lost. The bytes come down and go up again
 * as a transfer; the browser keeps them on its disk meanwhile, not in the page.
 */
export async function restoreVersion(node: Node, version: Version): Promise<void> {
  const content = await (await reach(fetch(streamUrl(node.id, version.id)))).blob();
  transfers.replace(node, new File([content], node.name, { type: version.media_type }));
}
