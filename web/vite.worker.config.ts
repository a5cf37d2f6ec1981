/** The service worker: one classic script at the root of the site, since a module worker does not register everywhere. */

import { defineConfig } from "vite";

export default defineConfig({
  build: {
    target: "es2023",
    emptyOutDir: false,
    rolldownOptions: {
      input: { sw: "src/worker/main.ts" },
      output: { format: "iife", entryFileNames: "[name].js" },
    },
  },
});
