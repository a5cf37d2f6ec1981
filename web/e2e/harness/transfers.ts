/** Transfers in a page, as a test begins and watches them. */

import type { Page } from "playwright-core";

import type * as Library from "../../src/transfer/index.ts";

declare global {
  interface Window {
    transfers: Library.Transfers;
  }
}

/** A transfer as a test looks at it. */
export interface Seen {
  state: Library.State;
  moved: number;
  size: number;
  bytesPerSecond: number | undefined;
  secondsLeft: number | undefined;
  notice: string | undefined;
  node: Library.Node | undefined;
  failure: { reason: string; message: string; next: string; remedy: string } | undefined;
}

/** Looks at a transfer. */
export async function look(page: Page, id: string): Promise<Seen> {
  return page.evaluate((id) => {
    const found = window.transfers.snapshots().find((one) => one.id === id);
    if (found === undefined) throw new Error("no such transfer");
    const { state, moved, size, bytesPerSecond, secondsLeft, notice, outcome, failure } = found;
    const why = failure && { reason: failure.reason, message: failure.message, next: failure.next, remedy: failure.remedy };
    return { state, moved, size, bytesPerSecond, secondsLeft, notice, node: outcome?.node, failure: why };
  }, id);
}

/** Waits until a look at a transfer pleases. */
export async function until(page: Page, id: string, pleases: (seen: Seen) => boolean, limitMs = 240_000): Promise<Seen> {
  const end = Date.now() + limitMs;
  for (;;) {
    const seen = await look(page, id);
    if (pleases(seen)) return seen;
    if (Date.now() > end) throw new Error(`it stands at ${JSON.stringify(seen)}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

/** Waits until a transfer has ended, and says how. */
export async function ended(page: Page, id: string, limitMs?: number): Promise<Seen> {
  return until(page, id, ({ state }) => state === "done" || state === "failed" || state === "cancelled", limitMs);
}

/** Waits for a transfer that must succeed. */
export async function succeeded(page: Page, id: string, limitMs?: number): Promise<Seen> {
  const seen = await ended(page, id, limitMs);
  if (seen.state !== "done") throw new Error(`it ended as ${JSON.stringify(seen)}`);
  return seen;
}
