import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { join } from "node:path"
import ts from "typescript"
import { describe, expect, test } from "vitest"
import * as cost from "../../src/cost/index.ts"
import * as main from "../../src/index.ts"
import * as localKms from "../../src/local-kms/index.ts"
import * as nbd from "../../src/nbd/index.ts"
import * as s3 from "../../src/s3/index.ts"
import * as volume from "../../src/volume/index.ts"
import { isCode, isRun, programOf } from "./blocks.ts"
import { readTexts } from "./clauses.ts"
import { compile } from "./compile.ts"

const documents = new Map([
  ...["README.md", "SECURITY.md"].map((path): [string, string] => [path, readFileSync(path, "utf8")]),
  ...readTexts("docs", ".md"),
])
const programs = (wanted: (info: string) => boolean) =>
  [...documents]
    .map(([path, text]): [string, string] => [path, programOf(text, wanted)])
    .filter(([, code]) => code !== "")

describe("the code of the documentation", () => {
  test("compiles against the library", () => {
    const texts = new Map(programs(isCode).map(([path, code]) => [`${path}.ts`, code]))
    expect(texts.size).toBeGreaterThan(5)
    expect(compile(texts, ["test/docs/prelude.d.ts"])).toEqual([])
  }, 120_000)

  test.each(programs(isRun))("of %s runs where it says so", async (path, code) => {
    const { outputText } = ts.transpileModule(code, {
      compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022, esModuleInterop: true },
    })
    const AsyncFunction = Object.getPrototypeOf(async () => {}).constructor
    const own: Record<string, unknown> = {
      "kms-envelope": main,
      "kms-envelope/cost": cost,
      "kms-envelope/local-kms": localKms,
      "kms-envelope/nbd": nbd,
      "kms-envelope/s3": s3,
      "kms-envelope/volume": volume,
    }
    const require = createRequire(import.meta.url)
    const project = process.cwd()
    const folder = mkdtempSync(join(tmpdir(), "docs-"))
    process.chdir(folder)
    try {
      await new AsyncFunction("require", "exports", `${outputText}\n//# sourceURL=${path}.js`)(
        (name: string) => own[name] ?? require(name),
        {},
      )
    } finally {
      process.chdir(project)
      rmSync(folder, { recursive: true })
    }
  })
})

describe("the check of the documentation", () => {
  const fence = "```"
  const document = [
    "# Title",
    `${fence}ts`,
    'import { encrypt } from "kms-envelope"',
    'const message = await encrypt("x", { keyring })',
    fence,
    "prose",
    `${fence}sh`,
    "npm ci",
    fence,
    `${fence}ts run`,
    'import { decrypt, encrypt } from "kms-envelope"',
    "const copy = message",
    "export const message2 = await decrypt(copy, { keyring, commitmentPolicy: 7 })",
    fence,
  ].join("\n")

  test("makes one program of a document, line for line", () => {
    const lines = programOf(document, isCode).split("\n")
    expect(lines[0]).toBe('import { encrypt } from "kms-envelope"; import { decrypt } from "kms-envelope"; export {}; ')
    expect(lines[3]).toBe('const message = await encrypt("x", { keyring })')
    expect(lines.join("\n")).not.toContain("npm ci")
    expect(programOf(document, isRun)).not.toContain('encrypt("x"')
  })

  test("finds a wrong option, and names its line", () => {
    const found = compile(new Map([["a.md.ts", programOf(document, isCode)]]), ["test/docs/prelude.d.ts"])
    expect(found).toEqual([expect.stringMatching(/^a\.md:13 Type 'number' is not assignable/)])
  }, 120_000)
})
