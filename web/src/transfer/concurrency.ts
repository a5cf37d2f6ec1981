/**
 * How many parts travel at one time: one more as long as that makes it faster, half as many after a failure.
 *
 * Additive increase, multiplicative decrease. A round is as many finished parts as may travel; it is judged by the bytes
 * it moved each second. Many failures close together are one event: a network that stutters fails all that is on its way.
 */

/** Parts at one time to begin with. */
export const FIRST_LIMIT = 3;
/** Never more: browsers open six connections to a host that speaks HTTP/1.1, and the vault may be on the same one. */
export const HIGHEST_LIMIT = 5;
/** A part that takes longer shares a slow line with too many, in milliseconds. */
export const SLOW_PART_MS = 30_000;
/** Failures within this time of a decrease belong to the same event, in milliseconds. */
const ONE_EVENT_MS = 5_000;
/** A rate counts as higher when it is so many times the old one. */
const GAIN = 1.05;
/** After so many rounds without a change one more is tried again. */
const ROUNDS_UNTIL_RETRY = 8;

/** The limit, as it learns. */
export class Concurrency {
  #limit = FIRST_LIMIT;
  #round: { begun: number; parts: number; bytes: number } | undefined;
  /** The rate before the last increase, while that is on trial. */
  #before: number | undefined;
  #quiet = 0;
  #decreasedAt = -Infinity;

  /** How many parts may travel. */
  get limit(): number {
    return this.#limit;
  }

  /** A part of so many bytes arrived `tookMs` after it was sent off. */
  succeeded(bytes: number, tookMs: number, now: number): void {
    if (tookMs > SLOW_PART_MS) {
      this.failed(now);
      return;
    }
    this.#round ??= { begun: now - tookMs, parts: 0, bytes: 0 };
    this.#round.parts += 1;
    this.#round.bytes += bytes;
    if (this.#round.parts >= this.#limit) this.#judge(this.#round, now);
  }

  /** A part did not arrive, or the other side asked for less. */
  failed(now: number): void {
    this.#round = undefined;
    this.#before = undefined;
    if (now - this.#decreasedAt < ONE_EVENT_MS) return;
    this.#decreasedAt = now;
    this.#limit = Math.max(1, Math.floor(this.#limit / 2));
    this.#quiet = 0;
  }

  #judge(round: { begun: number; bytes: number }, now: number): void {
    const rate = round.bytes / Math.max(1, now - round.begun);
    this.#round = undefined;
    const before = this.#before;
    this.#before = undefined;
    if (before !== undefined && rate < before * GAIN) {
      this.#limit -= 1;
      this.#quiet = 1;
    } else if (this.#quiet > 0) {
      this.#quiet = (this.#quiet + 1) % ROUNDS_UNTIL_RETRY;
    } else if (this.#limit < HIGHEST_LIMIT) {
      this.#before = rate;
      this.#limit += 1;
    }
  }
}
