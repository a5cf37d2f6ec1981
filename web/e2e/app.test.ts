import { createHash } from "node:crypto";

import { afterAll, beforeAll, expect, test } from "vitest";
import type { BrowserContext, Page } from "playwright-core";

import { logInAsProgram, logInToApp, makeFolder, openApp, rowOf, visitApp } from "./harness/app.ts";
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

/** Picks files of these names and contents for upload. */
async function send(page: Page, files: Record<string, string>): Promise<void> {
  const picked = Object.entries(files).map(([name, text]) => ({ name, mimeType: "", buffer: Buffer.from(text) }));
  await page.locator("input[type=file][multiple]").setInputFiles(picked);
}

test("a wrong password is refused in words, and the right one leads to an empty vault that says what to do", async () => {
  const page = await visitApp(browser, vault);
  await logInToApp(page, "not the password");
  await page.getByText("don't belong together").waitFor();
  await logInToApp(page);
  await page.getByText("Your vault is ready").waitFor();
  expect(await page.evaluate(() => document.cookie)).toBe("");
  expect(await page.evaluate(() => window.violations)).toEqual([]);
  await page.close();
});

test("a file goes up sealed, stands in the list in natural order, and comes down as it was", async () => {
  const page = await openApp(browser, vault);
  await send(page, { "page 10.txt": "ten", "page 9.txt": "nine" });
  const rows = page.getByRole("grid").getByRole("row");
  await page.getByRole("link", { name: "page 10.txt" }).waitFor();
  await page.getByRole("link", { name: "page 9.txt" }).waitFor();
  expect((await rows.allInnerTexts()).slice(1).map((text) => text.trim().split("\n")[0])).toEqual(["page 9.txt", "page 10.txt"]);

  const download = page.waitForEvent("download");
  await rows.nth(2).getByRole("button", { name: /^Actions/ }).click();
  await page.getByRole("menuitem", { name: "Download" }).click();
  const saved = await download;
  expect(saved.suggestedFilename()).toBe("page 10.txt");
  const hash = createHash("sha256");
  for await (const bytes of await saved.createReadStream()) hash.update(bytes as Buffer);
  expect(hash.digest("hex")).toBe(createHash("sha256").update("ten").digest("hex"));
  expect(await page.evaluate(() => window.violations)).toEqual([]);
  await page.close();
});

test("the app comes compressed, unchanging files for ever, and under one strict policy", async () => {
  const page = await fetch(vault.origin);
  const policy = page.headers.get("content-security-policy") ?? "";
  expect(policy).toContain("script-src 'self';");
  expect(policy).toContain("require-trusted-types-for 'script'");
  expect(policy).not.toContain("unsafe");
  expect(page.headers.get("cache-control")).toBe("no-cache");
  const script = /src="(\/assets\/[^"]+\.js)"/.exec(await page.text())?.[1] ?? "";
  for (const encoding of ["br", "gzip", "identity"]) {
    const answer = await fetch(vault.origin + script, { headers: { "accept-encoding": encoding } });
    expect(answer.headers.get("content-encoding")).toBe(encoding === "identity" ? null : encoding);
    expect(answer.headers.get("cache-control")).toContain("immutable");
    expect(answer.headers.get("content-type")).toContain("text/javascript");
    const again = await fetch(vault.origin + script, { headers: { "accept-encoding": encoding, "if-none-match": answer.headers.get("etag") ?? "" } });
    expect(again.status).toBe(304);
  }
  for (const path of ["/assets/nothing.js", "/assets/..%2findex.html", "/assets//etc/passwd"]) {
    expect((await fetch(vault.origin + path)).ok, path).toBe(false);
  }
});

test("what a program changes appears without a reload, in every tab", async () => {
  const first = await openApp(browser, vault);
  const pages = [first, await openApp(browser, vault)];
  for (const page of pages) await rowOf(page, "page 9.txt").waitFor();
  await makeFolder(first, "root", "made by a program");
  for (const page of pages) await rowOf(page, "made by a program").waitFor();
  for (const page of pages) await page.close();
});

test("a session that ends elsewhere asks to log in, and leaves open what was open", async () => {
  const page = await openApp(browser, vault);
  await page.getByRole("link", { name: "page 9.txt" }).waitFor();
  const token = await logInAsProgram(vault.origin);
  await fetch(`${vault.origin}/api/v1/sessions?keep_current=true`, { method: "DELETE", headers: { authorization: `Bearer ${token}` } });
  await page.getByRole("link", { name: "Trash" }).click();
  await page.getByRole("heading", { name: "Your session has ended" }).waitFor();
  await logInToApp(page);
  await page.getByText("The trash is empty").waitFor();
  await page.close();
});
