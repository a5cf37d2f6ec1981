/**
 * Reading part of a blob: which bytes of the object hold a range of the file, and what to make of them.
 *
 * A plan is one contiguous run of the object: whole chunks, in order, with a part's header wherever its first chunk is
 * read. Where the range reaches the end of a part, the part's last chunk is in it too, so a download of the whole file
 * verifies every byte of the object.
 */

import { CHUNK_PLAIN, CHUNK_SEALED, type Geometry, PART_HEADER, TAG, sealedLength } from "./geometry.ts";

/** What to fetch for a range of a file, and what to make of it. */
export interface RangePlan {
  /** The first byte of the object to fetch. */
  readonly start: number;
  /** One past the last; equal to `start` when there is nothing to read. */
  readonly end: number;
  /** The parts in it, in order. */
  readonly slices: readonly PartSlice[];
}

/** The chunks of one part that a plan reads. */
export interface PartSlice {
  readonly part: number;
  /** Whether the part's header is read before the first chunk. */
  readonly hasHeader: boolean;
  readonly firstChunk: number;
  readonly chunkCount: number;
  /** Plaintext bytes to drop from the front of the first chunk. */
  readonly skip: number;
  /** Plaintext bytes to give out after that. */
  readonly take: number;
}

/** A header or a chunk: what is checked as a whole. */
export interface Unit {
  readonly part: number;
  /** The chunk's number; undefined for a header. */
  readonly chunk: number | undefined;
  /** Bytes of the object. */
  readonly length: number;
  /** Plaintext to give out: from here ... */
  readonly from: number;
  /** ... to here. */
  readonly to: number;
}

/**
 * Plans the part of `start` .. `end` that lies within the file.
 *
 * An empty range of a file that is not empty needs nothing; that of an empty file reads its one empty chunk.
 */
export function planRange(geometry: Geometry, start: number, end: number): RangePlan {
  const to = Math.max(0, Math.min(end, geometry.size));
  const from = Math.max(0, Math.min(start, to));
  if (from === to && geometry.size > 0) return { start: 0, end: 0, slices: [] };
  const first = Math.floor(from / geometry.partSize);
  const last = Math.floor(Math.max(to - 1, 0) / geometry.partSize);
  const slices = Array.from({ length: last - first + 1 }, (_, index) => slicePart(geometry, first + index, from, to));
  const [head, tail] = [slices[0], slices[slices.length - 1]];
  if (!head || !tail) throw new Error("a range that is not empty lies in a part");
  const tailEnd = Math.min(chunkOffset(tail.firstChunk + tail.chunkCount), sealedLength(geometry.plainLength(last)));
  return {
    start: geometry.partOffset(first) + chunkOffset(head.firstChunk),
    end: geometry.partOffset(last) + tailEnd,
    slices,
  };
}

/** The headers and chunks of a plan, in the order in which their bytes arrive. */
export function* unitsOf(geometry: Geometry, plan: RangePlan): Generator<Unit, void> {
  for (const { part, hasHeader, firstChunk, chunkCount, skip, take } of plan.slices) {
    if (hasHeader) yield { part, chunk: undefined, length: PART_HEADER, from: 0, to: 0 };
    const plainLength = geometry.plainLength(part);
    const begin = firstChunk * CHUNK_PLAIN + skip;
    for (let chunk = firstChunk; chunk < firstChunk + chunkCount; chunk += 1) {
      const origin = chunk * CHUNK_PLAIN;
      const length = Math.min(CHUNK_PLAIN, plainLength - origin);
      const within = (offset: number): number => Math.min(length, Math.max(0, offset - origin));
      yield { part, chunk, length: length + TAG, from: within(begin), to: within(begin + take) };
    }
  }
}

function slicePart(geometry: Geometry, part: number, start: number, end: number): PartSlice {
  const origin = geometry.plainOffset(part);
  const plainLength = geometry.plainLength(part);
  const [from, to] = [Math.max(0, start - origin), Math.min(end - origin, plainLength)];
  const firstChunk = Math.floor(from / CHUNK_PLAIN);
  const pastChunk = to === plainLength ? Math.floor(plainLength / CHUNK_PLAIN) + 1 : Math.ceil(to / CHUNK_PLAIN);
  return {
    part,
    hasHeader: firstChunk === 0,
    firstChunk,
    chunkCount: pastChunk - firstChunk,
    skip: from % CHUNK_PLAIN,
    take: to - from,
  };
}

/** Where a chunk begins, from the start of its sealed part; chunk 0 takes the header along. */
function chunkOffset(chunk: number): number {
  return chunk === 0 ? 0 : PART_HEADER + chunk * CHUNK_SEALED;
}
