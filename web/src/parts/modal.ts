/** A `<dialog>` that is open for as long as its component is there. */

/** Opens a dialog over the page. The focus begins at the first thing to do, and goes back to where it was in the end. */
export function modal(dialog: HTMLDialogElement): () => void {
  const before = document.activeElement;
  dialog.showModal();
  (dialog.querySelector<HTMLElement>(".body :is(input, button:not(:disabled))") ?? dialog).focus();
  return () => {
    // A dialog that is taken away takes the focus with it: the browser gives it back only from one that is closed.
    if (document.activeElement === document.body && before instanceof HTMLElement) before.focus({ preventScroll: true });
  };
}
