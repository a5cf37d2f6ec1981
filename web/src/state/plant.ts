/**
 * Folders of a drop, made in the vault where they are not there yet: a folder that has the name already is gone into.
 */

import { Problem, ok } from "../api/index.ts";
import { api } from "./access.svelte.ts";
import { changed, makeFolder } from "./changes.ts";
import type { Dropped, DroppedFolder } from "./dropped.ts";

/** A file, and the id of the folder where it belongs. */
interface Planted {
  readonly file: File;
  readonly folder: string;
}

/** Nodes of one answer, where a folder is looked for by its name. */
const LOOK_LIMIT = 1000;

/** Gives each file with its folder in the vault, which is there by then. */
export async function* plant(dropped: AsyncIterable<Dropped | DroppedFolder>, parent: string): AsyncGenerator<Planted> {
  const made = new Map<string, string>([["", parent]]);
  for await (const { file, folders } of dropped) {
    let at = parent;
    for (const [depth, name] of folders.entries()) {
      const path = folders.slice(0, depth + 1).join("/");
      const known = made.get(path) ?? (await folderIn(at, name));
      made.set(path, known);
      at = known;
    }
    if (file !== undefined) yield { file, folder: at };
  }
  changed();
}

async function folderIn(parent: string, name: string): Promise<string> {
  try {
    return (await makeFolder(parent, name)).id;
  } catch (error) {
    if (!(error instanceof Problem && error.code === "DUPLICATE_RESOURCE")) throw error;
    const there = await find(parent, name);
    if (there === undefined) throw error;
    return there;
  }
}

/** Folders come first in every order, so that the first file ends the search. */
async function find(parent: string, name: string): Promise<string | undefined> {
  const wanted = name.normalize("NFC");
  let cursor: string | undefined;
  do {
    const query = { limit: LOOK_LIMIT, ...(cursor === undefined ? {} : { cursor }) };
    const page = await ok(api.GET("/nodes/{id}/children", { params: { path: { id: parent }, query } }));
    const found = page.items.find((node) => node.kind === "folder" && node.name === wanted);
    if (found !== undefined) return found.id;
    cursor = page.items.at(-1)?.kind === "folder" ? page.next : undefined;
  } while (cursor !== undefined);
  return undefined;
}
