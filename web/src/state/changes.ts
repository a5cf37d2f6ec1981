/**
 * What the owner can do to nodes, each with its words and, where it can be undone, its undo.
 *
 * Many nodes are changed as one. What went wrong with some does not stop the others, and is said once.
 */

import { Problem, type Schema, done, ok } from "../api/index.ts";
import { api } from "./access.svelte.ts";
import type { Node } from "./listing.svelte.ts";
import { notices } from "./notices.svelte.ts";
import { countText } from "./words.ts";

/** Nodes of one request: the vault's own bound. */
const MOST_AT_ONCE = 10_000;

type Listener = () => void;
const listeners = new Set<Listener>();

/** Calls when something was changed here; the answer ends it. */
export function onChange(listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Changes are told at most so often, in milliseconds: a drop of thousands is one change after another. */
const TELL_MS = 250;
let waiting: { isDue: boolean } | undefined;

/** Tells that something was changed: at once, and once more for all that follows close behind. */
export function changed(): void {
  if (waiting !== undefined) {
    waiting.isDue = true;
    return;
  }
  const turn = { isDue: false };
  waiting = turn;
  setTimeout(() => {
    waiting = undefined;
    if (turn.isDue) changed();
  }, TELL_MS);
  for (const listener of listeners) listener();
}

/** A folder or file as it is now. */
export function nodeOf(id: string): Promise<Node> {
  return ok(api.GET("/nodes/{id}", { params: { path: { id } } }));
}

/** Makes a folder; rejects with the vault's problem. */
export async function makeFolder(parent: string, name: string): Promise<Node> {
  const params = { header: { "Idempotency-Key": crypto.randomUUID() } };
  const folder = await ok(api.POST("/folders", { params, body: { parent, name } }));
  changed();
  return folder;
}

/** Renames a node as it was seen; rejects with the vault's problem. */
export async function rename(node: Node, name: string): Promise<Node> {
  const params = { path: { id: node.id }, header: { "If-Match": `"${node.revision}"` } };
  const renamed = await ok(api.PATCH("/nodes/{id}", { params, body: { name } }));
  changed();
  notices.say(`Renamed to “${renamed.name}”`, {
    label: "Undo",
    act: () => { void attempt(async () => { await patch(node.id, { name: node.name }); changed(); }); },
  });
  return renamed;
}

/** Moves nodes into a folder. */
export async function move(nodes: readonly Node[], to: Pick<Node, "id" | "name">): Promise<void> {
  const moved = await bulk(nodes, "move", to.id);
  if (moved.length === 0) return;
  const place = to.id === "root" ? "Files" : `“${to.name}”`;
  notices.say(`${named(moved)} moved to ${place}`, {
    label: "Undo",
    act: () => void moveBack(moved),
  });
}

/** Stars nodes, or takes their stars away. */
export async function star(nodes: readonly Node[], starred: boolean): Promise<void> {
  await bulk(nodes, starred ? "star" : "unstar");
}

/** Puts nodes into the trash. */
export async function trash(nodes: readonly Node[]): Promise<void> {
  const trashed = await bulk(nodes, "trash");
  if (trashed.length === 0) return;
  notices.say(`${named(trashed)} moved to the trash`, { label: "Undo", act: () => void bulk(trashed, "restore") });
}

/** Takes nodes out of the trash. */
export async function restore(nodes: readonly Node[]): Promise<void> {
  const restored = await bulk(nodes, "restore");
  if (restored.length > 0) notices.say(`${named(restored)} restored`);
}

/** Deletes trashed nodes for ever. */
export async function destroy(nodes: readonly Node[]): Promise<void> {
  const gone = await all(nodes, (ids) => ok(api.POST("/trash/delete", { body: { ids } })));
  if (gone.length > 0) notices.say(`${named(gone)} deleted for ever`);
}

/** Deletes everything in the trash for ever. */
export function emptyTrash(): Promise<void> {
  return attempt(async () => {
    await done(api.DELETE("/trash"));
    changed();
    notices.say("The trash is empty");
  });
}

/** Does something, and says what went wrong. */
export async function attempt(act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (error) {
    notices.fail(error);
  }
}

/** "“Report.pdf”", or "3 items". */
export function named(nodes: readonly Pick<Node, "name">[]): string {
  const [only] = nodes;
  return nodes.length === 1 && only !== undefined ? `“${only.name}”` : countText(nodes.length, "item", "items");
}

async function patch(id: string, body: { name: string }): Promise<Node> {
  return ok(api.PATCH("/nodes/{id}", { params: { path: { id } }, body }));
}

/** Each to the folder that it came from. */
async function moveBack(nodes: readonly Node[]): Promise<void> {
  for (const parent of new Set(nodes.map((node) => node.parent ?? "root"))) {
    await bulk(nodes.filter((node) => (node.parent ?? "root") === parent), "move", parent);
  }
}

/** Changes many nodes as one; the answer is those that are now as they should be. */
async function all(nodes: readonly Node[], ask: (ids: string[]) => Promise<Schema<"BulkResult">>): Promise<Node[]> {
  const well: Node[] = [];
  const refused: Schema<"BulkResult">["refused"] = [];
  try {
    for (let from = 0; from < nodes.length; from += MOST_AT_ONCE) {
      const some = nodes.slice(from, from + MOST_AT_ONCE);
      const result = await ask(some.map(({ id }) => id));
      const left = new Set(result.refused.map(({ id }) => id));
      refused.push(...result.refused);
      well.push(...some.filter(({ id }) => !left.has(id)));
    }
  } catch (error) {
    notices.fail(error);
  }
  changed();
  const [first] = refused;
  if (first !== undefined) notices.fail(new Problem({ status: 409, code: first.code, detail: first.detail }));
  return well;
}

function bulk(nodes: readonly Node[], action: Schema<"BulkAction">, parent?: string): Promise<Node[]> {
  const to = parent === undefined ? {} : { parent };
  return all(nodes, (ids) => ok(api.POST("/bulk", { body: { action, ids, ...to } })));
}
