/** Files that tests make, and how they are compared. */

import { createHash, randomFillSync } from "node:crypto";
import { open } from "node:fs/promises";

import type { Page } from "playwright-core";

import type { Node } from "../../src/transfer/index.ts";
import { succeeded } from "./transfers.ts";

export const MIB = 1024 * 1024;
/** Plaintext of one part, in bytes. */
export const PART = 8 * MIB;

/** Plaintext of one chunk, in bytes. */
const CHUNK = 16 * 1024;
/** Sizes at and beside every edge of the format. */
export const SIZES = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, PART - 1, PART, PART + 1, 2 * PART, 2 * PART + CHUNK + 17];

/** Writes a file of so many bytes that no compression could shorten, and gives its SHA-256. */
export async function makeFile(path: string, size: number): Promise<string> {
  const file = await open(path, "w");
  const hash = createHash("sha256");
  const block = Buffer.alloc(Math.min(size, 4 * MIB));
  for (let written = 0; written < size;) {
    const bytes = randomFillSync(block).subarray(0, Math.min(block.length, size - written));
    hash.update(bytes);
    await file.write(bytes);
    written += bytes.length;
  }
  await file.close();
  return hash.digest("hex");
}

/** SHA-256 of a file, or of what a stream brings. */
export async function hashOf(source: AsyncIterable<Uint8Array>): Promise<string> {
  const hash = createHash("sha256");
  for await (const bytes of source) hash.update(bytes);
  return hash.digest("hex");
}

/** Downloads into the page's own file system by the way of picked files; the answer is the transfer's id. */
export async function downloadToDisk(page: Page, node: Node): Promise<string> {
  return page.evaluate(async ({ id, name, size }) => {
    const root = await navigator.storage.getDirectory();
    const handle = await root.getFileHandle("download", { create: true });
    return window.transfers.downloadTo(handle, { file: id, name, size });
  }, wanted(node));
}

/** A node as a download wants it. */
export function wanted(node: Node): { id: string; name: string; size: number } {
  return { id: node.id, name: node.name, size: node.file?.size_bytes ?? 0 };
}

/** Whether the file that was downloaded to disk is the one that was picked as number `index`; some bytes at a time. */
export async function isPickedFile(page: Page, index = 0): Promise<boolean> {
  return page.evaluate(async (index) => {
    const picked = document.querySelector<HTMLInputElement>("#file")?.files?.[index];
    const root = await navigator.storage.getDirectory();
    const found = await (await root.getFileHandle("download")).getFile();
    if (picked?.size !== found.size) return false;
    const step = 4 * 1024 * 1024;
    for (let at = 0; at < found.size; at += step) {
      const [a, b] = await Promise.all([picked, found].map(async (file) => new BigUint64Array(await padded(file.slice(at, at + step)))));
      if (a?.length !== b?.length || a?.some((word, place) => word !== b?.[place]) === true) return false;
    }
    return true;

    async function padded(blob: Blob): Promise<ArrayBuffer> {
      return new Blob([blob, new Uint8Array((8 - (blob.size % 8)) % 8)]).arrayBuffer();
    }
  }, index);
}

/** SHA-256 of what the gateway serves for a file. */
export async function gatewayHash(page: Page, node: Node): Promise<string> {
  const bytes = await page.evaluate(async (id) => {
    const answer = await fetch(`/api/v1/files/${id}/content`);
    const digest = await crypto.subtle.digest("SHA-256", await answer.arrayBuffer());
    return answer.ok ? Array.from(new Uint8Array(digest)) : [];
  }, node.id);
  return Buffer.from(bytes).toString("hex");
}

/** SHA-256 of a file that is read from the bucket and opened in the page. */
export async function directHash(page: Page, node: Node): Promise<string> {
  const id = await page.evaluate(({ id, name, size }) => window.transfers.downloadBlob({ file: id, name, size }), wanted(node));
  await succeeded(page, id);
  const bytes = await page.evaluate(async (id) => {
    const blob = window.transfers.snapshots().find((one) => one.id === id)?.outcome?.blob;
    if (blob === undefined) return [];
    return Array.from(new Uint8Array(await crypto.subtle.digest("SHA-256", await blob.arrayBuffer())));
  }, id);
  return Buffer.from(bytes).toString("hex");
}

/** Sends the picked file through the gateway. */
export async function sendByGateway(page: Page, name: string): Promise<Node> {
  return page.evaluate(async (name) => {
    const body = document.querySelector<HTMLInputElement>("#file")?.files?.[0];
    if (body === undefined) throw new Error("no file was picked");
    const headers = { "content-type": "application/octet-stream" };
    const answer = await fetch(`/api/v1/folders/root/files?name=${encodeURIComponent(name)}`, { method: "POST", body, headers });
    return (await answer.json()) as Node;
  }, name);
}
