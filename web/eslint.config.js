import eslint from "@eslint/js";
import { defineConfig, globalIgnores } from "eslint/config";
import tseslint from "typescript-eslint";

const noDefaultExport = {
  selector: "ExportDefaultDeclaration",
  message: "Export by name: one name for one thing.",
};

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
