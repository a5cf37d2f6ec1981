/** Back-off, retries and what the other side asks for. */

import { expect, test } from "vitest";

import { problemOf, retryAfterMs } from "../../src/api/problem.ts";
import { FIRST_WAIT_MS, LONGEST_WAIT_MS, waitMs } from "../../src/transfer/backoff.ts";
import { systemClock } from "../../src/transfer/clock.ts";
import { MOST_ATTEMPTS, persist } from "../../src/transfer/retry.ts";
import { TestClock } from "./clock.ts";

const never = new AbortController().signal;

test("waits double up to the longest, and chance takes at most half away", () => {
  const least = (failures: number): number => waitMs(failures, { random: () => 0 });
  const most = (failures: number): number => waitMs(failures, { random: () => 1 });
  expect([1, 2, 3, 4].map(most)).toEqual([500, 1000, 2000, 4000]);
  for (let failures = 1; failures <= 2000; failures += 1) {
    expect(least(failures)).toBe(most(failures) / 2);
    expect(most(failures)).toBeLessThanOrEqual(LONGEST_WAIT_MS);
  }
});

test("a wait that was asked for is kept, and not all come back at its end", () => {
  expect(waitMs(1, { random: () => 0 }, 20_000)).toBe(20_000);
  expect(waitMs(1, { random: () => 0.5 }, 20_000)).toBe(20_000 + FIRST_WAIT_MS / 2);
  expect(waitMs(7, { random: () => 1 }, 1)).toBe(LONGEST_WAIT_MS);
});

test("Retry-After is read in seconds and as a date, and is believed up to five minutes", () => {
  const now = Date.parse("2026-01-01T00:00:00Z");
  for (const [header, ms] of [
    ["0", 0], ["7", 7000], [" 7 ", 7000], ["300", 300_000], ["301", 300_000], ["999999999999", 300_000],
    ["Thu, 01 Jan 2026 00:00:05 GMT", 5000], ["Wed, 31 Dec 2025 00:00:00 GMT", 0],
    ["", undefined], ["soon", undefined], ["-", undefined],
  ] as const) {
    expect(retryAfterMs(header, now), header).toBe(ms);
  }
  expect(retryAfterMs(null, now)).toBeUndefined();
});

test("an attempt is repeated until it succeeds or is given up", async () => {
  for (const failures of [0, 1, MOST_ATTEMPTS - 1, MOST_ATTEMPTS]) {
    const clock = new TestClock();
    let attempts = 0;
    const result = persist(
      () => {
        attempts += 1;
        return attempts <= failures ? Promise.reject(new Error(`attempt ${attempts}`)) : Promise.resolve("done");
      },
      () => ({ again: true }),
      { clock, signal: never },
    );
    if (failures < MOST_ATTEMPTS) await expect(result).resolves.toBe("done");
    else await expect(result).rejects.toThrow(`attempt ${MOST_ATTEMPTS}`);
    expect(clock.slept.length).toBe(Math.min(failures, MOST_ATTEMPTS - 1));
  }
});

test("a failure that will not pass is not repeated", async () => {
  const clock = new TestClock();
  const failing = persist(() => Promise.reject(new Error("no")), () => ({ again: false }), { clock, signal: never });
  await expect(failing).rejects.toThrow("no");
  expect(clock.slept).toEqual([]);
});

test("who is stopped hears that alone, during an attempt and between two", async () => {
  for (const stopAt of ["attempt", "pause"]) {
    const stop = new AbortController();
    const failing = persist(
      () => {
        if (stopAt === "attempt") stop.abort("stopped");
        return Promise.reject(new Error("no"));
      },
      () => ({ again: true }),
      { clock: systemClock, signal: stop.signal, onFailure: () => { stop.abort("stopped"); } },
    );
    await expect(failing).rejects.toBe("stopped");
  }
});

test("a sleep ends at its time or with its signal, and then at once", async () => {
  const stop = new AbortController();
  const begun = performance.now();
  await systemClock.sleep(5, stop.signal);
  expect(performance.now() - begun).toBeGreaterThanOrEqual(4);
  const long = systemClock.sleep(60_000, stop.signal);
  stop.abort("enough");
  await expect(long).rejects.toBe("enough");
  await expect(systemClock.sleep(0, stop.signal)).rejects.toBe("enough");
});

test("an answer that is not the vault's is a problem all the same", () => {
  const page = problemOf(new Response("<h1>Bad gateway</h1>", { status: 502, headers: { "retry-after": "3" } }), "<h1>Bad gateway</h1>");
  expect([page.code, page.status, page.retryAfterMs, page.isTemporary]).toEqual(["UNINTELLIGIBLE", 502, 3000, true]);
  const body = { type: "urn:coffer:problem:conflict", title: "Conflict", status: 409, detail: "No.", code: "CONFLICT", request_id: "r1" };
  const own = problemOf(new Response(null, { status: 409 }), body);
  expect([own.code, own.detail, own.requestId, own.isTemporary]).toEqual(["CONFLICT", "No.", "r1", false]);
});
