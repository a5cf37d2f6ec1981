/** Nodes that are dragged inside the app. What comes from outside are files, and looks otherwise. */

import { hasFiles } from "../state/dropped.ts";
import type { Node } from "../state/listing.svelte.ts";

/** The type under which nodes are dragged: no other page knows what to do with it. */
export const NODES = "application/x-coffer-nodes";

/** What is dragged at this moment: a browser tells the types only while it is on its way. */
let held: readonly Node[] = [];

/** Nodes that were dropped. */
export function droppedNodes(data: DataTransfer): readonly Node[] {
  return data.types.includes(NODES) ? held : [];
}

/** Begins to drag nodes. */
export function beginDrag(event: DragEvent, nodes: readonly Node[]): void {
  held = nodes;
  if (event.dataTransfer === null) return;
  event.dataTransfer.setData(NODES, String(nodes.length));
  event.dataTransfer.effectAllowed = "move";
}

/** Nothing is dragged any more. */
export function endDrag(): void {
  held = [];
}

/** Whether a folder may take what is dragged; if so, the browser is told. A folder never goes into itself. */
export function acceptDrop(event: DragEvent, folder: string): boolean {
  const data = event.dataTransfer;
  if (data === null) return false;
  const isMove = data.types.includes(NODES);
  if (isMove ? held.some(({ id, parent }) => id === folder || parent === folder) : !hasFiles(data)) return false;
  event.preventDefault();
  data.dropEffect = isMove ? "move" : "copy";
  return true;
}
