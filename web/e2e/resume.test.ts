/** Pausing, reloading, other files and other tabs. */

import { open, utimes } from "node:fs/promises";
import { join } from "node:path";

import type { BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";

import { openPage, pick, startBrowser, visit } from "./harness/browser.ts";
import { MIB, PART, downloadToDisk, gatewayHash, isPickedFile, makeFile } from "./harness/files.ts";
import { ended, look, succeeded, until } from "./harness/transfers.ts";
import { upload } from "./harness/uploads.ts";
import { TestVault } from "./harness/vault.ts";

const PARTS = 12;
const SIZE = (PARTS - 1) * PART + 12_345;

let vault: TestVault;
let browser: BrowserContext;
let page: Page;
let path: string;
let hash: string;
let count = 0;

beforeAll(async () => {
  vault = await TestVault.start();
  browser = await startBrowser(vault);
});

afterAll(async () => {
  await browser.close();
  await vault.stop();
});

beforeEach(async () => {
  count += 1;
  path = join(vault.folder, `file ${count}.bin`);
  hash = await makeFile(path, SIZE);
  page = await openPage(browser, vault);
  vault.bucket.clear();
});

afterEach(async () => {
  await page.close();
  expect(vault.bucket.ledger.violations).toEqual([]);
  expect(await unfinished()).toEqual([]);
});

/** Unfinished uploads, asked for in a page of their own. */
async function unfinished(): Promise<{ id: string; confirmed: number }[]> {
  const other = await openPage(browser, vault);
  const found = await other.evaluate(async () =>
    (await window.transfers.unfinished()).map(({ id, confirmed_parts: confirmed }) => ({ id, confirmed })));
  await other.close();
  return found;
}

/** Goes on with the one unfinished upload, with the picked file; the answer is the transfer's id. */
async function goOn(tab: Page): Promise<string> {
  return tab.evaluate(async () => {
    const [one] = await window.transfers.unfinished();
    const file = document.querySelector<HTMLInputElement>("#file")?.files?.[0];
    if (one === undefined || file === undefined) throw new Error("nothing to go on with");
    return window.transfers.continueUpload(one, file);
  });
}

/** Lets only the first parts of uploads pass; the others hang. */
function holdPartsFrom(first: number): void {
  vault.bucket.plan = ({ method, place }) =>
    method === "PUT" && Number(place.split("#")[1]) > first ? { kind: "silence" } : undefined;
}

/** The parts that were put since the records were cleared, from 0. */
function putParts(): number[] {
  const parts = vault.bucket.passed.filter(({ method }) => method === "PUT").map(({ place }) => Number(place.split("#")[1]) - 1);
  return [...new Set(parts)].sort((a, b) => a - b);
}

/** Sends the picked file until this many parts are confirmed and the rest hangs. */
async function sendSome(tab: Page, parts: number): Promise<string> {
  holdPartsFrom(parts);
  await pick(tab, path);
  const id = await upload(tab, { parent: "root", name: `file ${count}.bin` });
  await until(tab, id, ({ moved }) => moved >= parts * PART);
  while ((await unfinished())[0]?.confirmed !== parts) await new Promise((resolve) => setTimeout(resolve, 100));
  return id;
}

test("a reload in the middle resumes, and only unconfirmed parts travel again", async () => {
  await sendSome(page, 5);
  await visit(page, vault);
  vault.bucket.clear();
  await pick(page, path);
  const seen = await succeeded(page, await goOn(page));
  expect(seen.notice).toBeUndefined();
  expect(putParts()).toEqual([5, 6, 7, 8, 9, 10, 11]);
  if (seen.node === undefined) throw new Error("an upload makes a node");
  expect(await gatewayHash(page, seen.node)).toBe(hash);
});

test("a file that changed meanwhile is noticed, said, and sent anew", async () => {
  await sendSome(page, 5);
  await visit(page, vault);
  vault.bucket.clear();
  const file = await open(path, "r+");
  await file.write(Buffer.from("changed"), 0, 7, 2 * PART + 99);
  await file.close();
  await pick(page, path);
  const seen = await succeeded(page, await goOn(page));
  expect(seen.notice).toBe("FILE_CHANGED");
  expect(putParts()).toEqual(Array.from({ length: PARTS }, (_, part) => part));
  if (seen.node === undefined) throw new Error("an upload makes a node");
  await succeeded(page, await downloadToDisk(page, seen.node));
  expect(await isPickedFile(page)).toBe(true);
});

test("a file of another size is another file", async () => {
  await sendSome(page, 2);
  await visit(page, vault);
  vault.bucket.clear();
  hash = await makeFile(path, 3 * MIB);
  await pick(page, path);
  const seen = await succeeded(page, await goOn(page));
  expect(seen.notice).toBe("FILE_CHANGED");
  expect([seen.size, seen.node?.file?.size_bytes, seen.node?.name]).toEqual([3 * MIB, 3 * MIB, `file ${count}.bin`]);
});

test("a file that changes while it is sent fails with a reason, and goes on when it is picked again", async () => {
  const id = await sendSome(page, 3);
  await utimes(path, new Date(), new Date(Date.now() + 60_000));
  await page.evaluate((id) => { window.transfers.pause(id); window.transfers.resume(id); }, id);
  const failed = await ended(page, id);
  expect([failed.failure?.reason, failed.failure?.remedy]).toEqual(["SOURCE_UNREADABLE", "pick"]);
  vault.bucket.clear();
  await pick(page, path);
  await page.evaluate(async (id) => {
    const file = document.querySelector<HTMLInputElement>("#file")?.files?.[0];
    if (file !== undefined) await window.transfers.pick(id, file);
  }, id);
  const seen = await succeeded(page, id);
  expect(seen.notice).toBeUndefined();
  expect(putParts()).toEqual([3, 4, 5, 6, 7, 8, 9, 10, 11]);
});

test("a paused upload stands still, holds nothing, and goes on", async () => {
  const id = await sendSome(page, 4);
  await page.evaluate((id) => { window.transfers.pause(id); }, id);
  expect((await look(page, id)).state).toBe("paused");
  vault.bucket.clear();
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  expect(vault.bucket.passed).toEqual([]);
  await page.evaluate((id) => { window.transfers.resume(id); }, id);
  const seen = await succeeded(page, id);
  expect(putParts()).toEqual([4, 5, 6, 7, 8, 9, 10, 11]);
  if (seen.node === undefined) throw new Error("an upload makes a node");
  expect(await gatewayHash(page, seen.node)).toBe(hash);
});

test("a cancelled upload leaves nothing behind, and its name is free", async () => {
  const id = await sendSome(page, 4);
  await page.evaluate((id) => window.transfers.cancel(id), id);
  expect((await look(page, id)).state).toBe("cancelled");
  expect(await unfinished()).toEqual([]);
  vault.bucket.clear();
  await succeeded(page, await upload(page, { parent: "root", name: `file ${count}.bin` }));
});

test("of two tabs on one upload one wins, and the other says where it goes on", async () => {
  const first = await sendSome(page, 4);
  const other = await openPage(browser, vault);
  await pick(other, path);
  const second = await goOn(other);
  const refused = await ended(other, second);
  expect([refused.state, refused.failure?.reason, refused.failure?.remedy]).toEqual(["failed", "OPEN_ELSEWHERE", "resume"]);
  vault.bucket.clear();
  // The hanging parts are given up and sent again.
  await page.evaluate((id) => { window.transfers.pause(id); window.transfers.resume(id); }, first);
  await succeeded(page, first);
  await other.close();
});

test("two machines on one upload do not break it: at least one makes the file, and the other knows why it did not", async () => {
  await sendSome(page, 4);
  vault.bucket.clear();
  await visit(page, vault);
  const other = await openPage(browser, vault);
  for (const tab of [page, other]) {
    // What another machine knows of this one's locks.
    await tab.evaluate(() => { Object.defineProperty(navigator, "locks", { value: undefined }); });
    await pick(tab, path);
  }
  const ids = [await goOn(page), await goOn(other)] as const;
  const ends = [await ended(page, ids[0]), await ended(other, ids[1])];
  const nodes = ends.map(({ node }) => node).filter((node) => node !== undefined);
  expect(nodes.length, JSON.stringify(ends)).toBeGreaterThan(0);
  expect(new Set(nodes.map(({ id }) => id)).size).toBe(1);
  for (const { state, failure } of ends) if (state !== "done") expect(failure?.next).toBeTruthy();
  const [node] = nodes;
  if (node !== undefined) expect(await gatewayHash(page, node)).toBe(hash);
  await other.close();
});
