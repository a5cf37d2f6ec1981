/** How long to wait before the next attempt: longer each time, never the same for two clients. */

import type { Clock } from "./clock.ts";

/** The first wait, in milliseconds. */
export const FIRST_WAIT_MS = 500;
/** No wait is longer, unless the other side asked for it, in milliseconds. */
export const LONGEST_WAIT_MS = 30_000;

/**
 * The wait after the failure number `failures` (1 is the first): between half and all of a time that doubles with every
 * failure. Where the other side named a time, no less than that, and up to the first wait more, so that clients that
 * were sent away together do not come back together.
 */
export function waitMs(failures: number, clock: Pick<Clock, "random">, retryAfterMs?: number): number {
  const doubled = Math.min(FIRST_WAIT_MS * 2 ** (failures - 1), LONGEST_WAIT_MS);
  const own = doubled * (0.5 + clock.random() / 2);
  return retryAfterMs === undefined ? own : Math.max(own, retryAfterMs + clock.random() * FIRST_WAIT_MS);
}
