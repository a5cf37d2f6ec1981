/** Uploads, as a test begins them. */

import type { Page } from "playwright-core";

import type { Target } from "../../src/transfer/index.ts";

/** Sends the picked file number `index`, and waits for the transfer to begin; the answer is its id. */
export async function upload(page: Page, target: Target = { parent: "root" }, index = 0): Promise<string> {
  return page.evaluate(([index, target]) => {
    const file = document.querySelector<HTMLInputElement>("#file")?.files?.[index];
    if (file === undefined) throw new Error("no file was picked");
    return window.transfers.upload(file, target);
  }, [index, target] as const);
}
