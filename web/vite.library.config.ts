/** The library's entry points, each a module of its own: what the tests in the browser drive without a view. */

import { defineConfig } from "vite";

export default defineConfig({
  base: "./",
  publicDir: false,
  worker: { format: "es" },
  build: {
    target: "es2023",
    modulePreload: false,
    outDir: "dist/library",
    rolldownOptions: {
      input: { crypto: "src/crypto/index.ts", transfer: "src/transfer/index.ts" },
      preserveEntrySignatures: "strict",
      output: { entryFileNames: "[name].js" },
    },
  },
});
