/**
 * How fast it goes, and how long it will take: an average that forgets.
 *
 * What is `TIME_CONSTANT_MS` ago counts for 1/e of what happens now. Bytes and time fade alike, so the figure is right
 * from the first moment on, and a pause of the caller's own making is left out by `pause`.
 */

/** How fast the past is forgotten, in milliseconds. */
export const TIME_CONSTANT_MS = 5_000;
/** Less than this says nothing yet, in milliseconds. */
const LEAST_MS = 250;

/** The rate of a count of bytes that grows. */
export class Rate {
  #bytes = 0;
  #time = 0;
  #last: { at: number; total: number } | undefined;

  /** Tells the count as it stands; a count that fell (an attempt was lost) starts anew from there. */
  observe(total: number, now: number): void {
    const last = this.#last;
    this.#last = { at: now, total };
    if (last === undefined || now <= last.at) return;
    const elapsed = now - last.at;
    const kept = Math.exp(-elapsed / TIME_CONSTANT_MS);
    this.#bytes = this.#bytes * kept + Math.max(0, total - last.total) * (TIME_CONSTANT_MS / elapsed) * (1 - kept);
    this.#time = this.#time * kept + TIME_CONSTANT_MS * (1 - kept);
  }

  /** Leaves the time until the next observation out. */
  pause(): void {
    this.#last = undefined;
  }

  /** Bytes each second; `undefined` while too little was seen. */
  get bytesPerSecond(): number | undefined {
    return this.#time < LEAST_MS ? undefined : (this.#bytes / this.#time) * 1000;
  }

  /** Seconds for so many bytes more; `undefined` while nothing moves. */
  secondsFor(bytes: number): number | undefined {
    const rate = this.bytesPerSecond;
    return rate === undefined || rate < 1 ? undefined : bytes / rate;
  }
}
