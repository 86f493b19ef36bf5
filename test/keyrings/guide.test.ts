import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import ts from "typescript"
import { expect, test } from "vitest"

const root = fileURLToPath(new URL("../../", import.meta.url))
const guide = readFileSync(`${root}docs/guide/keyrings.md`, "utf8")
const snippets = [...guide.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(([, text]) => text!)

test("the guide shows the Vault keyring as it stands in examples/", () => {
  expect(snippets).toContain(readFileSync(`${root}examples/vault-keyring.ts`, "utf8"))
})

test("every snippet of the guide compiles against the library", () => {
  expect(snippets.length).toBeGreaterThan(8)
  expect(diagnosticsOf(snippets)).toEqual([])
}, 60_000)

test("the check above finds a wrong option", () => {
  const wrong = `import { cachingKeyring, type Keyring } from "kms-envelope"
    declare const keyring: Keyring
    cachingKeyring(keyring, { maxAge: 1 })`
  expect(diagnosticsOf([wrong])).toEqual([expect.stringContaining("maxAge")])
}, 60_000)

/** Type errors of sources that import the package by its name, each a module of its own. */
function diagnosticsOf(sources: readonly string[]): string[] {
  const { config } = ts.readConfigFile(`${root}tsconfig.json`, ts.sys.readFile)
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root)
  const files = new Map(sources.map((source, i) => [`${root}snippet-${i}.ts`, source]))
  const host = ts.createCompilerHost({ ...options, paths: { "kms-envelope": [`${root}src/index.ts`] } })
  const { readFile, fileExists, getSourceFile } = host
  host.readFile = (name) => files.get(name) ?? readFile(name)
  host.fileExists = (name) => files.has(name) || fileExists(name)
  host.getSourceFile = (name, ...rest) => {
    const source = files.get(name)
    return source === undefined ? getSourceFile(name, ...rest) : ts.createSourceFile(name, source, rest[0], true)
  }
  const program = ts.createProgram(
    [...files.keys()],
    { ...options, paths: { "kms-envelope": [`${root}src/index.ts`] } },
    host,
  )
  return [...files.keys()].flatMap((name) => {
    const file = program.getSourceFile(name)!
    const found = [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)]
    return found.map(({ messageText }) => `${name}: ${ts.flattenDiagnosticMessageText(messageText, " ")}`)
  })
}
