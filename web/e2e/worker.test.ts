import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";

import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { BrowserContext, Page } from "playwright-core";

import { PLAYER_BYTES } from "../src/worker/streams.ts";
import { openPage, startBrowser, visit } from "./harness/browser.ts";
import { OWNER, TestVault } from "./harness/vault.ts";
import { colourOf, makeVideo } from "./harness/video.ts";

const MIB = 1024 * 1024;
const CHUNK = 16 * 1024;
const SECONDS = 96;

let vault: TestVault;
let browser: BrowserContext;
let page: Page;

beforeAll(async () => {
  vault = await TestVault.start();
  browser = await startBrowser(vault);
  page = await openPage(browser, vault);
  expect(await page.evaluate(() => window.coffer.startStreamer())).toBe(true);
});

beforeEach(() => {
  vault.bucket.clear();
});

afterAll(async () => {
  await browser.close();
  await vault.stop();
});

/** A session of this program's own: the browser's cookie is bound to the browser. */
async function bearer(): Promise<string> {
  const body = JSON.stringify({ ...OWNER, transport: "bearer" });
  const headers = { "content-type": "application/json" };
  const answer = await fetch(`${vault.origin}/api/v1/session`, { method: "POST", headers, body });
  return ((await answer.json()) as { access_token: string }).access_token;
}

/** Sends a file through the gateway; the answer is its id. */
async function store(name: string, type: string, content: Buffer): Promise<string> {
  const query = new URLSearchParams({ name, type });
  const headers = { authorization: `Bearer ${await bearer()}`, "content-type": "application/octet-stream" };
  const answer = await fetch(`${vault.origin}/api/v1/folders/root/files?${query}`, { method: "POST", headers, body: new Uint8Array(content) });
  expect(answer.status).toBe(201);
  return ((await answer.json()) as { id: string }).id;
}

test("a download of the browser's own has the file's name, its length and its bytes", async () => {
  const name = 'ünï "x"; 100% 😀.bin';
  const content = randomBytes(17 * MIB + 5);
  const id = await store(name, "text/html", content);
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.evaluate((url) => {
      const frame = document.createElement("iframe");
      frame.src = url;
      document.body.append(frame);
    }, `/stream/${id}?disposition=inline`),
  ]);
  // Chromium itself replaces what a file system could not take.
  expect(download.suggestedFilename()).toBe("ünï _x_; 100% 😀.bin");
  expect((await readFile(await download.path())).equals(content)).toBe(true);
  const ranges = vault.bucket.passed.map(({ range }) => range);
  expect(ranges).toEqual([`bytes=0-${vault.bucket.served - 1}`]);
});

test("a video seeks, and each seek fetches what it needs only", async () => {
  const video = await makeVideo(page, SECONDS, MIB);
  const id = await store("seek.webm", "video/webm", video);
  const source = `/stream/${id}?disposition=inline`;
  expect(await load(source)).toBe(SECONDS);
  for (const second of [70, 20, 90]) {
    const earlier = vault.bucket.passed.length;
    const seen = await seek(second + 0.5);
    expect(closeTo(seen, colourOf(second)), `second ${second}: ${seen.join()}`).toBe(true);
    // One request of this seek begins at its frame, and none takes more than the player was given.
    const ranges = vault.bucket.passed.slice(earlier).map(({ range }) => (range ?? "").match(/\d+/g)?.map(Number) ?? []);
    expect(ranges.some(([start = 0]) => Math.abs(start - second * MIB) < MIB / 2), JSON.stringify(ranges)).toBe(true);
    for (const [start = 0, last = Infinity] of ranges) expect(last - start).toBeLessThan(1.01 * PLAYER_BYTES + 2 * CHUNK);
  }
  expect(vault.bucket.served).toBeLessThan((SECONDS * MIB) / 2);
});

test("a video plays on over many pieces", async () => {
  const ended = await page.evaluate(async (from) => {
    const video = document.querySelector("video");
    if (video === null) throw new Error("no video was loaded");
    video.currentTime = from;
    // The fastest that Chromium plays.
    video.playbackRate = 16;
    await video.play();
    await new Promise((resolve, reject) => {
      video.onended = resolve;
      video.onerror = () => { reject(new Error(video.error?.message)); };
    });
    return video.ended;
  }, 20);
  expect(ended).toBe(true);
});

test("a worker that the browser ended loses nothing", async () => {
  const session = await browser.newCDPSession(page);
  await session.send("ServiceWorker.enable");
  await session.send("ServiceWorker.stopAllWorkers");
  const second = 40;
  const seen = await seek(second + 0.5);
  expect(closeTo(seen, colourOf(second))).toBe(true);
});

test("content is never shown as a page, whatever it claims to be", async () => {
  const id = await store("page.html", "text/html", Buffer.from("<script>parent.harm = 1</script>"));
  const answer = await page.evaluate(async (url) => {
    const { headers } = await fetch(url);
    return [headers.get("content-type"), headers.get("content-disposition"), headers.get("content-security-policy"), headers.get("x-content-type-options")];
  }, `/stream/${id}?disposition=inline`);
  expect(answer[0]).toBe("application/octet-stream");
  expect(answer[1]).toMatch(/^attachment;/);
  expect(answer[2]).toMatch(/^sandbox;/);
  expect(answer[3]).toBe("nosniff");
});

test("a tab that a link opens is not the worker's, and other requests pass it untouched", async () => {
  const id = await store("link.bin", "application/octet-stream", Buffer.from("x"));
  const tab = await browser.newPage();
  const answer = await tab.goto(`${vault.origin}/stream/${id}`);
  expect([answer?.status(), answer?.fromServiceWorker()]).toEqual([404, false]);
  await tab.close();
  const passed = page.waitForResponse((response) => response.url().endsWith("/api/v1/session"));
  await page.evaluate(() => fetch("/api/v1/session"));
  expect((await passed).fromServiceWorker()).toBe(false);
});

test("when the session ends, keys are forgotten and nothing more is read", async () => {
  const id = await store("last.bin", "application/octet-stream", randomBytes(100_000));
  const statuses = await page.evaluate(async (url) => {
    const before = await fetch(url);
    await before.arrayBuffer();
    await window.coffer.logOut(window.coffer.connect());
    await window.coffer.forgetKeys();
    return [before.status, (await fetch(url)).status];
  }, `/stream/${id}`);
  expect(statuses).toEqual([200, 401]);
  await visit(page, vault);
});

/** Loads a video into the page; the answer is its length in seconds. */
async function load(source: string): Promise<number> {
  return page.evaluate(async (url) => {
    const video = document.createElement("video");
    video.muted = true;
    video.preload = "metadata";
    const loaded = new Promise((resolve, reject) => {
      video.onloadeddata = resolve;
      video.onerror = () => { reject(new Error(video.error?.message)); };
    });
    video.src = url;
    document.body.append(video);
    await loaded;
    return video.duration;
  }, source);
}

/** Seeks; the answer is the colour of the picture then. */
async function seek(seconds: number): Promise<number[]> {
  return page.evaluate(async (seconds) => {
    const video = document.querySelector("video");
    if (video === null) throw new Error("no video was loaded");
    const arrived = new Promise((resolve, reject) => {
      video.onseeked = resolve;
      video.onerror = () => { reject(new Error(video.error?.message)); };
    });
    video.currentTime = seconds;
    await arrived;
    const pen = new OffscreenCanvas(1, 1).getContext("2d");
    pen?.drawImage(video, 0, 0, 1, 1);
    return Array.from(pen?.getImageData(0, 0, 1, 1).data ?? []).slice(0, 3);
  }, seconds);
}

/** Whether a colour survived the codec. */
function closeTo(seen: number[], expected: number[]): boolean {
  return expected.every((value, index) => Math.abs(value - (seen[index] ?? Infinity)) < 60);
}
