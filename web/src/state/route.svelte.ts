/**
 * Where the owner is: each place of the app has an address, so that links, back and forward work.
 *
 * Addresses hold ids, never names. Each entry of the browser's history remembers how far its list was scrolled.
 */

/** The pages of the settings. */
export const SETTINGS_PAGES = ["appearance", "sessions"] as const;
export type SettingsPage = (typeof SETTINGS_PAGES)[number];

/** A place. `open` is a file of the folder that is looked at. */
export type Place =
  | { readonly view: "files"; readonly folder: string; readonly open?: string }
  | { readonly view: "trash" }
  | { readonly view: "settings"; readonly page: SettingsPage };

const ID = /^[0-9a-f]{32}$/;

/** The place of an address; an address of nothing leads home. */
export function placeOf(pathname: string, search: string): Place {
  const [, first = "", second = ""] = pathname.split("/");
  if (first === "trash") return { view: "trash" };
  if (first === "settings") return { view: "settings", page: SETTINGS_PAGES.find((page) => page === second) ?? "appearance" };
  const open = new URLSearchParams(search).get("open") ?? "";
  const folder = first === "files" && ID.test(second) ? second : "root";
  return { view: "files", folder, ...(ID.test(open) ? { open } : {}) };
}

/** The address of a place. */
export function hrefOf(place: Place): string {
  if (place.view === "trash") return "/trash";
  if (place.view === "settings") return `/settings/${place.page}`;
  const path = place.folder === "root" ? "/files" : `/files/${place.folder}`;
  return place.open === undefined ? path : `${path}?open=${place.open}`;
}

/** How far the list of each history entry is scrolled, in pixels; it ends with the page. */
const scrolls = new Map<number, number>();

/** The place that is shown. */
class Route {
  place = $state.raw<Place>(placeOf(location.pathname, location.search));
  #entry = 0;
  #entries = 0;

  constructor() {
    history.scrollRestoration = "manual";
    history.replaceState({ entry: 0 }, "");
    window.addEventListener("popstate", ({ state }: PopStateEvent) => {
      const known = (state as { entry?: unknown } | null)?.entry;
      this.#entry = typeof known === "number" ? known : 0;
      this.place = placeOf(location.pathname, location.search);
    });
  }

  /** Goes to a place, as a new entry of the history. */
  go(place: Place): void {
    if (hrefOf(place) === location.pathname + location.search) return;
    this.#entries += 1;
    this.#entry = this.#entries;
    history.pushState({ entry: this.#entry }, "", hrefOf(place));
    this.place = place;
  }

  /** Shows a place in the present entry's stead. */
  replace(place: Place): void {
    history.replaceState({ entry: this.#entry }, "", hrefOf(place));
    this.place = place;
  }

  /** Goes back to where the owner came from; to this place where they came by a link from outside. */
  leave(place: Place): void {
    if (this.#entry > 0) history.back();
    else this.replace(place);
  }

  /** How far this entry's list was scrolled. */
  get scroll(): number {
    return scrolls.get(this.#entry) ?? 0;
  }

  set scroll(pixels: number) {
    scrolls.set(this.#entry, pixels);
  }
}

/** The place that is shown. */
export const route = new Route();

/** Follows a link inside the app, unless the owner asked for a new tab. */
export function follow(event: MouseEvent, place: Place): void {
  if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  route.go(place);
}
