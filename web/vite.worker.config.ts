/** The service worker: one classic script at the root of the site, since a module worker does not register everywhere. */

import { defineConfig } from "vite";

import { compressed } from "./build/compressed.ts";

export default defineConfig({
  publicDir: false,
  plugins: [compressed()],
  build: {
    target: "es2023",
    outDir: "dist/app",
    emptyOutDir: false,
    rolldownOptions: {
      input: { sw: "src/worker/main.ts" },
      output: { format: "iife", entryFileNames: "[name].js" },
    },
  },
});
