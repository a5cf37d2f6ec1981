/** Small files on a bucket that refuses wrong bytes and second writes: one PUT of the object itself. */

import { join } from "node:path";

import type { BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";

import { openPage, pick, startBrowser, visit } from "./harness/browser.ts";
import { isLent } from "./harness/bucket.ts";
import type { Fault } from "./harness/faults.ts";
import { PART, directHash, gatewayHash, makeFile } from "./harness/files.ts";
import { succeeded } from "./harness/transfers.ts";
import { upload } from "./harness/uploads.ts";
import { TestVault } from "./harness/vault.ts";

const SIZE = PART - 1;
/** What happens to the first PUT, and how many PUTs it takes. */
const faults: [string, Fault | undefined, number][] = [
  ["nothing", undefined, 1],
  ["a lost answer", { kind: "lose answer" }, 2],
  ["a reset in the middle", { kind: "reset", afterBytes: 3_000_000 }, 2],
  ["a byte that changes on its way", { kind: "corrupt" }, 2],
];

let vault: TestVault;
let browser: BrowserContext;
let page: Page;
let path: string;
let hash: string;

beforeAll(async () => {
  vault = await TestVault.start();
  browser = await startBrowser(vault);
  path = join(vault.folder, "small.bin");
  hash = await makeFile(path, SIZE);
});

afterAll(async () => {
  await browser.close();
  await vault.stop();
});

beforeEach(async () => {
  vault.bucket.clear();
  page = await openPage(browser, vault);
  await pick(page, path);
});

afterEach(async () => {
  await page.close();
  expect(vault.bucket.ledger.violations).toEqual([]);
});

test.skipIf(isLent).each(faults)("one PUT makes the object, with %s", async (name, fault, puts) => {
  const conditions: (string | undefined)[] = [];
  page.on("request", (request) => { if (request.method() === "PUT") conditions.push(request.headers()["if-none-match"]); });
  vault.bucket.plan = ({ method, earlier }) => (method === "PUT" && earlier === 0 ? fault : undefined);
  const { node } = await succeeded(page, await upload(page, { parent: "root", name }));
  if (node === undefined) throw new Error("an upload makes a node");
  const places = vault.bucket.passed.filter(({ method }) => method === "PUT").map(({ place }) => place);
  expect(places).toEqual(Array.from({ length: puts }, () => places[0]));
  expect(places[0]).toMatch(/\/blob\/[0-9a-f]{32}$/);
  // Chromium sends a request again by itself when a connection that was used before breaks, and tells nobody.
  expect([...new Set(conditions)]).toEqual(["*"]);
  expect(await gatewayHash(page, node)).toBe(hash);
  expect(await directHash(page, node)).toBe(hash);
});


test.skipIf(isLent)("what a page before put there and nobody confirmed is not taken for the file", async () => {
  // The bucket has the object; the page never learns of it, not even by Chromium's second attempt.
  vault.bucket.plan = ({ method, earlier }) => (method === "PUT" ? { kind: earlier === 0 ? "lose answer" : "silence" } : undefined);
  await upload(page, { parent: "root", name: "reloaded" });
  await expect.poll(() => vault.bucket.passed.filter(({ method }) => method === "PUT").length, { timeout: 60_000 }).toBe(2);
  await visit(page, vault);
  vault.bucket.clear();
  await pick(page, path);
  const id = await page.evaluate(async () => {
    const [one] = await window.transfers.unfinished();
    const file = document.querySelector<HTMLInputElement>("#file")?.files?.[0];
    if (one === undefined || file === undefined) throw new Error("nothing to go on with");
    return window.transfers.continueUpload(one, file);
  });
  const { node } = await succeeded(page, id);
  if (node === undefined) throw new Error("an upload makes a node");
  // One PUT was refused, since another encryption lay there; a new upload took its place.
  const places = vault.bucket.passed.filter(({ method }) => method === "PUT").map(({ place }) => place);
  expect(new Set(places).size).toBe(2);
  expect(await gatewayHash(page, node)).toBe(hash);
  expect(await page.evaluate(() => window.transfers.unfinished())).toEqual([]);
});
