import { resolve } from "node:path"
import ts from "typescript"

const root = resolve(import.meta.dirname, "../..")

const options: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2022,
  lib: ["lib.es2023.d.ts", "lib.esnext.disposable.d.ts"],
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  types: ["node", "vitest/globals"],
  strict: true,
  exactOptionalPropertyTypes: true,
  allowJs: true,
  checkJs: true,
  noImplicitAny: false,
  noEmit: true,
  skipLibCheck: true,
  allowImportingTsExtensions: true,
  paths: {
    "kms-envelope": [`${root}/src/index.ts`],
    "kms-envelope/cost": [`${root}/src/cost/index.ts`],
    "kms-envelope/local-kms": [`${root}/src/local-kms/index.ts`],
    "kms-envelope/s3": [`${root}/src/s3/index.ts`],
    "kms-envelope/testing": [`${root}/src/testing/index.ts`],
  },
}

/**
 * Compiles texts as modules of the project, with the package's own name standing for its sources.
 *
 * @param texts by file name; the names need not exist
 * @param others paths of files to compile along
 * @returns what the compiler has against them, as `file:line message`
 */
export function compile(texts: ReadonlyMap<string, string>, others: readonly string[] = []): string[] {
  const virtual = new Map([...texts].map(([name, text]) => [resolve(root, name), text]))
  const files = [...virtual.keys(), ...others.map((path) => resolve(root, path))]
  const host = ts.createCompilerHost(options)
  const { fileExists, readFile } = host
  host.fileExists = (path) => virtual.has(path) || fileExists(path)
  host.readFile = (path) => virtual.get(path) ?? readFile(path)
  const program = ts.createProgram(files, options, host)
  return files.flatMap((path) => {
    const source = program.getSourceFile(path)
    return [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)].map(describe)
  })
}

function describe({ file, start, messageText }: ts.Diagnostic): string {
  const text = ts.flattenDiagnosticMessageText(messageText, " ")
  if (file === undefined || start === undefined) return text
  const name = file.fileName.slice(root.length + 1).replace(/\.md\.ts$/, ".md")
  return `${name}:${file.getLineAndCharacterOfPosition(start).line + 1} ${text}`
}
