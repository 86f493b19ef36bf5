import { execFile } from "node:child_process"
import { cpSync, mkdirSync } from "node:fs"
import { join, resolve } from "node:path"
import { promisify } from "node:util"
import { expect, test } from "vitest"
import { installProject } from "../package/installed.ts"

const run = promisify(execFile)
const root = resolve(import.meta.dirname, "../..")

// Jest brings some 300 packages: they live in .cache/, not among the dependencies of the project.
test("an application tested with Jest runs, in JavaScript and in TypeScript", { timeout: 300_000 }, async () => {
  const cwd = join(root, ".cache/jest")
  mkdirSync(cwd, { recursive: true })
  cpSync(join(root, "test/package/jest"), cwd, { recursive: true })
  await run("npm", ["install", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund"], { cwd })
  const project = await installProject()
  cpSync(join(project.dir, "node_modules/kms-envelope"), join(cwd, "node_modules/kms-envelope"), { recursive: true })
  project.remove()
  const jest = [join(cwd, "node_modules/jest/bin/jest.js"), "--rootDir", cwd, "--json", "--runInBand"]
  const { stdout } = await run(process.execPath, jest, { cwd }).catch((error) => error)
  const { numFailedTests, numPassedTests, testResults } = JSON.parse(stdout)
  const messages = testResults.map((result: { message: string }) => result.message).join("\n")
  expect(messages.trim()).toBe("")
  expect([numFailedTests, numPassedTests]).toEqual([0, 9])
})
