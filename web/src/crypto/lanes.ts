/** Work on many small things, a few of them at once. */

/**
 * How many calls of WebCrypto are under way at once in one thread.
 *
 * Each call takes one chunk of 16 KiB. In a worker of Chromium 156, beside other work on two cores, 4, 16, 64, 256 and 512
 * at once sealed 409, 432, 336, 405 and 439 MB/s: a few are enough. Calls of 64 KiB, which the format does not have: 528.
 */
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
