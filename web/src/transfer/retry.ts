/**
 * Trying again. An attempt's failure is judged: worth another attempt or not.
 *
 * While the browser says that it is offline, nothing is tried and no attempt is spent.
 */

import { waitMs } from "./backoff.ts";
import type { Clock } from "./clock.ts";

/** How often one thing is tried in a row before it fails: with the waits between them about two minutes. */
export const MOST_ATTEMPTS = 9;

/** What to do after a failure. */
export type Verdict = { again: false } | { again: true; afterMs?: number | undefined };

/** Where the attempts live. */
export interface Surroundings {
  clock: Clock;
  signal: AbortSignal;
  /** Told of each failure that is followed by another attempt. */
  onFailure?: (error: unknown) => void;
}

/** The result of the first attempt that succeeds, else the error of the last one. */
export async function persist<Result>(
  attempt: () => Promise<Result>,
  judge: (error: unknown) => Verdict,
  { clock, signal, onFailure }: Surroundings,
): Promise<Result> {
  for (let failures = 1; ; failures += 1) {
    signal.throwIfAborted();
    try {
      return await attempt();
    } catch (error) {
      // What happens to a request that was stopped is no failure of it.
      signal.throwIfAborted();
      const verdict = judge(error);
      if (!verdict.again || failures >= MOST_ATTEMPTS) throw error;
      onFailure?.(error);
      await clock.sleep(waitMs(failures, clock, verdict.afterMs), signal);
      await untilOnline(signal);
    }
  }
}

/** Ready when the browser does not say that it is offline. */
export async function untilOnline(signal: AbortSignal): Promise<void> {
  // Node knows no `onLine`; what does not say "false" counts as online.
  while ((globalThis.navigator as { onLine?: boolean } | undefined)?.onLine === false) {
    await new Promise<void>((resolve, reject) => {
      signal.throwIfAborted();
      const settle = (): void => {
        removeEventListener("online", settle);
        signal.removeEventListener("abort", settle);
        if (signal.aborted) reject(signal.reason as Error);
        else resolve();
      };
      addEventListener("online", settle);
      signal.addEventListener("abort", settle);
    });
  }
}
