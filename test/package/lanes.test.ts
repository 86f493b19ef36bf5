import { join } from "node:path"
import { build } from "esbuild"
import { afterAll, beforeAll, expect, test } from "vitest"
import { installProject, type Project } from "./installed.ts"

let project: Project
beforeAll(async () => {
  project = await installProject()
  project.write({ "watch.cjs": watch, "main.mjs": `import * as it from "kms-envelope"\n${main}` })
  project.write({ "main.cjs": `const it = require("kms-envelope")\n${main}` })
})
afterAll(() => project.remove())

/** Prints the file of each worker thread that starts. */
const watch = `
const { basename } = require("node:path")
const threads = require("node:worker_threads")
threads.Worker = class extends threads.Worker {
  constructor(file, options) {
    super(file, options)
    console.log(basename(file.pathname))
  }
}
require("node:module").syncBuiltinESMExports()`

const main = `
const run = async () => {
  const { readFile, truncate, writeFile } = process.getBuiltinModule("node:fs/promises")
  const keyring = it.rawAesKeyring({ keyNamespace: "test", keyName: "one", wrappingKey: new Uint8Array(32) })
  await writeFile("plain", "")
  await truncate("plain", 33 * 1024 * 1024)
  await it.encryptFile("plain", "sealed", { keyring, overwrite: true, lanes: 2 })
  await it.decryptFile("sealed", "opened", { keyring, overwrite: true, lanes: 0 })
  const same = Buffer.compare(await readFile("plain"), await readFile("opened")) === 0
  console.log(same ? "the same" : "another")
}
run()`

test.each([
  ["ES modules", "main.mjs", "lane.js"],
  ["CommonJS", "main.cjs", "lane.cjs"],
])("large files are worked on threads of the installed package, from %s", async (_name, program, thread) => {
  expect(await project.node("--require", "./watch.cjs", program)).toBe(`${thread}\n${thread}\nthe same\n`)
})

test.each([
  ["ES modules", "main.mjs", "esm", "bundle.mjs"],
  ["CommonJS", "main.cjs", "cjs", "bundle.cjs"],
] as const)(
  "bundled into one file of %s, the same is done without threads",
  async (_name, program, format, outfile) => {
    await build({
      entryPoints: [join(project.dir, program)],
      outfile: join(project.dir, "alone", outfile),
      bundle: true,
      platform: "node",
      format,
      external: ["@aws-sdk/client-kms"],
      logLevel: "silent",
    })
    expect(await project.node("--require", "./watch.cjs", `alone/${outfile}`)).toBe("the same\n")
  },
)
