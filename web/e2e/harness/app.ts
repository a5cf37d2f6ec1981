/** The app in a browser, as its owner uses it. */

import type { BrowserContext, Locator, Page } from "playwright-core";

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

/** A file as a test hands it over. */
export interface Handed {
  name: string;
  content: string | Buffer;
}

/** Picks files for upload. */
export async function send(page: Page, ...files: Handed[]): Promise<void> {
  const picked = files.map(({ name, content }) => ({ name, mimeType: "application/octet-stream", buffer: Buffer.from(content) }));
  await page.locator("input[type=file][multiple]").setInputFiles(picked);
}

/** The row of a node. */
export function rowOf(page: Page, name: string): Locator {
  return page.getByRole("grid").getByRole("row").filter({ has: page.getByText(name, { exact: true }) });
}

/** Selects a row, where it is no link. */
export async function select(page: Page, name: string, ...modifiers: ("Shift" | "Control")[]): Promise<void> {
  await rowOf(page, name).getByRole("gridcell").nth(3).click({ modifiers });
}

/** The names in the list, as they stand in sight. */
export async function names(page: Page): Promise<string[]> {
  // All at one moment: rows come and go.
  return page.evaluate(() => {
    const rows = [...document.querySelectorAll("[role=grid] [role=row]:not([aria-rowindex='1'])")];
    const found = rows.map((row) => [Number(row.getAttribute("aria-rowindex")), row.querySelector("a.text, span.text:not(.kind)")?.textContent ?? ""] as const);
    return found.sort(([a], [b]) => a - b).map(([, name]) => name);
  });
}

/** Waits until the list's names are these. */
export async function untilNames(page: Page, wanted: readonly string[]): Promise<void> {
  const end = Date.now() + 60_000;
  for (;;) {
    const found = await names(page).catch(() => []);
    if (JSON.stringify(found) === JSON.stringify(wanted)) return;
    if (Date.now() > end) throw new Error(`the list has ${JSON.stringify(found)}`);
    await page.waitForTimeout(50);
  }
}

/** A new folder at the root by the API, and the app in it. */
export async function openFolder(browser: BrowserContext, vault: TestVault, name: string): Promise<Page> {
  const page = await openApp(browser, vault);
  const id = await makeFolder(page, "root", name);
  await page.goto(`${vault.origin}/files/${id}`);
  await page.getByRole("heading", { name, exact: true }).waitFor();
  return page;
}

/** Sessions of a program, by the vault's origin: the app's own cookie is worth nothing without its browser's key. */
const tokens = new Map<string, Promise<string>>();

/** Makes a folder as a program does. */
export async function makeFolder(page: Page, parent: string, name: string): Promise<string> {
  const { origin } = new URL(page.url());
  const token = tokens.get(origin) ?? logInAsProgram(origin);
  tokens.set(origin, token);
  const headers = { "content-type": "application/json", authorization: `Bearer ${await token}` };
  const answer = await fetch(`${origin}/api/v1/folders`, { method: "POST", headers, body: JSON.stringify({ parent, name }) });
  return ((await answer.json()) as { id: string }).id;
}

/** A session of a program. */
export async function logInAsProgram(origin: string): Promise<string> {
  const headers = { "content-type": "application/json" };
  const answer = await fetch(`${origin}/api/v1/session`, { method: "POST", headers, body: JSON.stringify({ ...OWNER, transport: "bearer" }) });
  return ((await answer.json()) as { access_token: string }).access_token;
}
