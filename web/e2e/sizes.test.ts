/** Files of all sizes that a page wrote. */

import { join } from "node:path";

import type { BrowserContext } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";

import { openPage, pick, startBrowser } from "./harness/browser.ts";
import { SIZES, directHash, gatewayHash, makeFile } from "./harness/files.ts";
import { succeeded } from "./harness/transfers.ts";
import { upload } from "./harness/uploads.ts";
import { TestVault } from "./harness/vault.ts";

let vault: TestVault;
let browser: BrowserContext;

beforeAll(async () => {
  vault = await TestVault.start();
  browser = await startBrowser(vault);
});

afterAll(async () => {
  await browser.close();
  await vault.stop();
});

test.each(SIZES)("%i bytes that were written direct are read by the gateway and direct", async (size) => {
  const page = await openPage(browser, vault);
  const path = join(vault.folder, `direct ${size}.bin`);
  const hash = await makeFile(path, size);
  await pick(page, path);
  const { node } = await succeeded(page, await upload(page));
  if (node === undefined) throw new Error("an upload makes a node");
  expect(node.file?.size_bytes).toBe(size);
  expect(await gatewayHash(page, node)).toBe(hash);
  expect(await directHash(page, node)).toBe(hash);
  await page.close();
});
