/**
 * What a network watcher knows of the sealed parts that passed: whether two different messages were ever sealed under one
 * key and salt.
 *
 * Of each message the digest of its beginning is kept at every step of `STEP` bytes and where it ended, so that one that
 * was cut off in the middle is compared as far as it went.
 */

import { type Hash, createHash } from "node:crypto";

const STEP = 64 * 1024;
/** A message begins with its salt. */
const SALT = 24;

interface Known {
  place: string;
  /** The digest of so many bytes. */
  digests: Map<number, string>;
}

/** Hears one message. */
export interface Listener {
  bytes(bytes: Buffer): void;
  /** There is no more. */
  end(): void;
}

/** All messages that passed. */
export class Ledger {
  readonly #known = new Map<string, Known>();
  /** What must not be: one salt with two contents, or in two places. */
  readonly violations: string[] = [];
  /** How often bytes were seen a second time under their salt, as a retry is. */
  repeats = 0;

  /** How many salts passed. */
  get size(): number {
    return this.#known.size;
  }

  /** Listens to one message at `place` (object and part). */
  message(place: string): Listener {
    let head = Buffer.alloc(0);
    let entry: Known | undefined;
    let count = 0;
    const hash: Hash = createHash("sha256");
    const mark = (): void => {
      const digest = hash.copy().digest("base64");
      const before = entry?.digests.get(count);
      if (before === undefined) entry?.digests.set(count, digest);
      else if (before !== digest) this.violations.push(`${place}: one salt, two contents of ${count} bytes`);
    };
    const hear = (bytes: Buffer): void => {
      for (let from = 0; from < bytes.length;) {
        const to = Math.min(bytes.length, from + STEP - (count % STEP));
        hash.update(bytes.subarray(from, to));
        count += to - from;
        from = to;
        if (count % STEP === 0) mark();
      }
    };
    return {
      bytes: (bytes) => {
        if (entry !== undefined) {
          hear(bytes);
          return;
        }
        head = Buffer.concat([head, bytes]);
        if (head.length < SALT) return;
        entry = this.#entry(head.subarray(0, SALT).toString("hex"), place);
        hear(head);
      },
      end: mark,
    };
  }

  #entry(salt: string, place: string): Known {
    const known = this.#known.get(salt);
    if (known === undefined) {
      const entry = { place, digests: new Map<number, string>() };
      this.#known.set(salt, entry);
      return entry;
    }
    this.repeats += 1;
    if (known.place !== place) this.violations.push(`one salt at ${known.place} and ${place}`);
    return known;
  }
}
