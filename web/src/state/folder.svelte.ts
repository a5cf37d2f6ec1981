/**
 * The folder that is shown: its way down from the root, its list and its order.
 *
 * Lists that were left a moment ago are kept, so that going back is at once; they are fetched anew behind that.
 */

import { Problem, ok } from "../api/index.ts";
import { api } from "./access.svelte.ts";
import { nodeOf } from "./changes.ts";
import { Listing, type Node, type Order } from "./listing.svelte.ts";

/** What a list can be ordered by. */
export type SortKey = "name" | "size" | "modified" | "kind";

const ORDER_KEY = "coffer-order";
const ORDERS: readonly Order[] = ["name", "-name", "size", "-size", "modified", "-modified", "kind", "-kind"];
/** Lists that are kept. */
const MOST_LISTS = 12;

/** The root as it is shown: its own name is the vault's business. */
export const ROOT = { id: "root", name: "Files" } as const;

class Folder {
  id = $state("root");
  order = $state<Order>(ORDERS.find((order) => order === localStorage.getItem(ORDER_KEY)) ?? "name");
  /** The folders from below the root to this one; empty in the root, and while it is not known. */
  path = $state.raw<readonly Node[]>([]);
  /** Whether the folder is not there any more. */
  isGone = $state(false);
  list = $state.raw<Listing>(new Listing(() => new Promise(() => undefined)));
  readonly #lists = new Map<string, Listing>();

  get name(): string {
    return this.path.at(-1)?.name ?? ROOT.name;
  }

  /** Shows a folder. */
  show(id: string): void {
    this.id = id;
    this.isGone = false;
    this.#show();
    void this.#walk(id);
  }

  /** Orders by this; by the same again turns it around. */
  sortBy(key: SortKey): void {
    this.order = this.order === key ? `-${key}` : key;
    localStorage.setItem(ORDER_KEY, this.order);
    this.#show();
  }

  /** Fetches anew what is shown, and forgets what was kept of other folders. */
  async refresh(): Promise<void> {
    const shown = this.list;
    for (const [key, list] of this.#lists) if (list !== shown) this.#lists.delete(key);
    await Promise.all([shown.refresh(), this.#walk(this.id)]);
  }

  #show(): void {
    const key = `${this.order} ${this.id}`;
    const known = this.#lists.get(key);
    const list = known ?? new Listing(listChildren(this.id, this.order));
    this.#lists.delete(key);
    this.#lists.set(key, list);
    const [oldest] = this.#lists.keys();
    if (this.#lists.size > MOST_LISTS && oldest !== undefined) this.#lists.delete(oldest);
    this.list = list;
    if (known !== undefined) void known.refresh();
  }

  /** Looks up the folders above; what is known already is shown meanwhile. */
  async #walk(id: string): Promise<void> {
    const known = this.path.findIndex((folder) => folder.id === id);
    this.path = known < 0 ? [] : this.path.slice(0, known + 1);
    if (id === "root") return;
    try {
      const asked = ok(api.GET("/nodes/{id}/path", { params: { path: { id } } }));
      const [folder, { items }] = await Promise.all([nodeOf(id), asked]);
      if (this.id === id) this.path = [...items.filter((above) => above.id !== "root"), folder];
    } catch (error) {
      if (this.id === id && error instanceof Problem && error.status === 404) this.isGone = true;
    }
  }
}

/** The folder that is shown. */
export const folder = new Folder();

function listChildren(id: string, sort: Order): ConstructorParameters<typeof Listing>[0] {
  return (offset, limit, signal) => {
    const params = { path: { id }, query: { sort, offset, limit } };
    return ok(api.GET("/nodes/{id}/children", { params, signal }));
  };
}
