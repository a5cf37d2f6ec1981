/** Builds the library once before the tests, as it will be served. */

import { fileURLToPath } from "node:url";

import { build } from "vite";

/** What vitest calls first. */
export async function setup(): Promise<void> {
  const root = fileURLToPath(new URL("..", import.meta.url));
  for (const configFile of ["vite.config.ts", "vite.worker.config.ts"]) {
    await build({ root, configFile: root + configFile, logLevel: "warn", mode: "production" });
  }
}
