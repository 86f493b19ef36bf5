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
  const { truncate, writeFile } = process.getBuiltinModule("node:fs/promises")
  const keyring = it.rawAesKeyring({ keyNamespace: "test", keyName: "one", wrappingKey: new Uint8Array(32) })
  await writeFile("plain", "")
  await truncate("plain", 33 * 1024 * 1024)
  await it.encryptFile("plain", "sealed", { keyring, overwrite: true, lanes: 2 })
  await it.decryptFile("sealed", "opened", { keyring, overwrite: true, lanes: 0 })
}
run()`

test.each([
  ["ES modules", "main.mjs", "lane.js"],
  ["CommonJS", "main.cjs", "lane.cjs"],
])("large files are worked on threads of the installed package, from %s", async (_name, program, thread) => {
  expect(await project.node("--require", "./watch.cjs", program)).toBe(`${thread}\n${thread}\n`)
})
