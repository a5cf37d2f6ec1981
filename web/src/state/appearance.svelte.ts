/** Light, dark, or as the system is; remembered by this browser. */

/** The choices. */
export const APPEARANCES = ["system", "light", "dark"] as const;
export type AppearanceName = (typeof APPEARANCES)[number];

const KEY = "coffer-appearance";

class Appearance {
  #name = $state<AppearanceName>(read());

  constructor() {
    show(this.#name);
  }

  get name(): AppearanceName {
    return this.#name;
  }

  set name(name: AppearanceName) {
    this.#name = name;
    localStorage.setItem(KEY, name);
    show(name);
  }
}

/** How the app looks. */
export const appearance = new Appearance();

function read(): AppearanceName {
  const kept = localStorage.getItem(KEY);
  return APPEARANCES.find((name) => name === kept) ?? "system";
}

function show(name: AppearanceName): void {
  if (name === "system") delete document.documentElement.dataset.appearance;
  else document.documentElement.dataset.appearance = name;
}
