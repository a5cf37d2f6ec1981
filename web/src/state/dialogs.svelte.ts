/** The one dialog that is open, and what it is about. */

import type { Node } from "./listing.svelte.ts";

/** The dialogs. `confirm` asks before something that can't be undone. */
export type DialogName =
  | { readonly kind: "new-folder"; readonly parent: string }
  | { readonly kind: "move"; readonly nodes: readonly Node[] }
  | { readonly kind: "versions"; readonly node: Node }
  | { readonly kind: "details"; readonly node: Node }
  | { readonly kind: "keys" }
  | { readonly kind: "confirm"; readonly title: string; readonly text: string; readonly label: string; readonly act: () => void };

class Dialogs {
  open = $state.raw<DialogName>();

  show(dialog: DialogName): void {
    this.open = dialog;
  }

  close(): void {
    this.open = undefined;
  }
}

/** The dialog that is open. */
export const dialogs = new Dialogs();
