/** A bucket that knows nothing of SHA-256 checksums: parts go with a Content-MD5, and a wrong one is found in any case. */

import { join } from "node:path";

import type { BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";

import { openPage, pick, startBrowser } from "./harness/browser.ts";
import { PART, directHash, gatewayHash, makeFile } from "./harness/files.ts";
import { succeeded } from "./harness/transfers.ts";
import { upload } from "./harness/uploads.ts";
import { TestVault } from "./harness/vault.ts";

let vault: TestVault;
let browser: BrowserContext;

beforeAll(async () => {
  vault = await TestVault.start({ knowsSha256: false });
  browser = await startBrowser(vault);
});

afterAll(async () => {
  await browser.close();
  await vault.stop();
});

/** Uploads a file of so many bytes; the headers of its PUTs. */
async function send(page: Page, size: number): Promise<Record<string, string>[]> {
  vault.bucket.clear();
  const path = join(vault.folder, `${size}.bin`);
  const hash = await makeFile(path, size);
  await pick(page, path);
  const puts: Record<string, string>[] = [];
  page.on("request", (request) => { if (request.method() === "PUT") puts.push(request.headers()); });
  const { node } = await succeeded(page, await upload(page));
  if (node === undefined) throw new Error("an upload makes a node");
  expect(await gatewayHash(page, node)).toBe(hash);
  expect(await directHash(page, node)).toBe(hash);
  return puts;
}

test.each([0, 1, 100_000, PART, 2 * PART + 17])("%i bytes go with the MD5 of each part", async (size) => {
  const page = await openPage(browser, vault);
  const puts = await send(page, size);
  expect(puts).toHaveLength(Math.max(1, Math.ceil(size / PART)));
  for (const headers of puts) {
    expect(headers["content-md5"]).toMatch(/^[\w+/]{22}==$/);
    expect(Object.keys(headers).filter((name) => name.startsWith("x-amz-checksum"))).toEqual([]);
  }
  // Without a checksum that the bucket keeps to, no URL writes the object itself.
  expect(vault.bucket.passed.filter(({ method }) => method === "PUT").every(({ place }) => /#\d+$/.test(place))).toBe(true);
  await page.close();
});

test("a part that changes on its way is refused by its MD5 and sent again", async () => {
  const page = await openPage(browser, vault);
  const path = join(vault.folder, "changed.bin");
  const hash = await makeFile(path, PART + 5);
  await pick(page, path);
  vault.bucket.clear();
  vault.bucket.plan = ({ method, earlier }) => (method === "PUT" && earlier === 0 ? { kind: "corrupt" } : undefined);
  const { node } = await succeeded(page, await upload(page));
  if (node === undefined) throw new Error("an upload makes a node");
  expect(vault.bucket.passed.filter(({ method }) => method === "PUT")).toHaveLength(4);
  expect(await gatewayHash(page, node)).toBe(hash);
  await page.close();
});
