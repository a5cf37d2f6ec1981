/** The browser goes offline in the middle of transfers, and comes back. */

import { join } from "node:path";

import type { BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";

import type { Node } from "../src/transfer/index.ts";
import { openPage, pick, startBrowser } from "./harness/browser.ts";
import { PART, downloadToDisk, gatewayHash, isPickedFile, makeFile, sendByGateway } from "./harness/files.ts";
import { look, succeeded, until } from "./harness/transfers.ts";
import { upload } from "./harness/uploads.ts";
import { TestVault } from "./harness/vault.ts";

const PARTS = 8;
const SIZE = (PARTS - 1) * PART + 4_321;
/** How long the browser stays offline: longer than the first waits between two attempts together. */
const OFFLINE_MS = 5_000;

let vault: TestVault;
let browser: BrowserContext;
let page: Page;
let hash: string;
let node: Node;

beforeAll(async () => {
  vault = await TestVault.start();
  browser = await startBrowser(vault);
  const path = join(vault.folder, "file.bin");
  hash = await makeFile(path, SIZE);
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
  await browser.setOffline(false);
  await page.close();
  expect(vault.bucket.ledger.violations).toEqual([]);
});

/** Goes offline, sees that nothing new is asked for, and comes back. What is on its way then may still arrive. */
async function offline(id: string): Promise<void> {
  await browser.setOffline(true);
  expect(await page.evaluate(() => navigator.onLine)).toBe(false);
  const before = vault.bucket.passed.length;
  await new Promise((resolve) => setTimeout(resolve, OFFLINE_MS));
  expect(vault.bucket.passed.length).toBe(before);
  const seen = await look(page, id);
  expect(seen).toMatchObject({ state: "running", failure: undefined });
  expect(seen.moved).toBeLessThan(SIZE);
  vault.bucket.plan = () => undefined;
  await browser.setOffline(false);
}

test("an upload waits while the browser is offline, and goes on by itself", async () => {
  vault.bucket.plan = ({ method, place }) => (method === "PUT" && Number(place.split("#")[1]) > 2 ? { kind: "delay", ms: 3_000 } : undefined);
  const id = await upload(page, { parent: "root", name: "up" });
  await until(page, id, ({ moved }) => moved >= 2 * PART);
  await offline(id);
  const { node: made } = await succeeded(page, id);
  if (made === undefined) throw new Error("an upload makes a node");
  expect(await gatewayHash(page, made)).toBe(hash);
});

test("a download waits while the browser is offline, and goes on by itself", async () => {
  vault.bucket.plan = ({ method, earlier }) => (method === "GET" && earlier >= 3 ? { kind: "delay", ms: 3_000 } : undefined);
  const id = await downloadToDisk(page, node);
  await until(page, id, ({ moved }) => moved >= 2 * PART);
  await offline(id);
  await succeeded(page, id);
  expect(await isPickedFile(page)).toBe(true);
});
