/** The app in a browser, as its owner uses it. */

import type { BrowserContext, Page } from "playwright-core";

import { OWNER, type TestVault } from "./vault.ts";

declare global {
  interface Window {
    violations: string[];
  }
}

/** A page of the app at an address, where the owner may have to log in. Violations of its policy are kept. */
export async function visitApp(browser: BrowserContext, vault: TestVault, path = "/"): Promise<Page> {
  const page = await browser.newPage();
  await page.addInitScript(() => {
    window.violations = [];
    document.addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI, sourceFile, sample }) => {
      window.violations.push(`${violatedDirective}: ${blockedURI} ${sourceFile} ${sample}`);
    });
  });
  await page.goto(vault.origin + path);
  return page;
}

/** Logs in by the form. */
export async function logInToApp(page: Page, password = OWNER.password): Promise<void> {
  await page.getByLabel("E-mail").fill(OWNER.email);
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.getByRole("button", { name: "Log in" }).click();
}

/** The app with its owner in it, at an address. */
export async function openApp(browser: BrowserContext, vault: TestVault, path = "/"): Promise<Page> {
  const page = await visitApp(browser, vault, path);
  const main = page.getByRole("main");
  await main.waitFor();
  if (await page.getByLabel("E-mail").isVisible()) await logInToApp(page);
  await page.getByRole("navigation", { name: "Coffer" }).waitFor();
  return page;
}
