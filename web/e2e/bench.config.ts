/** Measurements in a real Chromium; not part of the tests. */

import { defineConfig } from "vitest/config";

export default defineConfig({
  test: { include: ["e2e/**/*.bench.ts"], root: ".", globalSetup: "e2e/build.ts", hookTimeout: 300_000, fileParallelism: false },
});
