import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { buildSync } from "esbuild"

/**
 * Bundles a module written against the project root and runs it in a process of its own, in a folder from which no
 * package can be resolved. Ends it after ten seconds.
 */
export function runBundled(source: string): { status: number | null; stdout: string; stderr: string } {
  const folder = mkdtempSync(join(tmpdir(), "kms-envelope-"))
  try {
    const { outputFiles } = buildSync({
      stdin: { contents: source, resolveDir: new URL("../..", import.meta.url).pathname, loader: "ts" },
      bundle: true,
      write: false,
      format: "esm",
      platform: "node",
      packages: "external",
    })
    const file = join(folder, "bundle.mjs")
    writeFileSync(file, outputFiles[0]!.contents)
    const { status, stdout, stderr } = spawnSync(process.execPath, [file], { encoding: "utf8", timeout: 10_000 })
    return { status, stdout, stderr }
  } finally {
    rmSync(folder, { recursive: true })
  }
}
