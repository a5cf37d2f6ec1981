import { utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { afterAll, beforeAll, expect, test } from "vitest";
import type { BrowserContext, Page } from "playwright-core";

import type { BlobShape, DataKey } from "../src/crypto/index.ts";
import { openPage, pick, startBrowser } from "./harness/browser.ts";
import { TestVault } from "./harness/vault.ts";

declare global {
  interface Window {
    key: DataKey;
    shape: (size: number) => BlobShape;
  }
}

let vault: TestVault;
let browser: BrowserContext;
let page: Page;

beforeAll(async () => {
  vault = await TestVault.start();
  browser = await startBrowser(vault);
  page = await openPage(browser, vault);
  await page.evaluate(async () => {
    const { Geometry, importDataKey } = window.sealing;
    window.key = await importDataKey(new Uint8Array(32).fill(1));
    window.shape = (size) => ({
      vaultId: new Uint8Array(16),
      blobId: new Uint8Array(16),
      geometry: new Geometry(23, size),
    });
  });
});

afterAll(async () => {
  await browser.close();
  await vault.stop();
});

test("what workers seal opens in a worker and in the page, and has the hashes that they name", async () => {
  const seen = await page.evaluate(async () => {
    const { PartPool, hashPart, openPart, toHex } = window.sealing;
    const { key } = window;
    const [pool, size] = [new PartPool(2), 8 * 1024 * 1024 + 70_000];
    const plaintext = new Uint8Array(size).map((_, index) => index % 251);
    const [file, shape] = [new Blob([plaintext]), window.shape(size)];
    const parts = await Promise.all([0, 1].map((part) => pool.seal(key, shape, part, file, { md5: true })));
    const looks = parts.map(async ({ body, salt, sha256, plainSha256, md5 }, part) => {
      const sealed = new Uint8Array(await body.arrayBuffer());
      const slice = plaintext.slice(part * 8 * 1024 * 1024, (part + 1) * 8 * 1024 * 1024);
      const opened = new Uint8Array(await (await pool.open(key, shape, part, salt, body)).arrayBuffer());
      const again = await pool.hash(key, shape, part, salt, file);
      const here = await hashPart(key, shape, part, salt, slice);
      const inPage = await openPart(key, shape, part, salt, sealed);
      return {
        isOpened: [opened, inPage].every((bytes) => bytes.length === slice.length && bytes.every((byte, at) => byte === slice[at])),
        sha256: new Set([toHex(sha256), toHex(again.sha256), toHex(here.sha256)]).size,
        plain: new Set([toHex(plainSha256), toHex(again.plainSha256), toHex(here.plainSha256)]).size,
        md5: md5?.length,
      };
    });
    const all = await Promise.all(looks);
    pool.close();
    return all;
  });
  expect(seen).toEqual([0, 1].map(() => ({ isOpened: true, sha256: 1, plain: 1, md5: 16 })));
});

test("a worker's refusal is the one error of the format, and a failure keeps its name", async () => {
  const names = await page.evaluate(async () => {
    const { OpenError, PartPool } = window.sealing;
    const { key } = window;
    const [pool, shape, file] = [new PartPool(1), window.shape(1000), new Blob([new Uint8Array(1000)])];
    const { body, salt } = await pool.seal(key, shape, 0, file);
    const failures = await Promise.allSettled([
      pool.open(key, shape, 0, salt.with(0, (salt[0] ?? 0) ^ 1), body),
      pool.open(key, shape, 0, salt, body.slice(0, -1)),
      pool.seal(key, shape, 0, file.slice(1)),
      pool.seal(key, shape, 1, file),
    ]);
    pool.close();
    return failures.map((failure) => failure.status === "rejected" && [(failure.reason as Error).name, failure.reason instanceof OpenError]);
  });
  expect(names).toEqual([["OpenError", true], ["OpenError", true], ["RangeError", false], ["RangeError", false]]);
});

test("a file that changed since it was picked is not sealed", async () => {
  const path = join(vault.folder, "changing");
  await writeFile(path, Buffer.alloc(1000, 1));
  await pick(page, path);
  const seal = (): Promise<string> =>
    page.evaluate(async () => {
      const file = document.querySelector<HTMLInputElement>("#file")?.files?.[0];
      if (file === undefined) throw new Error("no file was picked");
      const pool = new window.sealing.PartPool(1);
      const sealing = pool.seal(window.key, window.shape(1000), 0, file);
      const outcome = await sealing.then(() => "sealed", (error: unknown) => (error as Error).name);
      pool.close();
      return outcome;
    });
  expect(await seal()).toBe("sealed");
  await writeFile(path, Buffer.alloc(1000, 2));
  // Chromium looks at whole seconds.
  const later = Date.now() / 1000 + 10;
  await utimes(path, later, later);
  expect(await seal()).toBe("NotReadableError");
});

test("so many tasks wait and one more is refused; those that are cancelled make room", async () => {
  const seen = await page.evaluate(async () => {
    const { MAX_WAITING, PartPool } = window.sealing;
    const { key } = window;
    const [pool, shape, file] = [new PartPool(1), window.shape(1000), new Blob([new Uint8Array(1000)])];
    const cancel = new AbortController();
    const outcomeOf = (sealing: Promise<unknown>): Promise<string> => sealing.then(() => "sealed", (error: unknown) => (error as Error).name);
    const seal = (signal?: AbortSignal): Promise<string> => outcomeOf(pool.seal(key, shape, 0, file, { signal }));
    // Two are under way, the others wait.
    const running = [seal(), seal(cancel.signal)];
    const waiting = Array.from({ length: MAX_WAITING }, (_, index) => seal(index % 2 === 0 ? cancel.signal : undefined));
    const oneMore = await seal();
    cancel.abort();
    const afterwards = await seal();
    const outcomes = await Promise.all([...running, ...waiting]);
    const late = seal();
    pool.close();
    const count = (name: string): number => outcomes.filter((outcome) => outcome === name).length;
    return [oneMore, afterwards, count("AbortError"), count("sealed"), await late, await seal(), await seal(AbortSignal.abort())];
  });
  expect(seen).toEqual(["RangeError", "sealed", 129, 129, "AbortError", "AbortError", "AbortError"]);
});
