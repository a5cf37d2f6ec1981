/** The page's side of the service worker (src/worker). */

import { FORGET, PING, PONG } from "../worker/messages.ts";

const SCRIPT = "/sw.js";

/** Starts the service worker and answers it from now on. Ready when it answers requests; false where there is none. */
export async function startStreamer(): Promise<boolean> {
  const container = (navigator as { serviceWorker?: ServiceWorkerContainer }).serviceWorker;
  if (container === undefined) return false;
  container.addEventListener("message", ({ data, source }) => {
    if (data === PING) source?.postMessage(PONG);
  });
  try {
    await container.register(SCRIPT, { scope: "/", updateViaCache: "none" });
    const { active } = await container.ready;
    return active !== null && (await isControlled(container));
  } catch {
    return false;
  }
}

/** Lets the worker forget all keys, and break off what it reads. To be called when the session ends. */
export async function forgetKeys(): Promise<void> {
  const container = (navigator as { serviceWorker?: ServiceWorkerContainer }).serviceWorker;
  const registration = await container?.getRegistration("/");
  registration?.active?.postMessage(FORGET);
}

/** A page that was loaded before the worker is claimed by it a moment later. One that was reloaded past it never is. */
async function isControlled(container: ServiceWorkerContainer): Promise<boolean> {
  const hasController = (): boolean => container.controller !== null;
  if (hasController()) return true;
  await new Promise((resolve) => {
    container.addEventListener("controllerchange", resolve, { once: true });
    setTimeout(resolve, CLAIM_MS);
  });
  return hasController();
}

/** How long the claim may take, in milliseconds. */
const CLAIM_MS = 5_000;
