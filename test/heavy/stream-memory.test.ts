import { type ChildProcess, spawn } from "node:child_process"
import { mkdirSync } from "node:fs"
import { join, resolve } from "node:path"
import { build } from "esbuild"
import { beforeAll, describe, expect, it } from "vitest"

const GIB = 1024 ** 3
/** What passes through the pipe; `STREAM_GIB` sets another size. */
const SIZE = Math.round(Number(process.env.STREAM_GIB ?? 10) * GIB)
const LIMIT_MIB = 200

const root = resolve(import.meta.dirname, "../..")
const library = join(root, ".cache/heavy/library.mjs")
const script = join(import.meta.dirname, "pipe.mjs")

beforeAll(async () => {
  mkdirSync(join(root, ".cache/heavy"), { recursive: true })
  await build({
    entryPoints: [join(root, "src/index.ts")],
    outfile: library,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    external: ["@aws-sdk/*"],
    logLevel: "error",
  })
})

interface Report {
  readonly mode: string
  readonly passed: number
  readonly peakMiB: number
}

function outcome(child: ChildProcess): Promise<Report> {
  let stderr = ""
  child.stderr!.on("data", (text) => {
    stderr += text
  })
  return new Promise((done, fail) => {
    child.on("close", (status) => {
      if (status === 0) done(JSON.parse(stderr) as Report)
      else fail(new Error(`status ${status}: ${stderr}`))
    })
  })
}

/** Runs the commands with pipes between them, as a shell does. */
async function pipe(commands: readonly string[][]): Promise<Report[]> {
  const children: ChildProcess[] = []
  for (const [i, command] of commands.entries()) {
    const last = i === commands.length - 1
    const stdin = children[i - 1]?.stdout ?? "ignore"
    children.push(
      spawn(process.execPath, [script, library, ...command], { stdio: [stdin, last ? "ignore" : "pipe", "pipe"] }),
    )
    // The pipe belongs to the next process from here; a copy held open would hide its end.
    if (stdin !== "ignore") stdin.destroy()
  }
  return Promise.all(children.map(outcome))
}

describe(`Through a pipe of ${SIZE / GIB} GiB`, () => {
  it.each([["unsigned"], ["signed"]])(
    `encrypt and decrypt keep under ${LIMIT_MIB} MiB of resident memory (%s)`,
    async (signed) => {
      const size = String(signed === "signed" ? Math.ceil(SIZE / 5) : SIZE)
      const reports = await pipe([
        ["encrypt", size, signed],
        ["decrypt", size],
      ])
      for (const { mode, passed, peakMiB } of reports) {
        expect(passed).toBe(Number(size))
        expect(peakMiB, mode).toBeLessThan(LIMIT_MIB)
      }
    },
  )

  it(`reencrypt keeps under ${LIMIT_MIB} MiB as well`, async () => {
    const size = String(Math.ceil(SIZE / 5))
    for (const { mode, peakMiB } of await pipe([["encrypt", size], ["reencrypt"], ["decrypt", size]])) {
      expect(peakMiB, mode).toBeLessThan(LIMIT_MIB)
    }
  })
})
