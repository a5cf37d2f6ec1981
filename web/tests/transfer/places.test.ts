/** Places, batches, concurrency and rates. */

import { expect, test } from "vitest";

import { Batch } from "../../src/transfer/batch.ts";
import { Concurrency, FIRST_LIMIT, HIGHEST_LIMIT, SLOW_PART_MS } from "../../src/transfer/concurrency.ts";
import { Rate, TIME_CONSTANT_MS } from "../../src/transfer/rate.ts";
import { Slots } from "../../src/transfer/slots.ts";

const never = new AbortController().signal;
const MIB = 1024 * 1024;

/** Whether a promise has settled by now. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  const open = Symbol();
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
  return (await Promise.race([promise, Promise.resolve(open)])) !== open;
}

test("places are given in order, up to the limit, and given back once", async () => {
  const slots = new Slots(() => 2);
  const [first, second] = [await slots.acquire(1, never), await slots.acquire(1, never)];
  const third = slots.acquire(1, never);
  const fourth = slots.acquire(1, never);
  expect(await isSettled(third)).toBe(false);
  first();
  first();
  (await third)();
  expect(slots.taken).toBe(2);
  (await fourth)();
  second();
  expect(slots.taken).toBe(0);
});

test("memory bounds them too, but one alone always gets a place", async () => {
  const slots = new Slots(() => 8, 10);
  const whole = await slots.acquire(1000, never);
  const small = slots.acquire(1, never);
  expect(await isSettled(small)).toBe(false);
  whole();
  const leave = await small;
  const fits = await slots.acquire(9, never);
  const over = slots.acquire(1, never);
  expect(await isSettled(over)).toBe(false);
  leave();
  (await over)();
  fits();
});

test("who stops waiting makes way for the next", async () => {
  const slots = new Slots(() => 2, 10);
  const held = await slots.acquire(6, never);
  const stop = new AbortController();
  const large = slots.acquire(8, stop.signal);
  const small = slots.acquire(2, never);
  expect(await isSettled(small)).toBe(false);
  stop.abort("enough");
  await expect(large).rejects.toBe("enough");
  (await small)();
  held();
  await expect(slots.acquire(1, stop.signal)).rejects.toBe("enough");
  expect(slots.taken).toBe(0);
});

test("a limit that rises lets more in with the next place that becomes free", async () => {
  let limit = 1;
  const slots = new Slots(() => limit);
  const first = await slots.acquire(1, never);
  const others = [slots.acquire(1, never), slots.acquire(1, never)];
  limit = 3;
  first();
  expect((await Promise.all(others)).length).toBe(2);
});

test("questions travel together, each gets its own answer", async () => {
  const asked: number[][] = [];
  const ask = (items: number[]): Promise<number[]> => {
    asked.push(items);
    return Promise.resolve(items.map((item) => item * 10));
  };
  const batch = new Batch({ ask, most: 3, lingerMs: 1 });
  expect(await Promise.all([1, 2, 3, 4].map((item) => batch.add(item)))).toEqual([10, 20, 30, 40]);
  expect(asked).toEqual([[1, 2, 3], [4]]);
});

test("a flush ends the lingering, and an error reaches everybody in the batch and nobody else", async () => {
  const ask = (items: number[]): Promise<number[]> => (items.includes(0) ? Promise.reject(new Error("no")) : Promise.resolve(items));
  const batch = new Batch({ ask, most: 10, lingerMs: 60_000 });
  const failing = [batch.add(0), batch.add(1)];
  batch.flush();
  for (const one of failing) await expect(one).rejects.toThrow("no");
  const fine = batch.add(2);
  batch.flush();
  await expect(fine).resolves.toBe(2);
});

/** Lets rounds of parts pass over a line whose rate depends on how many travel. */
function rounds(concurrency: Concurrency, count: number, rateOf: (limit: number) => number, from = 0): number {
  let now = from;
  for (let round = 0; round < count; round += 1) {
    const limit = concurrency.limit;
    const took = (limit * 8 * MIB) / rateOf(limit);
    now += took;
    for (let part = 0; part < limit; part += 1) concurrency.succeeded(8 * MIB, took, now);
  }
  return now;
}

test("more parts travel while that makes it faster", () => {
  const concurrency = new Concurrency();
  expect(concurrency.limit).toBe(FIRST_LIMIT);
  rounds(concurrency, 50, (limit) => limit * 10_000);
  expect(concurrency.limit).toBe(HIGHEST_LIMIT);
});

test("on a line that is full one more is tried now and then, and taken back", () => {
  const concurrency = new Concurrency();
  const seen = new Set<number>();
  let now = 0;
  for (let round = 0; round < 60; round += 1) {
    now = rounds(concurrency, 1, () => 20_000, now);
    seen.add(concurrency.limit);
  }
  expect([...seen].sort()).toEqual([FIRST_LIMIT, FIRST_LIMIT + 1]);
});

test("failures halve it, many at once count as one, and one part always travels", () => {
  const concurrency = new Concurrency();
  let now = rounds(concurrency, 50, (limit) => limit * 10_000);
  for (const expected of [2, 1, 1]) {
    const at = (now += 1e6);
    for (let failure = 0; failure < 5; failure += 1) concurrency.failed(at + failure);
    expect(concurrency.limit).toBe(expected);
  }
});

test("a part that takes too long counts as a failure", () => {
  const concurrency = new Concurrency();
  concurrency.succeeded(8 * MIB, SLOW_PART_MS, 1e6);
  expect(concurrency.limit).toBe(FIRST_LIMIT);
  concurrency.succeeded(8 * MIB, SLOW_PART_MS + 1, 1e6);
  expect(concurrency.limit).toBe(1);
});

test("a steady rate is told from the first moment on, whatever the steps", () => {
  for (const step of [50, 250, 3000]) {
    const rate = new Rate();
    expect(rate.bytesPerSecond).toBeUndefined();
    expect(rate.secondsFor(1)).toBeUndefined();
    for (let at = 0; at <= 30_000; at += step) {
      rate.observe(at * 1000, at);
      if (at >= 300) expect(rate.bytesPerSecond).toBeCloseTo(1_000_000, 3);
    }
    expect(rate.secondsFor(10_000_000)).toBeCloseTo(10, 6);
  }
});

test("the past fades, lost attempts and pauses count for nothing", () => {
  const rate = new Rate();
  for (let at = 0; at <= 10_000; at += 100) rate.observe(at * 1000, at);
  rate.observe(5_000_000, 10_100);
  expect(rate.bytesPerSecond).toBeGreaterThan(900_000);
  rate.pause();
  rate.observe(5_000_000, 3_600_000);
  expect(rate.bytesPerSecond).toBeGreaterThan(900_000);
  for (let at = 0; at <= 6 * TIME_CONSTANT_MS; at += 100) rate.observe(5_000_000, 3_600_000 + at);
  expect(rate.bytesPerSecond).toBeLessThan(10_000);
  expect(rate.secondsFor(0)).toBe(0);
});
