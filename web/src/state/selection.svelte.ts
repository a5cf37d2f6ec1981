/**
 * Which nodes of a list are chosen, and where the keyboard is.
 *
 * A choice outlives the pages that it was made on: it holds nodes, not places.
 */

import type { Listing, Node } from "./listing.svelte.ts";

/** The choice. */
export class Selection {
  /** Where the keyboard is, as a place in the list. */
  cursor = $state(0);
  /** Whether the next taps add to the choice, as after a long press. */
  isGathering = $state(false);
  #chosen = $state.raw<ReadonlyMap<string, Node>>(new Map());
  #anchor = 0;

  get size(): number {
    return this.#chosen.size;
  }

  /** The chosen nodes, in the order in which they were chosen. */
  get nodes(): Node[] {
    return [...this.#chosen.values()];
  }

  has(id: string): boolean {
    return this.#chosen.has(id);
  }

  clear(): void {
    this.isGathering = false;
    this.#set([]);
  }

  /** Chooses one node alone. */
  only(index: number, node: Node | undefined): void {
    this.cursor = index;
    this.#anchor = index;
    this.#set(node === undefined ? [] : [node]);
  }

  /** Adds a node, or takes it out. */
  toggle(index: number, node: Node): void {
    this.cursor = index;
    this.#anchor = index;
    const chosen = new Map(this.#chosen);
    if (!chosen.delete(node.id)) chosen.set(node.id, node);
    this.#chosen = chosen;
    if (chosen.size === 0) this.isGathering = false;
  }

  /** Chooses everything from where the choice began to here; pages that are not there yet are fetched. */
  async extend(index: number, list: Listing): Promise<void> {
    this.cursor = index;
    const [from, to] = [Math.min(this.#anchor, index), Math.max(this.#anchor, index)];
    this.#set(await list.load(from, to + 1));
  }

  /** Chooses the whole list. */
  async all(list: Listing): Promise<void> {
    this.#set(await list.load(0, list.total ?? 0));
  }

  /** Takes over what is known anew of the chosen nodes. */
  renew(nodes: Iterable<Node>): void {
    if (this.#chosen.size === 0) return;
    const chosen = new Map(this.#chosen);
    for (const node of nodes) if (chosen.has(node.id)) chosen.set(node.id, node);
    this.#chosen = chosen;
  }

  #set(nodes: readonly Node[]): void {
    this.#chosen = new Map(nodes.map((node) => [node.id, node]));
  }
}
