/**
 * How fast direct transfers are beside plain ones of the same bytes in the same browser, and where the time goes.
 *
 * Plain means what a page without encryption does: parts of 8 MiB put to signed URLs, five at a time; one signed GET piped
 * into a file. `npm run bench`; COFFER_BIN names the program (a release build says more), BENCH_MIB the size.
 */

import { join } from "node:path";

import type { BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";

import { openPage, pick, startBrowser } from "./harness/browser.ts";
import { MIB, PART, downloadToDisk, makeFile } from "./harness/files.ts";
import { presign } from "./harness/presign.ts";
import { succeeded } from "./harness/transfers.ts";
import { upload } from "./harness/uploads.ts";
import { TestVault } from "./harness/vault.ts";

const SIZE = Number(process.env.BENCH_MIB ?? 512) * MIB;
const ROUNDS = 3;
const PLAIN_AT_ONCE = 5;

let vault: TestVault;
let browser: BrowserContext;
let page: Page;

beforeAll(async () => {
  vault = await TestVault.start({ isWatched: false });
  browser = await startBrowser(vault);
  page = await openPage(browser, vault);
  const path = join(vault.folder, "bench.bin");
  await makeFile(path, SIZE);
  await pick(page, path);
});

afterAll(async () => {
  await browser.close();
  await vault.stop();
});

/** Seconds that something took. */
async function secondsOf(act: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await act();
  return (performance.now() - begun) / 1000;
}

async function plainUpload(key: string): Promise<void> {
  const begun = await fetch(presign(vault.store, "POST", key, { uploads: "" }), { method: "POST" });
  const uploadId = /<UploadId>([^<]+)/.exec(await begun.text())?.[1] ?? "";
  const parts = Array.from({ length: Math.ceil(SIZE / PART) }, (_, part) => part);
  const urls = parts.map((part) => presign(vault.store, "PUT", key, { partNumber: String(part + 1), uploadId }));
  const etags = await page.evaluate(async ({ urls, size, atOnce }) => {
    const file = document.querySelector<HTMLInputElement>("#file")?.files?.[0];
    if (file === undefined) throw new Error("no file was picked");
    const etags: (string | null)[] = [];
    let next = 0;
    await Promise.all(Array.from({ length: atOnce }, async () => {
      for (;;) {
        const part = next++;
        const url = urls[part];
        if (url === undefined) return;
        const answer = await fetch(url, { method: "PUT", body: file.slice(part * size, (part + 1) * size) });
        etags[part] = answer.headers.get("etag");
      }
    }));
    return etags;
  }, { urls, size: PART, atOnce: PLAIN_AT_ONCE });
  const list = etags.map((etag, part) => `<Part><PartNumber>${part + 1}</PartNumber><ETag>${etag ?? ""}</ETag></Part>`);
  const body = `<CompleteMultipartUpload>${list.join("")}</CompleteMultipartUpload>`;
  const ended = await fetch(presign(vault.store, "POST", key, { uploadId }), { method: "POST", body });
  expect(ended.status, await ended.text()).toBe(200);
}

async function plainDownload(key: string): Promise<void> {
  const size = await page.evaluate(async (url) => {
    const handle = await (await navigator.storage.getDirectory()).getFileHandle("plain", { create: true });
    const answer = await fetch(url);
    await answer.body?.pipeTo(await handle.createWritable());
    return (await handle.getFile()).size;
  }, presign(vault.store, "GET", key));
  expect(size).toBe(SIZE);
}

/** Seals all parts and sends nothing. */
async function sealOnly(): Promise<void> {
  await page.evaluate(async () => {
    const file = document.querySelector<HTMLInputElement>("#file")?.files?.[0];
    if (file === undefined) throw new Error("no file was picked");
    const { PartPool, Geometry, K_MIN, importDataKey } = window.sealing;
    const pool = new PartPool();
    const key = await importDataKey(crypto.getRandomValues(new Uint8Array(32)));
    const blob = { vaultId: new Uint8Array(16), blobId: new Uint8Array(16), geometry: new Geometry(K_MIN, file.size) };
    let next = 0;
    await Promise.all(Array.from({ length: 4 }, async () => {
      while (next < blob.geometry.partCount) await pool.seal(key, blob, next++, file);
    }));
    pool.close();
  });
}

test("direct beside plain", async () => {
  const rates: Record<string, number[]> = {};
  const run = async (name: string, act: () => Promise<unknown>): Promise<void> => {
    (rates[name] ??= []).push(SIZE / MIB / (await secondsOf(act)));
  };
  let cpu = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const key = `plain/${round}`;
    await run("plain up", () => plainUpload(key));
    let node: Awaited<ReturnType<typeof succeeded>>["node"];
    const before = await vault.cpuSeconds();
    await run("direct up", async () => {
      node = (await succeeded(page, await upload(page, { parent: "root", name: `bench ${round}` }))).node;
    });
    await run("plain down", () => plainDownload(key));
    await run("direct down", async () => {
      if (node !== undefined) await succeeded(page, await downloadToDisk(page, node));
    });
    cpu += (await vault.cpuSeconds()) - before;
    await run("seal alone", sealOnly);
  }
  const best = (name: string): number => Math.max(...(rates[name] ?? []));
  const lines = Object.entries(rates).map(([name, all]) =>
    `${name.padEnd(12)} ${best(name).toFixed(0).padStart(5)} MiB/s   (${all.map((rate) => rate.toFixed(0)).join(", ")})`);
  const ratio = (way: string): string => (best(`direct ${way}`) / best(`plain ${way}`)).toFixed(2);
  const gib = (2 * ROUNDS * SIZE) / (1024 * MIB);
  console.log([
    `${SIZE / MIB} MiB, best of ${ROUNDS}`, ...lines,
    `direct / plain: up ${ratio("up")}, down ${ratio("down")}; the vault's processor: ${(cpu / gib).toFixed(3)} s/GiB`,
  ].join("\n"));
}, 1_800_000);
