/** Builds the library and the app once before the tests, as they will be served. */

import { fileURLToPath } from "node:url";

import { build } from "vite";

/** What vitest calls first. */
export async function setup(): Promise<void> {
  const root = fileURLToPath(new URL("..", import.meta.url));
  for (const configFile of ["vite.library.config.ts", "vite.config.ts", "vite.worker.config.ts"]) {
    await build({ root, configFile: root + configFile, logLevel: "warn", mode: "production" });
  }
}
