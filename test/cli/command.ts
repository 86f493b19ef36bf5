import { existsSync, readdirSync, statSync } from "node:fs"
import { mkdir } from "node:fs/promises"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { build } from "esbuild"
import { builtinModules } from "../../scripts/builtin-modules.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))

/**
 * The command as it ships where `dist/` is newer than the sources, as `npm test` leaves it; else a bundle of its own, so
 * that a run of single tests never looks at an old build.
 */
export async function commandPath(): Promise<string> {
  const shipped = join(root, "dist", "cli.js")
  if (existsSync(shipped) && statSync(shipped).mtimeMs > newest(join(root, "src"))) return shipped
  // Within the project, because the command finds its own package.json by the package's name.
  const outdir = join(root, ".cache", `cli-test-${process.pid}`)
  await mkdir(outdir, { recursive: true })
  await build({
    absWorkingDir: root,
    entryPoints: { cli: "src/cli/main.ts" },
    outdir,
    bundle: true,
    splitting: true,
    platform: "node",
    format: "esm",
    target: "node20",
    external: ["lmdb", "@aws-sdk/client-kms"],
    logLevel: "error",
    plugins: [builtinModules],
  })
  return join(outdir, "cli.js")
}

const newest = (folder: string): number =>
  Math.max(
    ...readdirSync(folder, { withFileTypes: true, recursive: true })
      .filter((entry) => entry.isFile())
      .map((entry) => statSync(join(entry.parentPath, entry.name)).mtimeMs),
  )
