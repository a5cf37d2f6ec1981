/**
 * One PUT of one sealed part to its signed address.
 *
 * By XMLHttpRequest, because fetch does not tell how much of a body has gone: a slow line would show nothing for
 * minutes, and a stalled one could not be told from it.
 */

import { BucketError, bucketError } from "./bucket.ts";

/** A PUT during which nothing moved for so long is given up, in milliseconds. */
export const STALL_MS = 30_000;

/** Where to put and what to say. */
export interface Address {
  url: string;
  headers: Readonly<Record<string, string>>;
}

/** How a PUT is watched. */
export interface Watch {
  signal: AbortSignal;
  /** Told how many bytes have gone. */
  onProgress: (bytes: number) => void;
  stallMs?: number;
}

/** The entity tag that the bucket gave the bytes. Rejects with a `BucketError`, or with the signal's reason. */
export function put(address: Address, body: Blob, watch: Watch): Promise<string> {
  const { signal, onProgress, stallMs = STALL_MS } = watch;
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const request = new XMLHttpRequest();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const moved = (): void => {
      clearTimeout(timer);
      timer = setTimeout(() => { settle(new BucketError("nothing moved", 0)); }, stallMs);
    };
    const settle = (outcome: string | Error): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", stop);
      if (typeof outcome === "string") resolve(outcome);
      else reject(outcome);
      // Without effect on one that has ended.
      request.abort();
    };
    const stop = (): void => { settle(signal.reason as Error); };
    signal.addEventListener("abort", stop);
    request.upload.onprogress = (event) => {
      moved();
      onProgress(event.loaded);
    };
    request.onload = () => { settle(outcomeOf(request)); };
    request.onerror = () => { settle(new BucketError("no answer", 0)); };
    request.open("PUT", address.url);
    for (const [name, value] of Object.entries(address.headers)) request.setRequestHeader(name, value);
    moved();
    request.send(body);
  });
}

function outcomeOf(request: XMLHttpRequest): string | BucketError {
  if (request.status < 200 || request.status > 299) {
    // Asking for a header that is hidden gives null, and says so on the console.
    const seen = request.getAllResponseHeaders().toLowerCase().includes("retry-after:");
    return bucketError(request.status, seen ? request.getResponseHeader("retry-after") : null, request.responseText);
  }
  const etag = request.getResponseHeader("etag");
  if (etag !== null) return etag;
  return new BucketError("The storage took a part, but hides its ETag from the browser.", request.status, { kind: "headers" });
}
