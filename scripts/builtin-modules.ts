import { readFile } from "node:fs/promises"
import type { Plugin } from "esbuild"

/** commander is CommonJS and require()s Node's own modules, which a bundled ES module cannot. */
export const builtinModules: Plugin = {
  name: "builtin-modules",
  setup(build) {
    build.onLoad({ filter: /commander[\\/]lib[\\/]command\.js$/ }, async ({ path }) => ({
      contents: (await readFile(path, "utf8")).replace(
        /require\('(node:\w+)'\)/g,
        "globalThis.process.getBuiltinModule('$1')",
      ),
    }))
  },
}
