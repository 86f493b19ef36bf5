import { execFile } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { promisify } from "node:util"
import { afterAll, describe, expect, it } from "vitest"

const GIB = 1024 ** 3
const LIMIT_MIB = 150
const run = promisify(execFile)
const root = resolve(import.meta.dirname, "../..")
const cache = join(root, ".cache/heavy")
mkdirSync(cache, { recursive: true })
const folder = mkdtempSync(join(cache, "files-"))
const at = (name: string) => join(folder, name)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** A job of the benchmark, in a process of its own. @returns its peak of resident memory */
async function peakOf(request: object): Promise<number> {
  const { stdout } = await run(process.execPath, [join(root, "bench/job.mjs"), JSON.stringify(request)])
  return (JSON.parse(stdout) as { peakMiB: number }).peakMiB
}

describe.each([
  ["a file of 64 MiB", GIB / 16],
  ["a file of 1 GiB", GIB],
])("The process that works %s", (_name, size) => {
  it.each([
    ["on all processors", "File", {}],
    ["on four threads", "File", { lanes: 4 }],
    ["as a stream", "Stream", {}],
    ["signed, in order", "File", { signed: true }],
  ])(`keeps under ${LIMIT_MIB} MiB of resident memory, %s`, async (_how, kind, options) => {
    writeFileSync(at("plain"), "")
    truncateSync(at("plain"), size)
    const seal = { kind: `encrypt${kind}`, from: at("plain"), to: at("sealed"), ...options }
    const open = { kind: `decrypt${kind}`, from: at("sealed"), to: at("opened"), ...options }
    expect(await peakOf(seal)).toBeLessThan(LIMIT_MIB)
    expect(await peakOf(open)).toBeLessThan(LIMIT_MIB)
  })
})
