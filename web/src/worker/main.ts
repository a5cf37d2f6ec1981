/**
 * The service worker: streams files as if this origin had them, and lets every other request pass untouched.
 *
 * A browser ends a worker that it takes for idle, in the middle of a long download too (Firefox after 30 s). So while
 * something is read, the worker asks the pages every few seconds, and their answers count as work.
 */

import { connect, ok } from "../api/index.ts";
import { FORGET, PING } from "./messages.ts";
import { type GrantSource, Streams, parseWanted } from "./streams.ts";

declare const self: ServiceWorkerGlobalScope;

/** How often the pages are asked, in milliseconds. */
const PING_MS = 10_000;

const api = connect();
const vault: GrantSource = {
  grant: (id, version, signal) => {
    const body = version === undefined ? {} : { version };
    return ok(api.POST("/files/{id}/grant", { params: { path: { id } }, body, signal }));
  },
};

let pinging: ReturnType<typeof setInterval> | undefined;
const streams = new Streams(vault, (isActive) => {
  clearInterval(pinging);
  if (isActive) pinging = setInterval(() => void pingPages(), PING_MS);
});

self.addEventListener("install", () => void self.skipWaiting());

self.addEventListener("activate", (event) => {
  event.waitUntil(self.clients.claim());
});

self.addEventListener("fetch", (event) => {
  const wanted = parseWanted(event.request, self.location.origin);
  if (wanted) event.respondWith(streams.answer(event.request, wanted));
});

self.addEventListener("message", ({ data }) => {
  if (data === FORGET) streams.forget();
});

async function pingPages(): Promise<void> {
  const pages = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  for (const page of pages) page.postMessage(PING);
}
