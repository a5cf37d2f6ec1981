/** What owners are told. */

import { expect, test } from "vitest";

import { NETWORK, Problem } from "../../src/api/problem.ts";
import { OpenError } from "../../src/crypto/index.ts";
import { BucketError, bucketError } from "../../src/transfer/bucket.ts";
import { Failure, failureOf } from "../../src/transfer/failure.ts";
import { SMALL_FILE, wayFor } from "../../src/transfer/ladder.ts";

const problem = (status: number, code: string): Problem => new Problem({ status, code, detail: "What happened.", requestId: "r1" });
const xml = (code: string): string => `<?xml version="1.0"?><Error><Code>${code}</Code><Message>x</Message></Error>`;

test.each<[unknown, string, string]>([
  [problem(0, NETWORK), "NETWORK", "resume"],
  [problem(401, "TOKEN_EXPIRED"), "TOKEN_EXPIRED", "resume"],
  [problem(401, "AUTHENTICATION_REQUIRED"), "AUTHENTICATION_REQUIRED", "resume"],
  [problem(409, "DUPLICATE_RESOURCE"), "DUPLICATE_RESOURCE", "restart"],
  [problem(410, "UPLOAD_EXPIRED"), "UPLOAD_EXPIRED", "restart"],
  [problem(413, "STORAGE_LIMIT_EXCEEDED"), "STORAGE_LIMIT_EXCEEDED", "restart"],
  [problem(413, "FILE_TOO_LARGE"), "FILE_TOO_LARGE", "none"],
  [problem(503, "REDIS_UNAVAILABLE"), "REDIS_UNAVAILABLE", "resume"],
  [problem(418, "NEW_CODE"), "NEW_CODE", "restart"],
  [new BucketError("no answer", 0), "BUCKET_UNREACHABLE", "resume"],
  [bucketError(503, "1", xml("SlowDown")), "BUCKET_BUSY", "resume"],
  [bucketError(400, null, xml("InvalidArgument")), "BUCKET_REFUSED", "restart"],
  [new BucketError("The storage hides it.", 200, { kind: "headers" }), "BUCKET_HIDES_HEADERS", "resume"],
  [new OpenError(), "DAMAGED", "restart"],
  [new TypeError("x is undefined"), "UNEXPECTED", "resume"],
  ["text", "UNEXPECTED", "resume"],
  [new Failure("OPEN_ELSEWHERE", "It is open.", "Close it.", "resume"), "OPEN_ELSEWHERE", "resume"],
])("%s ends as %s, and says what to do next", (error, reason, remedy) => {
  const failure = failureOf(error);
  expect([failure.reason, failure.remedy]).toEqual([reason, remedy]);
  for (const sentence of [failure.message, failure.next]) expect(sentence).toMatch(/^[A-Z].*\.$/);
  expect(failure.requestId).toBe(error instanceof Problem && error.status > 0 ? "r1" : undefined);
});

test("a bucket's answer is read as far as it is S3's, and no further", () => {
  for (const [status, body, code, temporary, newAddress] of [
    [503, xml("SlowDown"), "SlowDown", true, false],
    [403, xml("AccessDenied"), "AccessDenied", false, true],
    [400, xml("InvalidRequest"), "InvalidRequest", false, true],
    [400, xml("RequestTimeout"), "RequestTimeout", true, false],
    [400, xml("BadDigest"), "BadDigest", true, false],
    [400, xml("<script>"), undefined, false, false],
    [404, xml("NoSuchUpload"), "NoSuchUpload", false, false],
    [500, "<html>", undefined, true, false],
    [429, " ".repeat(5000) + xml("SlowDown"), undefined, true, false],
  ] as const) {
    const error = bucketError(status, null, body);
    expect([error.code, error.isTemporary, error.wantsNewAddress]).toEqual([code, temporary, newAddress]);
  }
});

test("the ladder: small files in memory, then the picker, the worker, the gateway", () => {
  const both = { picker: true, worker: true };
  expect(wayFor(SMALL_FILE, both)).toBe("blob");
  expect(wayFor(SMALL_FILE + 1, both)).toBe("picker");
  expect(wayFor(SMALL_FILE + 1, { ...both, picker: false })).toBe("worker");
  expect(wayFor(SMALL_FILE + 1, { picker: false, worker: false })).toBe("gateway");
});
