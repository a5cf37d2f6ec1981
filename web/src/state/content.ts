/** A file's content as the app shows it: by an address that players understand, or as text. */

import { ok, reach } from "../api/index.ts";
import { api } from "./access.svelte.ts";
import type { Node } from "./listing.svelte.ts";

/** Most of a text that is shown, in bytes. */
export const MOST_TEXT = 1024 * 1024;

/** An address of this origin under which the newest version is shown: the service worker's, or the vault's own. */
export async function addressOf(node: Node): Promise<string> {
  const version = node.file?.version;
  const { serviceWorker } = navigator as { serviceWorker?: ServiceWorkerContainer };
  if (serviceWorker !== undefined && serviceWorker.controller !== null) {
    return `/stream/${node.id}?disposition=inline${version === undefined ? "" : `&version=${version}`}`;
  }
  const body = { disposition: "inline" as const, ...(version === undefined ? {} : { version }) };
  return (await ok(api.POST("/files/{id}/ticket", { params: { path: { id: node.id } }, body }))).url;
}

/** The beginning of a file as text; nothing where it is no text. */
export async function textOf(node: Node, signal: AbortSignal): Promise<string | undefined> {
  const size = node.file?.size_bytes ?? 0;
  if (size === 0) return "";
  const range = `bytes=0-${Math.min(size, MOST_TEXT) - 1}`;
  const answer = await reach(fetch(await addressOf(node), { headers: { range }, signal }));
  const bytes = new Uint8Array(await answer.arrayBuffer());
  return bytes.includes(0) ? undefined : new TextDecoder().decode(bytes);
}
