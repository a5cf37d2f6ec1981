/**
 * Places for parts on their way, shared by all transfers: they bound both how many travel and how much memory they hold.
 *
 * First come, first served. A transfer that asks for one place after the other takes turns with the rest.
 */

/** What all places together hold at most, in bytes, unless one part alone is larger. */
export const MEMORY_BYTES = 96 * 1024 * 1024;

interface Waiting {
  bytes: number;
  enter: () => void;
}

/** A number of places, which may change at any time. */
export class Slots {
  readonly #limit: () => number;
  readonly #memory: number;
  readonly #waiting: Waiting[] = [];
  #taken = 0;
  #bytes = 0;

  constructor(limit: () => number, memoryBytes = MEMORY_BYTES) {
    this.#limit = limit;
    this.#memory = memoryBytes;
  }

  /** How many places are taken. */
  get taken(): number {
    return this.#taken;
  }

  /** Waits for a place for so many bytes. The caller **must** call the answer once, when the bytes are gone. */
  async acquire(bytes: number, signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    if (this.#waiting.length > 0 || !this.#fits(bytes)) await this.#wait(bytes, signal);
    else this.#enter(bytes);
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#taken -= 1;
      this.#bytes -= bytes;
      this.#admit();
    };
  }

  #wait(bytes: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
        reject(signal.reason as Error);
        this.#admit();
      };
      const enter = (): void => {
        signal.removeEventListener("abort", leave);
        this.#enter(bytes);
        resolve();
      };
      const waiting = { bytes, enter };
      this.#waiting.push(waiting);
      signal.addEventListener("abort", leave, { once: true });
    });
  }

  #admit(): void {
    for (;;) {
      const first = this.#waiting[0];
      if (first === undefined || !this.#fits(first.bytes)) return;
      this.#waiting.shift();
      first.enter();
    }
  }

  #enter(bytes: number): void {
    this.#taken += 1;
    this.#bytes += bytes;
  }

  #fits(bytes: number): boolean {
    return this.#taken === 0 || (this.#taken < this.#limit() && this.#bytes + bytes <= this.#memory);
  }
}
