/** A large file up and down; 256 MiB, or 2 GiB with COFFER_LONG=1. */

import { join } from "node:path";

import type { BrowserContext } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";

import { openPage, pick, startBrowser } from "./harness/browser.ts";
import { MIB, downloadToDisk, isPickedFile, makeFile } from "./harness/files.ts";
import { Memory } from "./harness/memory.ts";
import { look, succeeded } from "./harness/transfers.ts";
import { upload } from "./harness/uploads.ts";
import { TestVault } from "./harness/vault.ts";

const SIZE = process.env.COFFER_LONG === "1" ? 2048 * MIB : 256 * MIB;
/** The page's JavaScript heap may hold no more. */
const HEAP_LIMIT = 300 * MIB;
/**
 * The page's process may grow by no more, with its workers, their buffers and what the browser has not yet collected of
 * them: the same for any size, and less than a third of the long run's file.
 */
const PROCESS_LIMIT = 640 * MIB;
/** The vault's own traffic for the file, up or down. */
const TRAFFIC_LIMIT = MIB;
/** How long one way may take, in milliseconds. */
const LIMIT_MS = 20 * 60_000;

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

test("a large file goes up and comes down equal, past the vault and without filling memory", async () => {
  const path = join(vault.folder, "large.bin");
  await makeFile(path, SIZE);
  const page = await openPage(browser, vault);
  await pick(page, path);
  const memory = await Memory.watch(page);
  const base = memory.processPeak;
  const steps = new Set<number>();
  const rates = new Set<boolean>();
  const run = async (start: () => Promise<string>): Promise<{ traffic: number; cpu: number; ms: number; node: Awaited<ReturnType<typeof look>>["node"] }> => {
    const [traffic, cpu, begun] = [vault.traffic, await vault.cpuSeconds(), Date.now()];
    const id = await start();
    const watching = setInterval(() => {
      void look(page, id).then(({ moved, bytesPerSecond, secondsLeft }) => {
        steps.add(moved);
        rates.add(bytesPerSecond !== undefined && secondsLeft !== undefined);
      }, () => undefined);
    }, 250);
    const seen = await succeeded(page, id, LIMIT_MS).finally(() => { clearInterval(watching); });
    return { traffic: vault.traffic - traffic, cpu: (await vault.cpuSeconds()) - cpu, ms: Date.now() - begun, node: seen.node };
  };

  const up = await run(() => upload(page));
  expect(steps.size, "progress moved").toBeGreaterThan(5);
  expect(rates.has(true), "a rate was told").toBe(true);
  const node = up.node;
  if (node === undefined) throw new Error("an upload makes a node");
  expect(node.file?.size_bytes).toBe(SIZE);
  steps.clear();
  const down = await run(() => downloadToDisk(page, node));
  memory.stop();
  expect(steps.size, "progress moved").toBeGreaterThan(3);

  const gib = SIZE / (1024 * MIB);
  const told = Object.entries({ up, down }).map(([way, { traffic, cpu, ms }]) =>
    `${way} ${(SIZE / MIB / (ms / 1000)).toFixed(0)} MiB/s, vault: ${(traffic / 1024).toFixed(0)} KiB, ${(cpu / gib).toFixed(3)} CPU s/GiB`);
  console.log(`${SIZE / MIB} MiB: ${told.join("; ")}; heap ${(memory.heapPeak / MIB).toFixed(0)} MiB, process +${((memory.processPeak - base) / MIB).toFixed(0)} MiB`);
  expect(up.traffic).toBeLessThanOrEqual(TRAFFIC_LIMIT);
  expect(down.traffic).toBeLessThanOrEqual(TRAFFIC_LIMIT);
  expect(memory.heapPeak).toBeLessThanOrEqual(HEAP_LIMIT);
  expect(memory.processPeak - base).toBeLessThanOrEqual(PROCESS_LIMIT);
  expect(await isPickedFile(page), "what came down is what went up").toBe(true);
  expect(vault.bucket.ledger.violations).toEqual([]);
}, LIMIT_MS * 2);
