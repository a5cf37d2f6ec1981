/**
 * What the owner can do to nodes, each with its words and, where it can be undone, its undo.
 *
 * Many nodes are changed a few at a time. What went wrong with some does not stop the others, and is said once.
 */

import { NETWORK, Problem, done, ok } from "../api/index.ts";
import { api } from "./access.svelte.ts";
import type { Node } from "./listing.svelte.ts";
import { notices } from "./notices.svelte.ts";
import { countText } from "./words.ts";

/** Requests at one time. */
const AT_ONCE = 4;

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
  const moved = await each(nodes, (node) => patch(node.id, { parent: to.id }));
  if (moved.length === 0) return;
  const place = to.id === "root" ? "Files" : `“${to.name}”`;
  notices.say(`${named(moved)} moved to ${place}`, {
    label: "Undo",
    act: () => void each(moved, (node) => patch(node.id, { parent: node.parent ?? "root" })),
  });
}

/** Stars nodes, or takes their stars away. */
export async function star(nodes: readonly Node[], starred: boolean): Promise<void> {
  await each(nodes.filter((node) => node.starred !== starred), (node) => patch(node.id, { starred }));
}

/** Puts nodes into the trash. */
export async function trash(nodes: readonly Node[]): Promise<void> {
  const trashed = await each(nodes, (node) => done(api.DELETE("/nodes/{id}", { params: { path: { id: node.id } } })));
  if (trashed.length === 0) return;
  notices.say(`${named(trashed)} moved to the trash`, { label: "Undo", act: () => void each(trashed, (node) => takeBack(node.id)) });
}

/** Takes nodes out of the trash. */
export async function restore(nodes: readonly Node[]): Promise<void> {
  const restored = await each(nodes, (node) => takeBack(node.id));
  if (restored.length > 0) notices.say(`${named(restored)} restored`);
}

/** Deletes trashed nodes for ever. */
export async function destroy(nodes: readonly Node[]): Promise<void> {
  const gone = await each(nodes, (node) => done(api.DELETE("/trash/{id}", { params: { path: { id: node.id } } })));
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

async function patch(id: string, body: { name?: string; parent?: string; starred?: boolean }): Promise<Node> {
  return ok(api.PATCH("/nodes/{id}", { params: { path: { id } }, body }));
}

async function takeBack(id: string): Promise<Node> {
  return ok(api.POST("/nodes/{id}/restore", { params: { path: { id } } }));
}

/** Acts on every node; the answer is those with which it went well. */
async function each(nodes: readonly Node[], act: (node: Node) => Promise<unknown>): Promise<Node[]> {
  const rest = [...nodes];
  const well: Node[] = [];
  const failures: [Node, unknown][] = [];
  const work = async (): Promise<void> => {
    for (let node = rest.shift(); node !== undefined; node = rest.shift()) {
      try {
        await act(node);
        well.push(node);
      } catch (error) {
        failures.push([node, error]);
        // Without a vault there is no use in asking for the others.
        if (error instanceof Problem && (error.code === NETWORK || error.status === 401)) rest.length = 0;
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  changed();
  const [first] = failures;
  if (first !== undefined) notices.fail(failures.length === 1 || well.length === 0 ? first[1] : new Error(`${failures.length} of ${nodes.length} were left out`));
  return well;
}
