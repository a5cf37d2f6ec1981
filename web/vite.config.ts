/** The library's entry points, each a module of its own: the app imports them, and so do the tests in the browser. */

import { defineConfig } from "vite";

export default defineConfig({
  base: "./",
  worker: { format: "es" },
  build: {
    target: "es2023",
    modulePreload: false,
    rolldownOptions: {
      input: { crypto: "src/crypto/index.ts", transfer: "src/transfer/index.ts" },
      preserveEntrySignatures: "strict",
      output: { entryFileNames: "[name].js" },
    },
  },
});
