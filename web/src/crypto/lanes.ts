/** Work on many small things, a few of them at once. */

/** How many calls of WebCrypto are under way at once in one thread. */
export const LANES = 16;

/**
 * Calls `work` for 0 .. `count`, in order and `LANES` at once. The first failure, or the signal, ends it.
 */
export async function inLanes(
  count: number,
  signal: AbortSignal | undefined,
  work: (index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) {
      signal?.throwIfAborted();
      const index = next;
      next += 1;
      await work(index);
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(LANES, count) }, lane));
  } finally {
    next = count;
  }
}
