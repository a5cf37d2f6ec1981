import { afterAll, beforeAll, expect, test } from "vitest";
import type { BrowserContext } from "playwright-core";

import { makeFolder, names, openFolder, rowOf, select, send, untilNames } from "./harness/app.ts";
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

test("a folder is made, renamed in place, starred, thrown away, and taken back by undo, with the keyboard alone", async () => {
  const page = await openFolder(browser, vault, "by keyboard");
  await page.getByText("Nothing in here yet").waitFor();
  await page.keyboard.press("n");
  await page.getByLabel("Name").fill("Plans");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Plans" }).waitFor();
  await page.keyboard.press("Backspace");
  await rowOf(page, "Plans").waitFor();

  await page.getByRole("grid").focus();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("F2");
  await page.keyboard.type("Ideas");
  await page.keyboard.press("Enter");
  await rowOf(page, "Ideas").waitFor();
  await page.getByText("Renamed to “Ideas”").waitFor();

  await page.keyboard.press("s");
  await rowOf(page, "Ideas").getByText("Starred").waitFor();
  await page.keyboard.press("Delete");
  await page.getByText("Nothing in here yet").waitFor();
  await page.getByRole("status").getByRole("button", { name: "Undo" }).last().click();
  await rowOf(page, "Ideas").waitFor();
  await page.close();
});

test("columns order the list, and the way back is the browser's own", async () => {
  const page = await openFolder(browser, vault, "in order");
  await send(page, { name: "b 10.txt", content: "1" }, { name: "b 9.txt", content: "333" }, { name: "a.txt", content: "22" });
  await untilNames(page, ["a.txt", "b 9.txt", "b 10.txt"]);
  await page.getByRole("columnheader", { name: "Size" }).getByRole("button").click();
  await untilNames(page, ["b 10.txt", "a.txt", "b 9.txt"]);
  await page.getByRole("columnheader", { name: "Size" }).getByRole("button").click();
  await untilNames(page, ["b 9.txt", "a.txt", "b 10.txt"]);
  expect(await page.getByRole("columnheader", { name: "Size" }).getAttribute("aria-sort")).toBe("descending");
  await page.getByRole("columnheader", { name: "Name" }).getByRole("button").click();

  await page.getByRole("navigation", { name: "Folders above" }).getByRole("link", { name: "Files" }).click();
  await rowOf(page, "in order").waitFor();
  await page.goBack();
  await untilNames(page, ["a.txt", "b 9.txt", "b 10.txt"]);
  await page.close();
});

test("many are selected by mouse and keys, moved with the picker, and moved back by undo", async () => {
  const page = await openFolder(browser, vault, "moving");
  const here = page.url().split("/").at(-1) ?? "";
  await makeFolder(page, here, "into");
  await send(page, ...["1", "2", "3", "4"].map((name) => ({ name, content: name })));
  await untilNames(page, ["into", "1", "2", "3", "4"]);
  await select(page, "1");
  await select(page, "3", "Shift");
  await page.getByText("3 selected").waitFor();
  await select(page, "2", "Control");
  await page.getByText("2 selected").waitFor();
  await page.keyboard.press("m");
  await page.getByRole("dialog").getByRole("button", { name: "into" }).click();
  await page.getByRole("button", { name: "Move to “into”" }).click();
  await untilNames(page, ["into", "2", "4"]);
  await page.getByRole("status").getByRole("button", { name: "Undo" }).last().click();
  await untilNames(page, ["into", "1", "2", "3", "4"]);

  await page.getByRole("grid").focus();
  await page.keyboard.press("Control+a");
  await page.getByText("5 selected, all of them").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("toolbar").waitFor({ state: "detached" });
  await page.close();
});

test("a row is dragged onto a folder", async () => {
  const page = await openFolder(browser, vault, "dragging");
  await makeFolder(page, page.url().split("/").at(-1) ?? "", "target");
  await send(page, { name: "dragged.txt", content: "text" });
  await untilNames(page, ["target", "dragged.txt"]);
  await rowOf(page, "dragged.txt").getByRole("gridcell").nth(3).dragTo(rowOf(page, "target"));
  await untilNames(page, ["target"]);
  await page.getByRole("link", { name: "target" }).click();
  await untilNames(page, ["dragged.txt"]);
  await page.close();
});

test("what is in the trash is restored or deleted for ever, and says so", async () => {
  const page = await openFolder(browser, vault, "throwing away");
  await send(page, { name: "keep.txt", content: "keep" }, { name: "burn.txt", content: "burn" });
  await untilNames(page, ["burn.txt", "keep.txt"]);
  await page.getByRole("grid").focus();
  await page.keyboard.press("Control+a");
  await page.keyboard.press("Delete");
  await page.getByText("Nothing in here yet").waitFor();
  const folder = page.url();
  await page.getByRole("navigation", { name: "Coffer" }).getByRole("link", { name: "Trash" }).click();
  await select(page, "keep.txt");
  await page.getByRole("toolbar").getByRole("button", { name: "Restore" }).click();
  await rowOf(page, "keep.txt").waitFor({ state: "detached" });
  await select(page, "burn.txt");
  await page.keyboard.press("Delete");
  await page.getByRole("dialog").getByText("can't be taken back").waitFor();
  await page.getByRole("button", { name: "Delete for ever", exact: true }).click();
  await rowOf(page, "burn.txt").waitFor({ state: "detached" });
  await page.goto(folder);
  await untilNames(page, ["keep.txt"]);
  await page.close();
});

test("older versions are kept, downloaded and restored", async () => {
  const page = await openFolder(browser, vault, "versions");
  await send(page, { name: "draft.txt", content: "first" });
  await untilNames(page, ["draft.txt"]);
  await send(page, { name: "draft.txt", content: "second one" });
  await page.getByRole("dialog").getByRole("button", { name: "Replace" }).click();
  await rowOf(page, "draft.txt").getByRole("gridcell", { name: "10 B", exact: true }).waitFor();
  await select(page, "draft.txt");
  await page.keyboard.press("v");
  const versions = page.getByRole("dialog").getByRole("listitem");
  await versions.nth(1).waitFor();
  expect(await versions.count()).toBe(2);
  const download = page.waitForEvent("download");
  await versions.nth(1).getByRole("button", { name: "Download this version" }).click();
  expect((await download).suggestedFilename()).toBe("draft.txt");
  await versions.nth(1).getByRole("button", { name: "Restore" }).click();
  await rowOf(page, "draft.txt").getByRole("gridcell", { name: "5 B", exact: true }).waitFor();
  await page.close();
});

test("the End key reaches the last of thousands, and the rows between come as they are looked at", async () => {
  const page = await openFolder(browser, vault, "thousands");
  const count = 700;
  const parent = page.url().split("/").at(-1) ?? "";
  const numbers = Array.from({ length: count }, (_, number) => number);
  const make = async (): Promise<void> => {
    for (let number = numbers.pop(); number !== undefined; number = numbers.pop()) await makeFolder(page, parent, `folder ${number}`);
  };
  await Promise.all(Array.from({ length: 8 }, make));
  await page.reload();
  await rowOf(page, "folder 0").waitFor();
  expect(await page.getByRole("grid").getAttribute("aria-rowcount")).toBe(String(count + 1));
  await page.getByRole("grid").focus();
  await page.keyboard.press("End");
  await rowOf(page, `folder ${count - 1}`).waitFor();
  expect(await page.getByRole("grid").getByRole("row").count()).toBeLessThan(80);
  await page.keyboard.press("Home");
  await rowOf(page, "folder 0").waitFor();
  await page.getByRole("grid").evaluate((grid) => { grid.scrollTop = grid.scrollHeight / 2; });
  await rowOf(page, `folder ${count / 2}`).waitFor();
  await page.keyboard.press("Control+a");
  await page.getByText("700 selected").waitFor();
  await page.close();
});

test("names that look like markup or paths are shown letter by letter", async () => {
  const page = await openFolder(browser, vault, "hostile");
  const hostile = ["<img src=x onerror=alert(1)>", "..%2f..%2fetc", "{{constructor}}", "javascript:alert(1)", "&lt;b&gt;", "a\\b", "  two  blanks"];
  const parent = page.url().split("/").at(-1) ?? "";
  for (const name of hostile) await makeFolder(page, parent, name);
  await page.reload();
  await rowOf(page, "{{constructor}}").waitFor();
  expect(new Set((await names(page)).map((name) => name.trim()))).toEqual(new Set(hostile.map((name) => name.trim())));
  expect(await page.evaluate(() => window.violations)).toEqual([]);
  await page.close();
});
