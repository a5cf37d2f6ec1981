import { afterAll, beforeAll, expect, test } from "vitest";
import type { BrowserContext, Page } from "playwright-core";

import { startBrowser, visit } from "./harness/browser.ts";
import { OWNER, TestVault } from "./harness/vault.ts";

let vault: TestVault;
let browser: BrowserContext;
let page: Page;

beforeAll(async () => {
  vault = await TestVault.start();
  browser = await startBrowser(vault);
  page = await browser.newPage();
  await visit(page, vault);
});

afterAll(async () => {
  await browser.close();
  await vault.stop();
});

function whoAmI(of: Page): Promise<string | undefined> {
  return of.evaluate(async () => (await window.coffer.currentSession(window.coffer.connect()))?.binding);
}

test("a login with a key is bound to it, over reloads, in other pages, and over a restart of the vault", async () => {
  const binding = await page.evaluate(async ({ email, password }) => {
    return (await window.coffer.logInBound(email, password)).binding;
  }, OWNER);
  expect(binding).toBe("key");
  await visit(page, vault);
  expect(await whoAmI(page)).toBe("key");
  const other = await browser.newPage();
  await visit(other, vault);
  expect(await Promise.all([whoAmI(other), whoAmI(page), whoAmI(other), whoAmI(page)])).toEqual(["key", "key", "key", "key"]);
  await other.close();
  await vault.restart();
  expect(await whoAmI(page)).toBe("key");
});

test("the key cannot be taken out of the browser", async () => {
  const taken = await page.evaluate(async () => {
    const database = await new Promise<IDBDatabase>((resolve, reject) => {
      const request = indexedDB.open("coffer-proof");
      request.onsuccess = () => { resolve(request.result); };
      request.onerror = () => { reject(new Error("no database")); };
    });
    const kept = await new Promise<{ keys: CryptoKeyPair }>((resolve) => {
      const request = database.transaction("keys").objectStore("keys").get("current");
      request.onsuccess = () => { resolve(request.result as { keys: CryptoKeyPair }); };
    });
    database.close();
    const { privateKey } = kept.keys;
    const exported = await Promise.all(
      (["jwk", "pkcs8"] as const).map((format) => crypto.subtle.exportKey(format, privateKey).then(() => "out", () => "kept")),
    );
    return [privateKey.extractable, ...exported];
  });
  expect(taken).toEqual([false, "kept", "kept"]);
});

test("the cookie in another client is refused, and the session dead for both", async () => {
  const [cookie] = (await browser.cookies(vault.origin)).filter(({ name }) => name === "coffer");
  const copied = await fetch(`${vault.origin}/api/v1/nodes/root`, { headers: { cookie: `coffer=${cookie?.value ?? ""}` } });
  expect(copied.status).toBe(401);
  expect(((await copied.json()) as { code: string }).code).toBe("INVALID_TOKEN");
  expect(await whoAmI(page)).toBeUndefined();
});

test("a login without a key forgets the one before", async () => {
  await page.evaluate(async ({ email, password }) => {
    const { connect, logIn, logInBound } = window.coffer;
    await logInBound(email, password);
    await logIn(connect(), email, password);
  }, OWNER);
  expect(await whoAmI(page)).toBe("client");
  const after = await page.evaluate(async () => {
    const api = window.coffer.connect();
    await window.coffer.logOut(api);
    return window.coffer.currentSession(api);
  });
  expect(after).toBeUndefined();
});
