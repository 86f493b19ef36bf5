import { existsSync, readdirSync, statSync } from "node:fs"
import { mkdir, rename, rm } from "node:fs/promises"
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
  const sources = newest(join(root, "src"))
  const shipped = join(root, "dist", "cli.js")
  if (existsSync(shipped) && statSync(shipped).mtimeMs > sources) return shipped
  // Within the project, because the command finds its own package.json by the package's name.
  const bundle = join(root, ".cache", `cli-test-${Math.round(sources)}`)
  if (!existsSync(bundle)) await makeBundle(bundle)
  return join(bundle, "cli.js")
}

/** Test files run side by side: the first to finish gives the bundle its name. */
async function makeBundle(bundle: string): Promise<void> {
  const outdir = `${bundle}-${process.pid}`
  await mkdir(outdir, { recursive: true })
  await build({
    absWorkingDir: root,
    entryPoints: { cli: "src/cli/main.ts", lane: "src/framing/lane.ts" },
    outdir,
    bundle: true,
    splitting: true,
    platform: "node",
    format: "esm",
    target: "node20",
    external: ["lmdb", "@aws-sdk/client-kms", "@aws-sdk/client-s3"],
    logLevel: "error",
    plugins: [builtinModules],
  })
  await rename(outdir, bundle).catch(() => rm(outdir, { recursive: true }))
}

const newest = (folder: string): number =>
  Math.max(
    ...readdirSync(folder, { withFileTypes: true, recursive: true })
      .filter((entry) => entry.isFile())
      .map((entry) => statSync(join(entry.parentPath, entry.name)).mtimeMs),
  )
