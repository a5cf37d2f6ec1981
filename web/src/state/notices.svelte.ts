/** Short messages at the edge of the screen: what was done, with its undo, and what went wrong, with what to do. */

import { NETWORK, Problem } from "../api/index.ts";

/** How long a message stays, in milliseconds; one with something to do stays longer. */
const STAY_MS = 4_000;
const STAY_WITH_ACTION_MS = 10_000;
/** Messages at one time; the oldest goes. */
const MOST = 3;

/** A message. */
export interface Notice {
  readonly id: number;
  readonly text: string;
  readonly isFailure: boolean;
  readonly action: { readonly label: string; readonly act: () => void } | undefined;
}

class Notices {
  all = $state.raw<readonly Notice[]>([]);
  #last = 0;

  /** Says what was done, and how to undo it. */
  say(text: string, action?: Notice["action"]): void {
    this.#add({ id: ++this.#last, text, isFailure: false, action });
  }

  /** Says what went wrong. */
  fail(error: unknown): void {
    this.#add({ id: ++this.#last, text: explain(error), isFailure: true, action: undefined });
  }

  dismiss(id: number): void {
    this.all = this.all.filter((notice) => notice.id !== id);
  }

  #add(notice: Notice): void {
    this.all = [...this.all, notice].slice(-MOST);
    const stays = notice.action === undefined && !notice.isFailure ? STAY_MS : STAY_WITH_ACTION_MS;
    setTimeout(() => { this.dismiss(notice.id); }, stays);
  }
}

/** The messages that are shown. */
export const notices = new Notices();

/** What to do, beside what the vault says itself. */
const ADVICE: Record<string, string> = {
  [NETWORK]: "The vault can't be reached. Check the connection and try again.",
  DUPLICATE_RESOURCE: "That name is taken here. Choose another one.",
  PRECONDITION_FAILED: "It was changed elsewhere meanwhile. Look again, then try once more.",
  FILE_NOT_FOUND: "It is no longer there: it was moved, trashed or deleted elsewhere.",
  NOT_FOUND: "It is no longer there: it was moved, trashed or deleted elsewhere.",
  READ_ONLY: "The vault takes no changes now. Whoever runs it finds the reason in its log.",
  RATE_LIMITED: "That was too much at once. Wait a little and try again.",
  AUTHENTICATION_REQUIRED: "Your session has ended. Log in again to go on.",
  TOKEN_EXPIRED: "Your session has ended. Log in again to go on.",
  INVALID_TOKEN: "Your session has ended. Log in again to go on.",
};

/** An error in words that say what to do. */
export function explain(error: unknown): string {
  if (error instanceof Problem) return ADVICE[error.code] ?? error.detail;
  return error instanceof Error ? `Something unexpected happened: ${error.message}` : "Something unexpected happened.";
}
