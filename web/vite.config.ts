/** The app: one page, its files named by their content under `assets/`, compressed once. */

import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";

import { compressed } from "./build/compressed.ts";

export default defineConfig({
  plugins: [svelte(), compressed()],
  worker: { format: "es" },
  build: {
    target: "es2023",
    outDir: "dist/app",
    // Nothing may become a data: address, which the policy forbids.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: { input: "index.html" },
  },
});
