/** A real Chromium with a profile of its own, and the pages in it. */

import { join } from "node:path";

import { type BrowserContext, type Page, chromium } from "playwright-core";

import type * as Sealing from "../../src/crypto/index.ts";
import type * as Library from "../../src/transfer/index.ts";
import { OWNER, type TestVault } from "./vault.ts";

declare global {
  interface Window {
    coffer: typeof Library;
    sealing: typeof Sealing;
  }
}

const ARGS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];

/** Starts the browser; `CHROMIUM` names another than the system's. A profile on disk keeps large files off memory. */
export async function startBrowser(vault: TestVault): Promise<BrowserContext> {
  const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
  return chromium.launchPersistentContext(join(vault.folder, "profile"), { executablePath, args: ARGS, acceptDownloads: true });
}

/** A page of the vault in which the owner is logged in. */
export async function openPage(browser: BrowserContext, vault: TestVault): Promise<Page> {
  const page = await browser.newPage();
  await visit(page, vault);
  await page.evaluate(async ({ email, password }) => {
    const api = window.coffer.connect();
    if ((await window.coffer.currentSession(api)) === undefined) await window.coffer.logIn(api, email, password);
  }, OWNER);
  return page;
}

/** Loads the page anew, as after a reload. */
export async function visit(page: Page, vault: TestVault): Promise<void> {
  await page.goto(vault.origin);
  await page.waitForFunction(() => "coffer" in window);
}

/** Picks files on this machine. */
export async function pick(page: Page, ...paths: string[]): Promise<void> {
  await page.setInputFiles("#file", paths);
}
