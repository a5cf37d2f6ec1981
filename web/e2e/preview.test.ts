import { deflateSync, crc32 } from "node:zlib";

import { afterAll, beforeAll, expect, test } from "vitest";
import type { BrowserContext } from "playwright-core";

import { logInAsProgram, openApp, openFolder, rowOf, send, untilNames } from "./harness/app.ts";
import { startBrowser } from "./harness/browser.ts";
import { TestVault } from "./harness/vault.ts";

let vault: TestVault;
let browser: BrowserContext;

beforeAll(async () => {
  vault = await TestVault.start({ shown: "app" });
  browser = await startBrowser(vault);
});

afterAll(async () => {
  await browser.close();
  await vault.stop();
});

/** A grey picture (PNG, third edition, sections 5.3 and 11.2). */
function picture(width: number, height: number): Buffer {
  const piece = (type: string, data: Buffer): Buffer => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const [length, check] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(data.length);
    check.writeUInt32BE(crc32(body));
    return Buffer.concat([length, body, check]);
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head[8] = 8;
  const rows = Buffer.alloc((width + 1) * height, 120);
  for (let row = 0; row < height; row += 1) rows[row * (width + 1)] = 0;
  const signature = Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]);
  return Buffer.concat([signature, piece("IHDR", head), piece("IDAT", deflateSync(rows)), piece("IEND", Buffer.alloc(0))]);
}

test("a picture is opened from the list, looked at closely, and has an address of its own", async () => {
  const page = await openFolder(browser, vault, "pictures");
  await send(page, { name: "first.png", content: picture(40, 30) }, { name: "second.png", content: picture(20, 10) }, { name: "third.txt", content: "words" });
  await untilNames(page, ["first.png", "second.png", "third.txt"]);
  await page.getByRole("link", { name: "first.png" }).click();
  const shown = page.getByRole("dialog").getByRole("img", { name: "first.png" });
  await shown.waitFor();
  await page.waitForFunction(() => document.querySelector<HTMLImageElement>("dialog img")?.naturalWidth === 40);
  await page.getByRole("button", { name: "Look closer" }).click();
  const address = page.url();

  await page.keyboard.press("ArrowRight");
  await page.getByRole("dialog").getByRole("img", { name: "second.png" }).waitFor();
  await page.keyboard.press("ArrowRight");
  await page.getByRole("dialog").getByText("words").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  expect(await rowOf(page, "third.txt").getAttribute("aria-selected")).toBe("true");

  await page.goto(address);
  await page.getByRole("dialog").getByRole("img", { name: "first.png" }).waitFor();
  await page.keyboard.press("Escape");
  await untilNames(page, ["first.png", "second.png", "third.txt"]);
  expect(await page.evaluate(() => window.violations)).toEqual([]);
  await page.close();
});

test("what could run something is text, or is not shown at all", async () => {
  const page = await openFolder(browser, vault, "hostile");
  const asked: string[] = [];
  page.on("request", (request) => { if (!request.url().startsWith("http://127.0.0.1")) asked.push(request.url()); });
  const script = "<script>document.title = 'run'</script><img src='https://elsewhere.example/x' onerror='document.title = 1'>";
  const files = ["a.svg", "b.html", "c.md", "d.xml", "e.js"];
  await send(page, ...files.map((name) => ({ name, content: `<svg xmlns="http://www.w3.org/2000/svg">${script}</svg>` })));
  await untilNames(page, files);
  for (const name of files) {
    await page.getByRole("link", { name, exact: true }).click();
    await page.getByRole("dialog").getByText("document.title").waitFor();
    expect(await page.locator("dialog script, dialog svg script, dialog [onerror]").count()).toBe(0);
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
  }
  expect(await page.title()).toContain("hostile");
  expect(asked).toEqual([]);
  expect(await page.evaluate(() => window.violations)).toEqual([]);
  await page.close();
});

test("a file that no viewer is for, and one that is not what it says, can still be downloaded", async () => {
  const page = await openFolder(browser, vault, "others");
  await send(page, { name: "data.bin", content: Buffer.from([1, 0, 2]) }, { name: "liar.txt", content: Buffer.from([65, 0, 66]) });
  await untilNames(page, ["data.bin", "liar.txt"]);
  for (const name of ["data.bin", "liar.txt"]) {
    await page.getByRole("link", { name }).click();
    await page.getByRole("dialog").getByText("can't show a file of this kind").waitFor();
    const download = page.waitForEvent("download");
    await page.getByRole("dialog").getByRole("button", { name: "Download" }).last().click();
    expect((await download).suggestedFilename()).toBe(name);
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
  }
  await page.close();
});

test("appearance is remembered, and other sessions are ended from the settings", async () => {
  const page = await openApp(browser, vault, "/settings/appearance");
  await page.getByRole("radio", { name: "Dark" }).check({ force: true });
  await page.reload();
  expect(await page.evaluate(() => getComputedStyle(document.documentElement).colorScheme)).toBe("dark");
  await page.getByRole("radio", { name: "As the system" }).check({ force: true });
  const token = await logInAsProgram(vault.origin);
  await page.goto(`${vault.origin}/settings/sessions`);
  await page.getByText("This one").waitFor();
  await page.getByRole("button", { name: "End all other sessions" }).click();
  await page.getByText("All other sessions have ended").waitFor();
  expect((await fetch(`${vault.origin}/api/v1/session`, { headers: { authorization: `Bearer ${token}` } })).status).toBe(401);
  await page.close();
});
