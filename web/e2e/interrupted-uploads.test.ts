/** What networks and overloaded stores do to uploads. */

import { join } from "node:path";

import type { BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";

import { openPage, pick, startBrowser } from "./harness/browser.ts";
import type { Fault, Passing } from "./harness/faults.ts";
import { PART, gatewayHash, makeFile } from "./harness/files.ts";
import { byChance, passing } from "./harness/passing.ts";
import { ended, succeeded } from "./harness/transfers.ts";
import { upload } from "./harness/uploads.ts";
import { TestVault } from "./harness/vault.ts";

const SIZE = 5 * PART + 4_321;
let vault: TestVault;
let browser: BrowserContext;
let page: Page;
let path: string;
let hash: string;
let count = 0;

beforeAll(async () => {
  vault = await TestVault.start();
  browser = await startBrowser(vault);
  path = join(vault.folder, "faults.bin");
  hash = await makeFile(path, SIZE);
});

afterAll(async () => {
  await browser.close();
  await vault.stop();
});

beforeEach(async () => {
  count += 1;
  vault.bucket.clear();
  page = await openPage(browser, vault);
  await pick(page, path);
});

afterEach(async () => {
  await page.close();
  // Whatever happened: no key and salt was ever used for two contents.
  expect(vault.bucket.ledger.violations).toEqual([]);
});

/** A fault for the first requests of this method for each place. */
function first(times: number, method: string, fault: Fault): (passing: Passing) => Fault | undefined {
  return (passing) => (passing.method === method && passing.earlier < times ? fault : undefined);
}

test.each(passing)("an upload survives %s, sending the same bytes again", async (_, fault, times) => {
  const repeats = vault.bucket.ledger.repeats;
  vault.bucket.plan = first(times, "PUT", fault);
  const { node } = await succeeded(page, await upload(page, { parent: "root", name: `up ${count}` }));
  if (node === undefined) throw new Error("an upload makes a node");
  expect(vault.bucket.count).toBeGreaterThanOrEqual(6);
  expect(await gatewayHash(page, node)).toBe(hash);
  if (fault.kind === "lose answer") expect(vault.bucket.ledger.repeats - repeats).toBeGreaterThanOrEqual(6);
});

test("a bucket that never answers is given up part by part, and tried again", async () => {
  vault.bucket.plan = ({ method, place, earlier }) =>
    method === "PUT" && place.endsWith("#2") && earlier === 0 ? { kind: "silence" } : undefined;
  const { node } = await succeeded(page, await upload(page, { parent: "root", name: "silence" }));
  if (node === undefined) throw new Error("an upload makes a node");
  expect(await gatewayHash(page, node)).toBe(hash);
});

test("faults by chance break nothing", async () => {
  vault.bucket.plan = byChance(count);
  const { node } = await succeeded(page, await upload(page, { parent: "root", name: "chance" }));
  if (node === undefined) throw new Error("an upload makes a node");
  expect(vault.bucket.count).toBeGreaterThan(1);
  expect(await gatewayHash(page, node)).toBe(hash);
});

test("a bucket that refuses for good ends the upload with a reason, and nothing is left when it is cancelled", async () => {
  vault.bucket.plan = first(1000, "PUT", { kind: "status", status: 400, code: "InvalidArgument", readable: true });
  const id = await upload(page, { parent: "root", name: "refused" });
  const { failure } = await ended(page, id);
  expect(failure).toMatchObject({ reason: "BUCKET_REFUSED", remedy: "restart" });
  expect(failure?.message).toContain("InvalidArgument");
  await page.evaluate((id) => window.transfers.cancel(id), id);
  expect(await page.evaluate(() => window.transfers.unfinished())).toEqual([]);
});

test("a session that ends stops the upload with a reason, and it goes on after a new login", async () => {
  let session = Promise.resolve();
  vault.bucket.plan = ({ method, place }) => {
    if (method === "PUT" && place.endsWith("#4")) session = session.then(async () => page.evaluate(() => window.coffer.logOut(window.coffer.connect()))).catch(() => undefined);
    return method === "PUT" ? { kind: "delay", ms: 500 } : undefined;
  };
  const id = await upload(page, { parent: "root", name: "session" });
  const { failure } = await ended(page, id);
  expect(failure).toMatchObject({ remedy: "resume" });
  expect(failure?.next).toContain("Log in again");
  await session;
  vault.bucket.clear();
  const again = await openPage(browser, vault);
  await again.close();
  await page.evaluate((id) => { window.transfers.resume(id); }, id);
  const { node } = await succeeded(page, id);
  if (node === undefined) throw new Error("an upload makes a node");
  expect(await gatewayHash(page, node)).toBe(hash);
});

test("a vault that is away in the middle is waited for", async () => {
  let restart: Promise<void> | undefined;
  vault.bucket.plan = ({ method, place }) => {
    if (method === "PUT" && place.endsWith("#3")) restart ??= vault.restart();
    return undefined;
  };
  const { node } = await succeeded(page, await upload(page, { parent: "root", name: "away" }));
  await restart;
  if (node === undefined) throw new Error("an upload makes a node");
  expect(await gatewayHash(page, node)).toBe(hash);
});
