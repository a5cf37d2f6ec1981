import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";

import { afterAll, beforeAll, expect, test } from "vitest";
import type { BrowserContext, Page } from "playwright-core";
import type { AxeResults } from "axe-core";

import { makeFolder, openApp, rowOf, select, send, visitApp } from "./harness/app.ts";
import { startBrowser } from "./harness/browser.ts";
import { TestVault } from "./harness/vault.ts";

let vault: TestVault;
let browser: BrowserContext;
const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

beforeAll(async () => {
  vault = await TestVault.start({ shown: "app" });
  browser = await startBrowser(vault);
});

afterAll(async () => {
  await browser.close();
  await vault.stop();
});

/** Waits until colours and places are what they are going to be. */
async function settle(page: Page): Promise<void> {
  await page.evaluate(async () => {
    await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
    const transitions = document.getAnimations().filter((animation) => animation instanceof CSSTransition);
    await Promise.allSettled(transitions.map(({ finished }) => finished));
  });
}

/** What axe finds wrong with the page as it stands, in light and in dark colours. */
async function violations(page: Page): Promise<string[]> {
  const found: string[] = [];
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    await settle(page);
    // By the debugger, which the page's policy does not bind.
    await page.evaluate(axe);
    const results = await page.evaluate<AxeResults>("axe.run(document, { resultTypes: ['violations'] })");
    for (const { id, nodes } of results.violations) found.push(...nodes.map(({ html, failureSummary }) => `${colorScheme} ${id}: ${html} ${failureSummary ?? ""}`));
  }
  return found;
}

/** Closes the dialog that is open. */
async function leave(page: Page): Promise<void> {
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
}

test("axe finds nothing on any view, at desktop and at phone width, in light and in dark", async () => {
  const login = await visitApp(browser, vault);
  await login.getByLabel("E-mail").waitFor();
  expect(await violations(login)).toEqual([]);
  await login.close();

  const page = await openApp(browser, vault);
  await page.getByText("Your vault is ready").waitFor();
  expect(await violations(page)).toEqual([]);
  await makeFolder(page, "root", "Photos");
  await page.reload();
  await rowOf(page, "Photos").waitFor();
  await send(page, { name: "notes.txt", content: "text" }, { name: "data.bin", content: "data" });
  await rowOf(page, "notes.txt").waitFor();
  await rowOf(page, "data.bin").waitFor();
  for (const size of [{ width: 1280, height: 800 }, { width: 390, height: 844 }]) {
    await page.setViewportSize(size);
    const coffer = page.getByRole("navigation", { name: "Coffer" });
    await rowOf(page, "notes.txt").waitFor();
    expect(await violations(page)).toEqual([]);
    await page.getByRole("grid").focus();
    await page.keyboard.press("Control+a");
    await page.getByText("3 selected").waitFor();
    expect(await violations(page)).toEqual([]);
    await page.keyboard.press("m");
    await page.getByRole("dialog").getByText("No folders in here").or(page.getByRole("dialog").getByText("Photos")).first().waitFor();
    expect(await violations(page)).toEqual([]);
    await leave(page);
    await page.keyboard.press("Escape");
    await rowOf(page, "notes.txt").getByRole("button", { name: /^Actions/ }).click();
    await page.getByRole("menu").waitFor();
    expect(await violations(page)).toEqual([]);
    await page.getByRole("menuitem", { name: "Versions" }).click();
    await page.getByRole("dialog").getByText("first version").waitFor();
    expect(await violations(page)).toEqual([]);
    await leave(page);
    await page.getByRole("link", { name: "notes.txt" }).click();
    await page.getByRole("dialog").getByText("text", { exact: true }).waitFor();
    expect(await violations(page)).toEqual([]);
    await leave(page);
    await page.keyboard.press("?");
    await page.getByRole("heading", { name: "Keyboard" }).waitFor();
    expect(await violations(page)).toEqual([]);
    await leave(page);
    await coffer.getByRole("link", { name: "Trash" }).click();
    await page.getByText("The trash is empty").waitFor();
    expect(await violations(page)).toEqual([]);
    await coffer.getByRole("link", { name: "Settings" }).click();
    await page.getByText("This browser remembers it").waitFor();
    expect(await violations(page)).toEqual([]);
    await page.getByRole("link", { name: "Sessions" }).click();
    await page.getByText("This one").waitFor();
    expect(await violations(page)).toEqual([]);
    await coffer.getByRole("link", { name: "Files" }).click();
  }
  expect(await page.evaluate(() => window.violations)).toEqual([]);
  await page.close();
});

test("the focus is never lost: what closes gives it back", async () => {
  const page = await openApp(browser, vault);
  await rowOf(page, "notes.txt").waitFor();
  const focused = (): Promise<string> => page.evaluate(() => document.activeElement?.getAttribute("role") ?? document.activeElement?.tagName ?? "");
  await select(page, "notes.txt");
  await page.getByRole("grid").focus();
  for (const open of ["v", "m", "?", "Enter"]) {
    await page.keyboard.press(open);
    await page.getByRole("dialog").waitFor();
    await leave(page);
    expect(await focused(), open).toBe("grid");
  }
  await page.keyboard.press("F2");
  await page.keyboard.press("Escape");
  expect(await focused()).toBe("grid");
  await page.keyboard.press("Shift+F10");
  await page.getByRole("menu").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("menu").waitFor({ state: "detached" });
  await page.waitForFunction(() => document.activeElement?.getAttribute("role") === "grid");
  await page.close();
});
