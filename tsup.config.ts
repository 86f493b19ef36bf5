import { defineConfig, type Options } from "tsup"

const shared: Options = {
  target: "node20",
  platform: "node",
  // 6.0 turns the baseUrl that tsup's declaration build sets into an error.
  dts: {
    compilerOptions: {
      ignoreDeprecations: "6.0",
      allowImportingTsExtensions: false,
      rewriteRelativeImportExtensions: true,
    },
  },
  splitting: true,
  treeshake: false,
  clean: false,
}
const library = { index: "src/index.ts", "local-kms": "src/local-kms/index.ts", testing: "src/testing/index.ts" }

export default defineConfig([
  { ...shared, entry: library, format: "esm" },
  {
    ...shared,
    entry: library,
    format: "cjs",
    shims: true,
    esbuildOptions(options) {
      // Jest runs CommonJS in a vm without import(): the optional peers must be require()d there.
      options.supported = { "dynamic-import": false }
    },
  },
  { ...shared, entry: { cli: "src/cli/main.ts" }, format: "esm", dts: false, noExternal: ["commander"] },
])
