/** How components are compiled: elements are made one by one, never from strings, so that Trusted Types hold. */
export default {
  compilerOptions: { runes: true, fragments: "tree" },
  vitePlugin: { dynamicCompileOptions: ({ filename }) => (filename.includes("node_modules") ? { runes: undefined } : undefined) },
};
