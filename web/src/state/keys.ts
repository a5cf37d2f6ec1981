/** The keyboard map: what is shown on "?", and what each key does where lists are. */

/** What can be done by a key. */
export type Command =
  | "help" | "new-folder" | "upload" | "rename" | "trash" | "download" | "move" | "star" | "up" | "all" | "clear" | "versions";

/** A line of the map. `keys` are as on a keyboard, for people; `does` is what they do. */
export interface Shortcut {
  readonly keys: readonly string[];
  readonly does: string;
}

/** The map, by where the keys work. */
export const KEYBOARD: readonly { readonly title: string; readonly keys: readonly Shortcut[] }[] = [
  {
    title: "Move about",
    keys: [
      { keys: ["↑", "↓"], does: "Go through the list" },
      { keys: ["Home", "End"], does: "First and last entry" },
      { keys: ["Page ↑", "Page ↓"], does: "A screen further" },
      { keys: ["Enter"], does: "Open" },
      { keys: ["Backspace"], does: "To the folder above" },
    ],
  },
  {
    title: "Select",
    keys: [
      { keys: ["Space"], does: "Select or leave out" },
      { keys: ["Shift", "↑ ↓"], does: "Select a range" },
      { keys: ["Ctrl", "A"], does: "Select everything" },
      { keys: ["Esc"], does: "Select nothing" },
    ],
  },
  {
    title: "Act",
    keys: [
      { keys: ["F2"], does: "Rename" },
      { keys: ["Delete"], does: "Move to the trash" },
      { keys: ["M"], does: "Move to a folder" },
      { keys: ["D"], does: "Download" },
      { keys: ["S"], does: "Star, or take the star away" },
      { keys: ["V"], does: "Versions" },
      { keys: ["N"], does: "New folder" },
      { keys: ["U"], does: "Upload files" },
      { keys: ["Ctrl", "V"], does: "Upload what was copied" },
      { keys: ["?"], does: "This map" },
    ],
  },
];

const PLAIN: Record<string, Command> = {
  "?": "help", n: "new-folder", u: "upload", F2: "rename", Delete: "trash", d: "download", m: "move", s: "star", v: "versions",
  Backspace: "up", Escape: "clear",
};

/** What a key is for; nothing where something is typed, under a dialog, and nothing that is the browser's own. */
export function commandOf(event: KeyboardEvent): Command | undefined {
  if (event.target instanceof Element && event.target.closest("input, textarea, select, [role=menu]") !== null) return undefined;
  if (document.querySelector("dialog[open]") !== null) return undefined;
  if (event.key === "ArrowUp" && event.altKey) return "up";
  if ((event.ctrlKey || event.metaKey) && !event.altKey) return event.key.toLowerCase() === "a" ? "all" : undefined;
  if (event.altKey) return undefined;
  return PLAIN[event.key.length === 1 ? event.key.toLowerCase() : event.key];
}
