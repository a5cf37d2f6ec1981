/** Time and chance as arguments, so that what waits can be tried without waiting. */

/** Where time and chance come from. */
export interface Clock {
  /** Milliseconds since some moment; never goes back. */
  now(): number;
  /** A number in [0, 1). */
  random(): number;
  /** Waits; rejects with the signal's reason as soon as it is aborted. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** The browser's. */
export const systemClock: Clock = {
  now: () => performance.now(),
  random: () => Math.random(),
  sleep,
};

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const stop = (): void => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal.addEventListener("abort", stop, { once: true });
  });
}
