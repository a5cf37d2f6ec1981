/**
 * Opening as a Web stream: sealed bytes of a range in, in any pieces; plaintext out, each byte only after its tag has
 * verified. Memory is bounded by two pieces of the source, whatever the range's length.
 */

import { type Bytes, concat } from "./bytes.ts";
import type { Message, MessageKey } from "./cobblestone.ts";
import { type BlobShape, partMessage } from "./content.ts";
import { OpenError } from "./error.ts";
import { type RangePlan, type Unit, planRange, unitsOf } from "./range.ts";

/**
 * A stream that opens `start` .. `end` of a blob, given exactly the bytes of the object that `planRange` names and the
 * pinned salts of all parts. It fails with an `OpenError`, also at an end that comes too early.
 */
export function openRange(
  key: MessageKey,
  blob: BlobShape,
  salts: readonly Bytes[],
  start: number,
  end: number,
): TransformStream<Uint8Array, Bytes> {
  const opener = new RangeOpener(key, blob, salts, planRange(blob.geometry, start, end));
  // One piece opens while the one before it is given out.
  let before: Promise<void> = Promise.resolve();
  return new TransformStream({
    transform(sealed, controller) {
      const previous = before;
      before = giveOut(previous, opener.push(sealed), controller);
      before.catch(ignore);
      return previous;
    },
    async flush() {
      await before;
      opener.finish();
    },
  });
}

async function giveOut(
  previous: Promise<void>,
  opening: Promise<Bytes>,
  controller: TransformStreamDefaultController<Bytes>,
): Promise<void> {
  // It may fail before anybody waits for it.
  opening.catch(ignore);
  await previous;
  const plaintext = await opening;
  if (plaintext.length > 0) controller.enqueue(plaintext);
}

function ignore(): void {
  // Whoever waits for the same promise learns of it.
}

class RangeOpener {
  readonly #key: MessageKey;
  readonly #blob: BlobShape;
  readonly #salts: readonly Bytes[];
  readonly #units: Iterator<Unit, void>;
  #next: Unit | undefined;
  #current: { part: number; message: Promise<Message> } | undefined;
  /** A piece of a header or chunk that has not arrived whole. */
  #pending: Bytes = new Uint8Array(0);

  constructor(key: MessageKey, blob: BlobShape, salts: readonly Bytes[], plan: RangePlan) {
    if (salts.length !== blob.geometry.partCount) throw new OpenError();
    this.#key = key;
    this.#blob = blob;
    this.#salts = salts;
    this.#units = unitsOf(blob.geometry, plan);
    this.#next = this.#units.next().value ?? undefined;
  }

  /** Takes the next sealed bytes and opens what they complete. Bytes beyond the plan are refused. */
  async push(sealed: Uint8Array): Promise<Bytes> {
    const arrived = concat(this.#pending, sealed);
    const opening: Promise<Bytes>[] = [];
    let offset = 0;
    for (let unit = this.#next; unit && arrived.length - offset >= unit.length; unit = this.#next) {
      opening.push(this.#open(unit, arrived.subarray(offset, offset + unit.length)));
      offset += unit.length;
      this.#next = this.#units.next().value ?? undefined;
    }
    this.#pending = arrived.slice(offset);
    const opened = concat(...(await Promise.all(opening)));
    if (!this.#next && this.#pending.length > 0) throw new OpenError();
    return opened;
  }

  /** Refuses an end before every byte of the plan has come. */
  finish(): void {
    if (this.#next || this.#pending.length > 0) throw new OpenError();
  }

  async #open(unit: Unit, bytes: Bytes): Promise<Bytes> {
    const message = await this.#message(unit.part);
    if (unit.chunk === undefined) {
      message.checkHeader(bytes);
      return new Uint8Array(0);
    }
    return (await message.openChunk(unit.chunk, bytes)).subarray(unit.from, unit.to);
  }

  #message(part: number): Promise<Message> {
    if (this.#current?.part !== part) {
      const salt = this.#salts[part];
      if (!salt) throw new OpenError();
      this.#current = { part, message: partMessage(this.#key, this.#blob, part, salt) };
    }
    return this.#current.message;
  }
}
