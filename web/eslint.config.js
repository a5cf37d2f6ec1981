import eslint from "@eslint/js";
import svelte from "eslint-plugin-svelte";
import { defineConfig, globalIgnores } from "eslint/config";
import tseslint from "typescript-eslint";

const noDefaultExport = {
  selector: "ExportDefaultDeclaration",
  message: "Export by name: one name for one thing.",
};

/** Keeps the files of a floor from importing the floors above it. */
function layer(files, above, message) {
  return { files: [files], rules: { "no-restricted-imports": ["error", { patterns: [{ regex: `/(${above})/`, message }] }] } };
}

export default defineConfig(
  globalIgnores(["dist", "src/api/schema.ts"]),
  {
    files: ["**/*.ts"],
    extends: [eslint.configs.recommended, tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      "no-restricted-syntax": ["error", noDefaultExport],
      "max-lines": ["error", 500],
      "max-lines-per-function": ["error", { max: 70, skipBlankLines: true, skipComments: true }],
      eqeqeq: "error",
      "@typescript-eslint/explicit-module-boundary-types": "error",
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      "@typescript-eslint/switch-exhaustiveness-check": "error",
    },
  },
  {
    // The compiler and svelte-check judge components by their types; the parser here sees other components as unknown.
    files: ["**/*.svelte"],
    extends: [eslint.configs.recommended, tseslint.configs.strict, svelte.configs.recommended],
    languageOptions: { parserOptions: { parser: tseslint.parser, extraFileExtensions: [".svelte"] } },
    rules: {
      "max-lines": ["error", 500],
      eqeqeq: "error",
      // TypeScript knows the browser's names better.
      "no-undef": "off",
      "svelte/no-at-html-tags": "error",
      // Addresses are made by the app's own routes.
      "svelte/no-navigation-without-resolve": "off",
    },
  },
  {
    files: ["**/*.svelte.ts"],
    rules: { "svelte/prefer-svelte-reactivity": "off" },
  },
  layer("src/state/**", "parts|views", "state knows no component."),
  layer("src/parts/**", "views", "parts know no view."),
  {
    files: ["src/crypto/**"],
    rules: {
      "no-restricted-imports": ["error", { patterns: [{ regex: "^(?!\\./)", message: "crypto imports nothing but itself." }] }],
    },
  },
  {
    // A sentence about a whole suite is no function to keep short.
    files: ["tests/**", "e2e/**"],
    rules: { "max-lines-per-function": "off" },
  },
  {
    // What the tools themselves ask for.
    files: ["**/*.config.ts"],
    extends: [tseslint.configs.disableTypeChecked],
    languageOptions: { parserOptions: { projectService: false } },
    rules: { "no-restricted-syntax": "off" },
  },
);
