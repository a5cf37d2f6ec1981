/**
 * One transfer as its owner sees it: it runs, is paused, goes on, ends.
 *
 * What it does is its `Work`, which knows nothing of states: it runs until it is done, fails, or its signal says stop,
 * and can be run again from where it stopped.
 */

import type { Clock } from "./clock.ts";
import { type Failure, failureOf } from "./failure.ts";
import { Rate } from "./rate.ts";
import type { Node } from "./vault.ts";

/** Where a transfer stands. `checking` compares a picked file with what has arrived. */
export type State = "queued" | "checking" | "running" | "paused" | "failed" | "done" | "cancelled";

/** What the owner should know though nothing failed: the picked file was another one, and all of it is sent anew. */
export type Notice = "FILE_CHANGED";

/** What a transfer made: a file in the vault, a small file's content, or nothing that is in our hands. */
export interface Outcome {
  node?: Node;
  blob?: Blob;
}

/** What a work tells while it runs. */
export interface Report {
  state(state: "checking" | "running"): void;
  notice(notice: Notice): void;
}

/** What a transfer does. */
export interface Work {
  readonly direction: "up" | "down";
  readonly name: string;
  /** Bytes of the file. */
  readonly size: number;
  /** Bytes that have moved; falls where an attempt was lost. */
  moved(): number;
  /** Takes the source as its owner picked it again, where there is one to pick. */
  pick?(file: File): void;
  /** Does what is left. Rejects with the signal's reason when that is aborted, and may be called again then. */
  run(signal: AbortSignal, report: Report): Promise<Outcome>;
  /** Frees what it holds, here and in the vault; what has arrived is lost, and a later `run` begins anew. */
  discard(): Promise<void>;
}

/** A picture of a transfer. */
export interface Snapshot {
  readonly id: string;
  readonly direction: "up" | "down";
  readonly name: string;
  readonly size: number;
  readonly moved: number;
  readonly state: State;
  readonly bytesPerSecond: number | undefined;
  readonly secondsLeft: number | undefined;
  readonly failure: Failure | undefined;
  readonly notice: Notice | undefined;
  readonly outcome: Outcome | undefined;
}

/** What a job needs of the queue. */
export interface Place {
  clock: Clock;
  /** Waits for the job's turn; the answer gives the turn back. */
  turn(signal: AbortSignal): Promise<() => void>;
  /** Told of every change of state. */
  changed(): void;
}

/** A transfer. */
export class Job {
  readonly id = crypto.randomUUID();
  readonly #work: Work;
  readonly #place: Place;
  readonly #rate = new Rate();
  #state: State = "queued";
  #failure: Failure | undefined;
  #notice: Notice | undefined;
  #outcome: Outcome | undefined;
  #stop = new AbortController();
  /** Settles when the work stands still. */
  #still: Promise<void> = Promise.resolve();

  constructor(work: Work, place: Place) {
    this.#work = work;
    this.#place = place;
  }

  /** Whether it may still move by itself. */
  get isActive(): boolean {
    return this.#state === "queued" || this.#state === "checking" || this.#state === "running";
  }

  /** Begins, or goes on where it stopped. After a failure that kept nothing it begins anew. */
  start(): void {
    if (this.#state === "done" || this.#state === "cancelled") return;
    const anew = this.#failure?.remedy === "restart";
    this.#failure = undefined;
    this.#stop.abort();
    const stop = new AbortController();
    this.#stop = stop;
    this.#enter("queued");
    const before = this.#still;
    this.#still = before.then(() => this.#run(stop.signal, anew));
  }

  /** Goes on with the file as its owner picked it again. */
  async pick(file: File): Promise<void> {
    this.pause();
    await this.#still;
    this.#work.pick?.(file);
    this.start();
  }

  /** Stops; what has arrived is kept. */
  pause(): void {
    if (!this.isActive) return;
    this.#stop.abort();
    this.#enter("paused");
  }

  /** Stops for good and frees what it holds. */
  async cancel(): Promise<void> {
    if (this.#state === "done" || this.#state === "cancelled") return;
    this.#stop.abort();
    this.#enter("cancelled");
    await this.#still;
    await this.#work.discard();
  }

  /** How it stands now. */
  snapshot(): Snapshot {
    const { direction, name, size } = this.#work;
    const moved = this.#state === "done" ? size : Math.min(size, this.#work.moved());
    const moves = this.#state === "running";
    if (moves) this.#rate.observe(moved, this.#place.clock.now());
    return {
      ...{ id: this.id, direction, name, size, moved, state: this.#state },
      bytesPerSecond: moves ? this.#rate.bytesPerSecond : undefined,
      secondsLeft: moves ? this.#rate.secondsFor(size - moved) : undefined,
      ...{ failure: this.#failure, notice: this.#notice, outcome: this.#outcome },
    };
  }

  async #run(signal: AbortSignal, anew: boolean): Promise<void> {
    let leave: (() => void) | undefined;
    try {
      leave = await this.#place.turn(signal);
      if (anew) await this.#work.discard();
      const state = (state: State): void => { if (!signal.aborted) this.#enter(state); };
      const outcome = await this.#work.run(signal, { state, notice: (notice) => { this.#notice = notice; } });
      // Asked to stop too late: it is done, and that is what is said.
      this.#outcome = outcome;
      this.#enter("done");
    } catch (error) {
      if (signal.aborted) return;
      this.#failure = failureOf(error);
      this.#enter("failed");
    } finally {
      leave?.();
    }
  }

  #enter(state: State): void {
    this.#state = state;
    this.#rate.pause();
    this.#place.changed();
  }
}
