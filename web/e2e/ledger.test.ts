/** What the tests of transfers rely on: the ledger notices a salt that is used for two contents. */

import { randomBytes } from "node:crypto";

import { expect, test } from "vitest";

import { Ledger } from "./harness/ledger.ts";

const salt = randomBytes(24);
const message = Buffer.concat([salt, randomBytes(300_000)]);

/** Sends bytes in pieces of so many. */
function pass(ledger: Ledger, place: string, bytes: Buffer, piece: number): void {
  const listener = ledger.message(place);
  for (let at = 0; at < bytes.length; at += piece) listener.bytes(bytes.subarray(at, at + piece));
  listener.end();
}

test("the same bytes again, whole or cut off, are a repetition", () => {
  const ledger = new Ledger();
  pass(ledger, "blob#1", message, 7_000);
  pass(ledger, "blob#1", message, 65_536);
  pass(ledger, "blob#1", message.subarray(0, 100_000), 10);
  expect([ledger.size, ledger.repeats, ledger.violations]).toEqual([1, 2, []]);
});

test("other bytes under the same salt are noticed, wherever they differ", () => {
  for (const at of [24, 65_535, 65_536, 200_000, 262_143, 300_023]) {
    const ledger = new Ledger();
    const other = Buffer.from(message);
    other[at] = (other[at] ?? 0) ^ 1;
    pass(ledger, "blob#1", message, 7_000);
    pass(ledger, "blob#1", other, 9_000);
    expect(ledger.violations.length, `byte ${at}`).toBeGreaterThan(0);
  }
});

test("one salt in two places is noticed", () => {
  const ledger = new Ledger();
  pass(ledger, "blob#1", message, 7_000);
  pass(ledger, "blob#2", message, 7_000);
  expect(ledger.violations.length).toBe(1);
});
