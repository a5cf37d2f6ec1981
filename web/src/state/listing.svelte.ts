/**
 * A list of nodes of any length, of which only the pages that are looked at are fetched.
 *
 * It knows how many nodes there are from the first answer on, so that a scroll bar and the End key tell the truth. What
 * is asked for last comes first: pages that were scrolled past are not waited for.
 */

import { type Schema } from "../api/index.ts";

/** A folder or file. */
export type Node = Schema<"Node">;
/** An order of nodes. */
export type Order = Schema<"NodeOrder">;
/** A page of nodes, and how many there are in all. */
export type NodePage = Schema<"NodePage">;

/** Nodes of a page. */
export const PAGE = 200;
/** Pages that are asked for in one request, where many are wanted. */
const MOST_PAGES = 5;

/** Gives the nodes from a place on. */
export type Fetch = (offset: number, limit: number, signal: AbortSignal) => Promise<NodePage>;

/** The list. */
export class Listing {
  /** Nodes in all; unknown before the first answer. */
  total = $state<number>();
  failure = $state.raw<unknown>();
  readonly #fetch: Fetch;
  #pages = $state.raw<ReadonlyMap<number, readonly Node[]>>(new Map());
  #generation = 0;
  #wanted: [from: number, to: number] = [0, 1];
  #isLoading = false;
  #stop = new AbortController();

  constructor(fetch: Fetch) {
    this.#fetch = fetch;
  }

  /** The node at a place, where it is known. */
  at(index: number): Node | undefined {
    return this.#pages.get(Math.floor(index / PAGE))?.[index % PAGE];
  }

  /** All nodes that are known, each with its place. */
  *known(): Generator<[index: number, node: Node]> {
    for (const [page, nodes] of this.#pages) for (const [at, node] of nodes.entries()) yield [page * PAGE + at, node];
  }

  /** Asks for the nodes of these places, which are looked at now. */
  want(from: number, to: number): void {
    this.#wanted = [from, Math.max(to, from + 1)];
    if (!this.#isLoading && this.#missing() !== undefined) void this.#load();
  }

  /** Waits for the nodes of these places, however many. */
  async load(from: number, to: number): Promise<Node[]> {
    const end = Math.min(to, this.total ?? to);
    for (let page = Math.floor(from / PAGE); page * PAGE < end; page += 1) {
      if (this.#pages.has(page)) continue;
      let last = page + 1;
      while (last * PAGE < end && last - page < MOST_PAGES && !this.#pages.has(last)) last += 1;
      await this.#get(page, last - page);
    }
    const nodes: Node[] = [];
    for (let index = from; index < end; index += 1) {
      const node = this.#pages.get(Math.floor(index / PAGE))?.[index % PAGE];
      if (node !== undefined) nodes.push(node);
    }
    return nodes;
  }

  /** Fetches anew what is looked at. What is shown stays until the answer is there. */
  async refresh(): Promise<void> {
    this.#stop.abort();
    this.#stop = new AbortController();
    this.#generation += 1;
    const [from] = this.#wanted;
    const first = Math.floor(from / PAGE);
    this.#pages = new Map([...this.#pages].filter(([page]) => page === first || page === first + 1));
    try {
      await this.#get(first, 2);
      this.failure = undefined;
    } catch (error) {
      if (!isAbort(error)) this.failure = error;
    }
    this.want(...this.#wanted);
  }

  /** Shows a changed node where it stands, before the vault's order is asked for. */
  patch(node: Node): void {
    for (const [page, nodes] of this.#pages) {
      const at = nodes.findIndex(({ id }) => id === node.id);
      if (at < 0) continue;
      this.#pages = new Map(this.#pages).set(page, nodes.with(at, node));
      return;
    }
  }

  /** Where a node stands, if it is known. */
  indexOf(id: string): number | undefined {
    for (const [index, node] of this.known()) if (node.id === id) return index;
    return undefined;
  }

  #missing(): number | undefined {
    const [from, to] = this.#wanted;
    const end = Math.min(to, this.total ?? 1);
    for (let page = Math.floor(from / PAGE); page * PAGE < end; page += 1) if (!this.#pages.has(page)) return page;
    return this.total === undefined && !this.#pages.has(0) ? 0 : undefined;
  }

  async #load(): Promise<void> {
    this.#isLoading = true;
    try {
      for (let page = this.#missing(); page !== undefined; page = this.#missing()) await this.#get(page, 1);
      this.failure = undefined;
    } catch (error) {
      if (!isAbort(error)) this.failure = error;
    } finally {
      this.#isLoading = false;
    }
  }

  async #get(page: number, count: number): Promise<void> {
    const generation = this.#generation;
    const { items, total } = await this.#fetch(page * PAGE, count * PAGE, this.#stop.signal);
    if (generation !== this.#generation) throw new DOMException("the list was begun anew", "AbortError");
    const pages = new Map(this.#pages);
    for (let part = 0; part < count; part += 1) pages.set(page + part, items.slice(part * PAGE, (part + 1) * PAGE));
    this.#pages = pages;
    this.total = total;
  }
}

function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

/** A `Fetch` for lists that are walked by cursors alone: the way to a place leads over all pages before it. */
export function byCursor(ask: (cursor: string | undefined, limit: number, signal: AbortSignal) => Promise<NodePage>): Fetch {
  return async (offset, limit, signal) => {
    let page = await ask(undefined, Math.min(1000, offset + limit), signal);
    const items = [...page.items];
    while (items.length < offset + limit && page.next !== undefined) {
      page = await ask(page.next, Math.min(1000, offset + limit - items.length), signal);
      items.push(...page.items);
    }
    return { items: items.slice(offset, offset + limit), total: page.total };
  };
}
