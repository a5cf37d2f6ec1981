/** The ways of a file to the owner's disk, and files of all sizes that the gateway wrote. */

import { createReadStream } from "node:fs";
import { join } from "node:path";

import type { BrowserContext, Download, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";

import { openPage, pick, startBrowser } from "./harness/browser.ts";
import { MIB, SIZES, directHash, hashOf, isPickedFile, makeFile, sendByGateway, wanted } from "./harness/files.ts";
import { succeeded } from "./harness/transfers.ts";
import { TestVault } from "./harness/vault.ts";
import type { Node } from "../src/transfer/index.ts";

const LARGE = 40 * MIB + 11;
/** Of a download that goes past the vault. */
const TRAFFIC_LIMIT = 64 * 1024;

let vault: TestVault;
let browser: BrowserContext;
let page: Page;

beforeAll(async () => {
  vault = await TestVault.start();
  browser = await startBrowser(vault);
});

afterAll(async () => {
  await browser.close();
  await vault.stop();
});

beforeEach(async () => {
  page = await openPage(browser, vault);
});

afterEach(async () => {
  await page.close();
});

/** Makes a file, picks it and sends it by the gateway. */
async function send(name: string, size: number): Promise<{ node: Node; hash: string }> {
  const path = join(vault.folder, name);
  const hash = await makeFile(path, size);
  await pick(page, path);
  return { node: await sendByGateway(page, name), hash };
}

/** Saves a file and gives the transfer's id. */
async function save(node: Node): Promise<string> {
  return page.evaluate(({ id, name, size }) => window.transfers.save({ file: id, name, size }), wanted(node));
}

/** Saves a file by a download of the browser's own. */
async function saved(node: Node): Promise<{ name: string; hash: string }> {
  const coming: Promise<Download> = page.waitForEvent("download");
  await save(node);
  const download = await coming;
  return { name: download.suggestedFilename(), hash: await hashOf(createReadStream(await download.path())) };
}

/** Takes the picker away, as in browsers that have none. */
async function withoutPicker(): Promise<void> {
  await page.evaluate(() => { Reflect.deleteProperty(window, "showSaveFilePicker"); });
}

test.each(SIZES)("%i bytes that were written by the gateway are read direct", async (size) => {
  const { node, hash } = await send(`gateway ${size}.bin`, size);
  expect(await directHash(page, node)).toBe(hash);
});

test("a small file is saved in one piece, under its name", async () => {
  const { node, hash } = await send("small file äöü.bin", 3 * MIB);
  const traffic = vault.traffic;
  expect(await saved(node)).toEqual({ name: "small file äöü.bin", hash });
  expect(vault.traffic - traffic).toBeLessThan(TRAFFIC_LIMIT);
});

test("a large file goes into the file that the owner picks", async () => {
  const { node } = await send("picked.bin", LARGE);
  await page.evaluate(() => {
    const showSaveFilePicker = async (): Promise<FileSystemFileHandle> =>
      (await navigator.storage.getDirectory()).getFileHandle("download", { create: true });
    Object.assign(window, { showSaveFilePicker });
  });
  const traffic = vault.traffic;
  await succeeded(page, await save(node));
  expect(await isPickedFile(page)).toBe(true);
  expect(vault.traffic - traffic).toBeLessThan(TRAFFIC_LIMIT);
});

test("a large file without a picker is opened by the gateway, under a ticket", async () => {
  const { node, hash } = await send("ticket.bin", LARGE);
  await withoutPicker();
  const traffic = vault.traffic;
  expect(await saved(node)).toEqual({ name: "ticket.bin", hash });
  expect(vault.traffic - traffic).toBeGreaterThan(LARGE);
});

test("a large file without a picker is streamed by the service worker, past the vault", async () => {
  const { node, hash } = await send("streamed.bin", LARGE);
  await withoutPicker();
  expect(await page.evaluate(() => window.coffer.startStreamer())).toBe(true);
  const traffic = vault.traffic;
  expect(await saved(node)).toEqual({ name: "streamed.bin", hash });
  expect(vault.traffic - traffic).toBeLessThan(TRAFFIC_LIMIT);
});

test("a picked file that is not there any more says what to do", async () => {
  const { node } = await send("gone.bin", 1000);
  const failure = await page.evaluate(async ({ id, name, size }) => {
    const { done, connect } = window.coffer;
    await done(connect().DELETE("/nodes/{id}", { params: { path: { id } } }));
    await done(connect().DELETE("/trash/{id}", { params: { path: { id } } }));
    const transfer = window.transfers.downloadBlob({ file: id, name, size });
    for (;;) {
      const seen = window.transfers.snapshots().find((one) => one.id === transfer);
      if (seen?.state === "failed") return { reason: seen.failure?.reason, next: seen.failure?.next };
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }, wanted(node));
  expect(failure.reason).toBe("FILE_NOT_FOUND");
  expect(failure.next).toBeTruthy();
});
