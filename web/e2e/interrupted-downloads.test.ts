/** Downloads that are paused, and what networks and overloaded stores do to them. */

import { join } from "node:path";

import type { BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";

import type { Node } from "../src/transfer/index.ts";
import { openPage, pick, startBrowser } from "./harness/browser.ts";
import { isLent } from "./harness/bucket.ts";
import { PART, downloadToDisk, isPickedFile, makeFile, sendByGateway } from "./harness/files.ts";
import { byChance, passing } from "./harness/passing.ts";
import { ended, look, succeeded, until } from "./harness/transfers.ts";
import { TestVault } from "./harness/vault.ts";

const PARTS = 8;
const SIZE = (PARTS - 1) * PART + 4_321;

let vault: TestVault;
let browser: BrowserContext;
let page: Page;
let node: Node;

beforeAll(async () => {
  vault = await TestVault.start();
  browser = await startBrowser(vault);
  const path = join(vault.folder, "file.bin");
  await makeFile(path, SIZE);
  page = await openPage(browser, vault);
  await pick(page, path);
  node = await sendByGateway(page, "file.bin");
  await page.close();
});

afterAll(async () => {
  await browser.close();
  await vault.stop();
});

beforeEach(async () => {
  vault.bucket.clear();
  page = await openPage(browser, vault);
  await pick(page, join(vault.folder, "file.bin"));
});

afterEach(async () => {
  await page.close();
});

/** The reads that came for the object. */
function reads(): number {
  return vault.bucket.passed.filter(({ method }) => method === "GET").length;
}

test.each(passing)("a download survives %s", async (_, fault, times) => {
  let met = 0;
  vault.bucket.plan = ({ method }) => {
    if (method !== "GET" || met >= times * 4) return undefined;
    met += 1;
    return fault;
  };
  await succeeded(page, await downloadToDisk(page, node));
  expect(vault.bucket.count).toBe(times * 4);
  expect(await isPickedFile(page)).toBe(true);
});

test("faults by chance break nothing", async () => {
  vault.bucket.plan = byChance(4);
  await succeeded(page, await downloadToDisk(page, node));
  expect(vault.bucket.count).toBeGreaterThan(1);
  expect(await isPickedFile(page)).toBe(true);
});

test("a paused download stands still and goes on where it was", async () => {
  vault.bucket.plan = ({ method, earlier }) => (method === "GET" && earlier >= 4 ? { kind: "silence" } : undefined);
  const id = await downloadToDisk(page, node);
  await until(page, id, ({ moved }) => moved === 4 * PART);
  await page.evaluate((id) => { window.transfers.pause(id); }, id);
  expect((await look(page, id)).state).toBe("paused");
  const before = reads();
  vault.bucket.plan = () => undefined;
  await page.evaluate((id) => { window.transfers.resume(id); }, id);
  await succeeded(page, id);
  expect(reads() - before).toBe(PARTS - 4);
  expect(await isPickedFile(page)).toBe(true);
});

test.skipIf(isLent)("bytes that were changed in the bucket are never given out, and the owner is told", async () => {
  const { readdir, open } = await import("node:fs/promises");
  const folder = join(vault.folder, "bucket", "blob");
  const [name = ""] = await readdir(folder);
  const file = await open(join(folder, name), "r+");
  const place = 5_000_000;
  const kept = Buffer.alloc(1);
  await file.read(kept, 0, 1, place);
  await file.write(Buffer.from([(kept[0] ?? 0) ^ 1]), 0, 1, place);
  const { state, failure } = await ended(page, await downloadToDisk(page, node));
  expect([state, failure?.reason]).toEqual(["failed", "DAMAGED"]);
  await file.write(kept, 0, 1, place);
  await file.close();
  await succeeded(page, await downloadToDisk(page, node));
  expect(await isPickedFile(page)).toBe(true);
});

test("a bucket that answers another range than it was asked for is not believed", async () => {
  vault.bucket.rewrite = (headers) => headers.map((text) => text.replace(/^bytes 0-/, "bytes 1-"));
  const { state, failure } = await ended(page, await downloadToDisk(page, node));
  vault.bucket.rewrite = (headers) => headers;
  expect([state, failure?.reason]).toEqual(["failed", "BUCKET_HIDES_HEADERS"]);
});
