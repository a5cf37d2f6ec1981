/** Tests in a real Chromium, against the real program and store. One after another: they share the machine. */

import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["e2e/**/*.test.ts"],
    root: ".",
    globalSetup: "e2e/build.ts",
    testTimeout: 300_000,
    hookTimeout: 120_000,
    fileParallelism: false,
  },
});
