import { join } from "node:path";
import { mkdir, writeFile } from "node:fs/promises";

import { afterAll, beforeAll, expect, test } from "vitest";
import type { BrowserContext } from "playwright-core";

import { openFolder, rowOf, send, untilNames } from "./harness/app.ts";
import { startBrowser } from "./harness/browser.ts";
import { MIB, makeFile } from "./harness/files.ts";
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

test("a name that is taken is asked about: keep both, skip, replace, and once for all", async () => {
  const page = await openFolder(browser, vault, "conflicts");
  await send(page, { name: "a.txt", content: "a" }, { name: "b.txt", content: "b" });
  await untilNames(page, ["a.txt", "b.txt"]);
  await send(page, { name: "a.txt", content: "other" });
  await page.getByRole("button", { name: "Keep both" }).click();
  await untilNames(page, ["a (2).txt", "a.txt", "b.txt"]);
  await send(page, { name: "a.txt", content: "skipped" });
  await page.getByRole("button", { name: "Skip" }).click();
  await send(page, { name: "a.txt", content: "replaced" }, { name: "b.txt", content: "replaced" });
  await page.getByLabel(/Do the same/).check();
  await page.getByRole("button", { name: "Replace" }).click();
  for (const name of ["a.txt", "b.txt"]) await rowOf(page, name).getByRole("gridcell", { name: "8 B", exact: true }).waitFor();
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await page.close();
});

test("a folder keeps its structure, and going into one that is there merges", async () => {
  const page = await openFolder(browser, vault, "structure");
  const root = join(vault.folder, "holiday");
  await mkdir(join(root, "day 1", "pictures"), { recursive: true });
  await writeFile(join(root, "plan.txt"), "plan");
  await writeFile(join(root, "day 1", "pictures", "sea.txt"), "sea");
  await page.locator("input[type=file][webkitdirectory]").setInputFiles(root);
  await page.getByRole("link", { name: "holiday" }).click();
  await untilNames(page, ["day 1", "plan.txt"]);
  await page.goBack();
  await writeFile(join(root, "more.txt"), "more");
  await page.locator("input[type=file][webkitdirectory]").setInputFiles(root);
  await page.getByRole("dialog").getByLabel(/Do the same/).check();
  await page.getByRole("button", { name: "Skip" }).click();
  await page.getByRole("link", { name: "holiday" }).click();
  await untilNames(page, ["day 1", "more.txt", "plan.txt"]);
  await page.getByRole("link", { name: "day 1" }).click();
  await page.getByRole("link", { name: "pictures" }).click();
  await untilNames(page, ["sea.txt"]);
  await page.close();
});

test("files are dropped and pasted", async () => {
  const page = await openFolder(browser, vault, "handed over");
  await page.getByText("Nothing in here yet").waitFor();
  await page.evaluate(() => {
    const hand = (name: string): DataTransfer => {
      const data = new DataTransfer();
      data.items.add(new File([name], name, { type: "text/plain" }));
      return data;
    };
    const place = document.querySelector(".files");
    place?.dispatchEvent(new DragEvent("drop", { dataTransfer: hand("dropped.txt"), bubbles: true, cancelable: true }));
    window.dispatchEvent(new ClipboardEvent("paste", { clipboardData: hand("pasted.txt"), cancelable: true }));
  });
  await untilNames(page, ["dropped.txt", "pasted.txt"]);
  await page.close();
});

test("an upload is paused and goes on, survives a reload, and warns before it is left", async () => {
  const page = await openFolder(browser, vault, "large");
  const path = join(vault.folder, "large.bin");
  await makeFile(path, 48 * MIB);
  // The storage takes its time, so that there is something to pause.
  vault.bucket.plan = ({ method }) => (method === "PUT" ? { kind: "delay", ms: 1500 } : undefined);
  await page.locator("input[type=file][multiple]").setInputFiles(path);
  await page.getByRole("button", { name: "Pause large.bin" }).click();
  await page.getByText(/^Paused at/).waitFor();
  await page.getByRole("button", { name: "Resume large.bin" }).click();
  await page.getByRole("button", { name: "Pause large.bin" }).waitFor();
  await page.waitForFunction(() => Number(document.querySelector("progress")?.value) > 15);

  const asked = new Promise<string>((resolve) => {
    page.once("dialog", (dialog) => {
      resolve(dialog.type());
      void dialog.accept();
    });
  });
  await page.reload();
  expect(await asked).toBe("beforeunload");
  vault.bucket.clear();
  await page.getByRole("button", { name: "Show the transfers" }).click();
  await page.getByText(/Unfinished:/).waitFor();
  const chooser = page.waitForEvent("filechooser");
  await page.getByRole("button", { name: "Pick large.bin to go on" }).click();
  await (await chooser).setFiles(path);
  await untilNames(page, ["large.bin"]);
  await rowOf(page, "large.bin").getByRole("gridcell", { name: "50.3 MB", exact: true }).waitFor();
  await page.close();
});

test("a transfer that fails says why and what to do, and a cancelled one is gone", async () => {
  const page = await openFolder(browser, vault, "failing");
  await page.locator("input[type=file][multiple]").setInputFiles({ name: "fake.png", mimeType: "image/png", buffer: Buffer.from("no picture") });
  await page.getByText("1 transfer stopped").waitFor();
  await page.getByText(/ending that fits its content/).waitFor();
  await page.getByRole("button", { name: "Cancel fake.png" }).click();
  await page.getByRole("region", { name: "Transfers", exact: true }).waitFor({ state: "detached" });
  await page.close();
});
