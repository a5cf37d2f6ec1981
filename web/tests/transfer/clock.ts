/** Time that a test moves by hand: what sleeps is woken when its moment has come. */

import type { Clock } from "../../src/transfer/clock.ts";

/** A clock at 0 that answers `chance` for every question of chance. */
export class TestClock implements Clock {
  time = 0;
  /** How long each sleep was asked to be. */
  readonly slept: number[] = [];
  readonly #chance: number;

  constructor(chance = 0) {
    this.#chance = chance;
  }

  now(): number {
    return this.time;
  }

  random(): number {
    return this.#chance;
  }

  /** Nothing else happens meanwhile, so the moment comes at once. */
  sleep(ms: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.slept.push(ms);
    this.time += ms;
    return Promise.resolve();
  }
}
