// Prints what each entry weighs in a bundle (minified, gzip -9) and how long importing it takes over an empty script.
// The times are medians of runs that alternate in this very run: compare them with each other, not across machines.
import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { gzipSync } from "node:zlib"
import { build } from "esbuild"

const RUNS = 21
const root = join(dirname(fileURLToPath(import.meta.url)), "..")
const peers = ["@aws-sdk/client-kms", "aws-sdk-client-mock", "lmdb"]

/** What is weighed: a name, the names imported, the entry; and whether to time it (once for each entry is enough). */
const rows = [
  ["decrypt, raw AES keyring", "{ decrypt, rawAesKeyring }", "index", true],
  ["decrypt, KMS keyring", "{ decrypt, kmsKeyring }", "index", false],
  ["kms-envelope, all of it", "* as all", "index", false],
  ["kms-envelope/cost", "* as all", "cost", true],
  ["kms-envelope/local-kms", "* as all", "local-kms", true],
  ["kms-envelope/testing", "* as all", "testing", true],
]

const folder = mkdtempSync(join(tmpdir(), "kms-envelope-size-"))
try {
  const timed = rows.filter(([, , , time]) => time)
  const dist = pathToFileURL(join(root, "dist")).href
  const sources = ["", ...timed.map(([, names, entry]) => `import ${names} from "${dist}/${entry}.js"`)]
  const paths = sources.map((_, index) => join(folder, `${index}.mjs`))
  paths.forEach((path, index) => {
    writeFileSync(path, sources[index])
  })
  const [empty, ...times] = medians(paths)
  console.log(`Node.js ${process.version}, ${RUNS} runs; an empty script takes ${empty.toFixed(1)} ms\n`)
  const line = (...cells) => console.log(cells.map((cell, i) => (i ? cell.padStart(13) : cell.padEnd(26))).join(""))
  line("", "minified, B", "gzip -9, B", "import, ms")
  for (const row of rows) {
    const [name, names, entry, time] = row
    const over = time ? (times[timed.indexOf(row)] - empty).toFixed(1) : ""
    line(name, ...(await bundledSizes(names, entry)).map(String), over)
  }
  console.log(`\nSizes leave out the peers (${peers.join(", ")}), which are loaded when first used.`)
} finally {
  rmSync(folder, { recursive: true, force: true })
}

/** Milliseconds that each script takes to run, one round after the other so that all see the same load. */
function medians(paths) {
  const samples = paths.map(() => [])
  for (let run = 0; run < RUNS + 2; run++) {
    paths.forEach((path, index) => {
      const begin = process.hrtime.bigint()
      const { status, stderr } = spawnSync(process.execPath, [path])
      if (status !== 0) throw new Error(stderr.toString())
      // The first two rounds warm the file cache.
      if (run >= 2) samples[index].push(Number(process.hrtime.bigint() - begin) / 1e6)
    })
  }
  return samples.map((values) => values.sort((a, b) => a - b)[RUNS >> 1])
}

async function bundledSizes(names, entry) {
  const used = names.replace("* as ", "").replace(/[{}]/g, "")
  const { outputFiles } = await build({
    stdin: { contents: `import ${names} from "./dist/${entry}.js"\nconsole.log(${used})`, resolveDir: root },
    bundle: true,
    minify: true,
    platform: "node",
    external: peers,
    write: false,
    logLevel: "error",
  })
  const code = outputFiles[0].contents
  return [code.length, gzipSync(code, { level: 9 }).length]
}
