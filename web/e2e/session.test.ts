import { afterAll, beforeAll, expect, test } from "vitest";
import type { BrowserContext } from "playwright-core";

import { openPage, startBrowser, visit } from "./harness/browser.ts";
import { OWNER, TestVault } from "./harness/vault.ts";

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

test("the session is in a cookie that outlives the page and that scripts cannot read", async () => {
  const page = await openPage(browser, vault);
  await visit(page, vault);
  const [session, cookies] = await page.evaluate(async () => {
    const { connect, currentSession } = window.coffer;
    return [await currentSession(connect()), document.cookie];
  });
  expect(session?.transport).toBe("cookie");
  expect(cookies).toBe("");
  await page.close();
});

test("a refusal of the vault is a problem with its code and its request id", async () => {
  const page = await openPage(browser, vault);
  const problem = await page.evaluate(async (email) => {
    const { Problem, connect, logIn } = window.coffer;
    const error: unknown = await logIn(connect(), email, "not the password").catch((error: unknown) => error);
    return error instanceof Problem ? { code: error.code, status: error.status, requestId: error.requestId } : undefined;
  }, OWNER.email);
  expect(problem).toMatchObject({ code: "WRONG_CREDENTIALS", status: 401 });
  expect(vault.output).toContain(problem?.requestId);
  await page.close();
});

test("logging out ends the session for all pages", async () => {
  const page = await openPage(browser, vault);
  const after = await page.evaluate(async () => {
    const { connect, currentSession, logOut } = window.coffer;
    const api = connect();
    await logOut(api);
    return currentSession(api);
  });
  expect(after).toBeUndefined();
  await page.close();
});
