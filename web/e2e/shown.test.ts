/** What a ticket shows in a tab: a document of its own, which no page frames and which has no origin to harm. */

import type { BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";

import { openPage, startBrowser } from "./harness/browser.ts";
import { TestVault } from "./harness/vault.ts";

const RED = [255, 0, 0];

let vault: TestVault;
let browser: BrowserContext;
let page: Page;

beforeAll(async () => {
  vault = await TestVault.start();
  browser = await startBrowser(vault);
});

afterAll(async () => {
  await browser.close();
  await vault.stop();
});

beforeEach(async () => {
  page = await openPage(browser, vault);
});

/** A page all in red (ISO 32000-1, section 7.5: header, objects, cross-reference table, trailer). */
function redPdf(): string {
  const content = "1 0 0 rg 0 0 600 600 re f";
  const objects = [
    "<</Type/Catalog/Pages 2 0 R>>",
    "<</Type/Pages/Kids[3 0 R]/Count 1>>",
    "<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 600]/Contents 4 0 R>>",
    `<</Length ${content.length}>>stream\n${content}\nendstream`,
  ];
  let text = "%PDF-1.4\n";
  let table = "0000000000 65535 f \n";
  for (const [index, object] of objects.entries()) {
    table += `${String(text.length).padStart(10, "0")} 00000 n \n`;
    text += `${index + 1} 0 obj${object}endobj\n`;
  }
  const size = objects.length + 1;
  return `${text}xref\n0 ${size}\n${table}trailer<</Size ${size}/Root 1 0 R>>\nstartxref\n${text.length}\n%%EOF`;
}

/** Stores a text as a file of this type; the answer is the address of a ticket that asks to show it. */
async function ticket(name: string, type: string, content: string): Promise<string> {
  const path = await page.evaluate(async ({ query, content }) => {
    const made = await fetch(`/api/v1/folders/root/files?${query}`, { method: "POST", body: new Blob([content], { type: "application/octet-stream" }) });
    const { id } = (await made.json()) as { id: string };
    const wish = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ disposition: "inline" }) };
    return ((await (await fetch(`/api/v1/files/${id}/ticket`, wish)).json()) as { url: string }).url;
  }, { query: new URLSearchParams({ name, type }).toString(), content });
  return vault.origin + path;
}

/** The colour in the middle of what a tab shows. */
async function middleOf(tab: Page): Promise<number[]> {
  const picture = (await tab.screenshot()).toString("base64");
  return page.evaluate(async (picture) => {
    const bytes = Uint8Array.from(atob(picture), (letter) => letter.charCodeAt(0));
    const image = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
    const pen = new OffscreenCanvas(1, 1).getContext("2d");
    pen?.drawImage(image, -Math.floor(image.width / 2), -Math.floor(image.height / 2));
    return Array.from(pen?.getImageData(0, 0, 1, 1).data ?? []).slice(0, 3);
  }, picture);
}

test("a PDF is shown by Chromium's own viewer, sandbox or not", async () => {
  const url = await ticket("red.pdf", "application/pdf", redPdf());
  // As it was sent: Chromium keeps parts of the policy from those who ask it.
  const { headers } = await fetch(url);
  expect(headers.get("content-security-policy")).toMatch(/^sandbox;/);
  expect([headers.get("x-frame-options"), headers.get("x-content-type-options")]).toEqual(["DENY", "nosniff"]);
  expect(headers.get("content-disposition")).toMatch(/^inline;/);
  const tab = await browser.newPage();
  await tab.goto(url);
  await expect.poll(() => middleOf(tab), { timeout: 60_000 }).toEqual(RED);
  await tab.close();
});

test("no page frames what a ticket shows, not even the app's own", async () => {
  const url = await ticket("framed.pdf", "application/pdf", redPdf());
  const refused = page.waitForEvent("console", (message) => /frame/i.test(message.text()) && message.type() === "error");
  await page.evaluate((url) => {
    const frame = document.createElement("iframe");
    frame.src = url;
    document.body.append(frame);
  }, url);
  expect((await refused).text()).toMatch(/X-Frame-Options|frame-ancestors/);
});

test("a text is shown and has no origin", async () => {
  const url = await ticket("plain.txt", "text/plain", "<script>document.title = 'harm'</script>");
  const tab = await browser.newPage();
  await tab.goto(url);
  const shown = await tab.evaluate(() => [document.body.innerText, document.title, origin]);
  expect(shown).toEqual(["<script>document.title = 'harm'</script>", "", "null"]);
  await tab.close();
});

test.each([["page.html", "text/html"], ["picture.svg", "image/svg+xml"]])("%s is saved, whatever is asked for", async (name, type) => {
  const content = type === "text/html" ? "<script>harm()</script>" : "<svg xmlns='http://www.w3.org/2000/svg'/>";
  const url = await ticket(name, type, content);
  const tab = await browser.newPage();
  const [download] = await Promise.all([tab.waitForEvent("download"), tab.goto(url).catch(() => undefined)]);
  expect(download.suggestedFilename()).toBe(name);
  await tab.close();
});
