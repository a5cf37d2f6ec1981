/**
 * A file's verified bytes, from the bucket.
 *
 * A connection that breaks, stalls or is refused is opened again at the byte that was reached. Only the exact answer to
 * the exact question is read, and nothing but verified plaintext comes out. Knows no page, so that the service worker can
 * use it too.
 */

import { type Bytes, openRange, planRange } from "../crypto/index.ts";
import { BucketError, bucketError } from "./bucket.ts";
import type { Clock } from "./clock.ts";
import type { Grant, Grants } from "./grants.ts";
import { type Verdict, persist } from "./retry.ts";

/** A connection on which nothing moved for so long is given up, in milliseconds. */
export const READ_STALL_MS = 30_000;

/** What reading works with. */
export interface ReadTools {
  clock: Clock;
  signal: AbortSignal;
  /** Told of each failure that is tried again. */
  onFailure?: (error: unknown) => void;
}

/** The bytes [start, end) of the file. */
export async function readRange(grants: Grants, start: number, end: number, tools: ReadTools): Promise<ReadableStream<Bytes>> {
  const { key, blob, salts } = await grants.current(tools.signal);
  const plan = planRange(blob.geometry, start, end);
  return sealedBytes(grants, plan.start, plan.end, tools).pipeThrough(openRange(key, blob, salts, start, end));
}

/** The bytes [start, end) of the object. */
function sealedBytes(grants: Grants, start: number, end: number, tools: ReadTools): ReadableStream<Uint8Array> {
  const { clock, signal } = tools;
  let at = start;
  let refused: Grant | undefined;
  let connection: { reader: ReadableStreamDefaultReader<Uint8Array>; close: AbortController } | undefined;

  const drop = (reason: unknown): void => {
    connection?.close.abort(reason);
    connection = undefined;
  };
  const next = async (): Promise<Uint8Array> => {
    if (connection === undefined) {
      const grant = refused === undefined ? await grants.current(signal) : await grants.after(refused, signal);
      refused = undefined;
      const close = new AbortController();
      try {
        connection = { close, reader: await open(grant, at, end, AbortSignal.any([signal, close.signal]), close) };
      } catch (error) {
        if (error instanceof BucketError && error.wantsNewAddress) refused = grant;
        throw error;
      }
    }
    const { value } = await moving(connection.reader.read(), connection.close);
    if (value === undefined) throw new BucketError("the answer was too short", 0);
    if (at + value.length > end) throw new BucketError("The storage answered more than it was asked for.", 200, { kind: "headers" });
    return value;
  };
  const onFailure = (error: unknown): void => { tools.onFailure?.(error); };
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      // Each piece has its own count of failures: what moves is not given up.
      const attempt = (): Promise<Uint8Array> => next().catch((error: unknown) => {
        drop(error);
        throw error;
      });
      const bytes = await persist(attempt, judge, { clock, signal, onFailure });
      at += bytes.length;
      controller.enqueue(bytes);
      if (at === end) {
        drop(undefined);
        controller.close();
      }
    },
    cancel: drop,
  }, { highWaterMark: 0 });
}

async function open(grant: Grant, start: number, end: number, signal: AbortSignal, close: AbortController): Promise<ReadableStreamDefaultReader<Uint8Array>> {
  const range = `bytes=${start}-${end - 1}`;
  const asked = fetch(grant.url, { headers: { range }, credentials: "omit", cache: "no-store", redirect: "error", signal });
  const response = await moving(asked, close);
  if (response.status !== 206 || response.body === null) {
    const text = response.ok ? "" : await response.text().catch(() => "");
    close.abort();
    if (response.ok) throw new BucketError("The storage answered a range with something else.", response.status, { kind: "headers" });
    throw bucketError(response.status, response.headers.get("retry-after"), text);
  }
  const expected = `bytes ${start}-${end - 1}/${grant.objectSize}`;
  const said = response.headers.get("content-range");
  if (said !== expected) {
    close.abort();
    const why = said === null ? "hides its Content-Range from the browser" : "answered another range than it was asked for";
    throw new BucketError(`The storage ${why}.`, response.status, { kind: "headers" });
  }
  return response.body.getReader();
}

/** The result, unless nothing happens for too long; what goes wrong below HTTP is one thing. */
async function moving<Result>(step: Promise<Result>, close: AbortController): Promise<Result> {
  const timer = setTimeout(() => { close.abort(new BucketError("nothing moved", 0)); }, READ_STALL_MS);
  try {
    return await step;
  } catch (error) {
    throw error instanceof BucketError ? error : new BucketError(String(error), 0);
  } finally {
    clearTimeout(timer);
  }
}

function judge(error: unknown): Verdict {
  if (!(error instanceof BucketError)) return { again: false };
  return error.isTemporary || error.wantsNewAddress ? { again: true, afterMs: error.retryAfterMs } : { again: false };
}
