import { rmSync } from "node:fs"
import { defineConfig, type Options } from "tsup"
import { builtinModules } from "./scripts/builtin-modules.ts"

const library = {
  index: "src/index.ts",
  cost: "src/cost/index.ts",
  "local-kms": "src/local-kms/index.ts",
  nbd: "src/nbd/index.ts",
  s3: "src/s3/index.ts",
  testing: "src/testing/index.ts",
  volume: "src/volume/index.ts",
}
const cli = { cli: "src/cli/main.ts" }
/** What worker threads run: found beside the code that starts them, no entry for users. */
const lane = { lane: "src/framing/lane.ts" }

// Splitting in both formats: one copy of the shared code, so that errors, counters and caches are one across entries.
const shared: Options = { target: "node20", platform: "node", splitting: true, clean: false, removeNodeProtocol: false }

/**
 * Makes each import() of a peer a plain require() in place: Jest's vm has no import(), and bundlers see only the plain
 * call, and forgive a missing package only straight inside a try.
 */
const plainRequire: NonNullable<Options["plugins"]>[number] = {
  name: "plain-require",
  renderChunk: (code) => ({
    code: code.replace(
      /Promise\.resolve\(\)\.then\(\(\) => __toESM\(__require\((".+?")\), 1\)\)/g,
      "__toESM(require($1), 1)",
    ),
  }),
}

// Once and here, since the three builds below run at the same time.
rmSync("dist", { recursive: true, force: true })

export default defineConfig([
  {
    ...shared,
    format: "esm",
    entry: { ...library, ...lane, ...cli },
    noExternal: ["commander"],
    esbuildPlugins: [builtinModules],
  },
  {
    ...shared,
    format: "cjs",
    entry: { ...library, ...lane },
    // Rollup turns the split chunks into CommonJS as they are; tsup's other way, sucrase, lowers their syntax to 2019.
    treeshake: true,
    plugins: [plainRequire],
    esbuildOptions(options) {
      options.supported = { "dynamic-import": false }
      options.inject = ["scripts/import-meta-url.js"]
      options.define = { ...options.define, "import.meta.url": "importMetaUrl" }
    },
  },
  {
    ...shared,
    format: ["esm", "cjs"],
    entry: library,
    dts: {
      only: true,
      compilerOptions: {
        // 6.0 turns the baseUrl that tsup's declaration build sets into an error.
        ignoreDeprecations: "6.0",
        allowImportingTsExtensions: false,
        rewriteRelativeImportExtensions: true,
      },
    },
  },
])
