import { readFileSync } from "node:fs"
import ts from "typescript"
import { expect, test } from "vitest"

/** The members of the union type EnvelopeErrorCode, as they stand in the source. */
function codesOfSource(): string[] {
  const path = "src/core/errors.ts"
  const source = ts.createSourceFile(path, readFileSync(path, "utf8"), ts.ScriptTarget.Latest, true)
  const union = source.statements
    .filter(ts.isTypeAliasDeclaration)
    .find(({ name }) => name.text === "EnvelopeErrorCode")
  if (union === undefined || !ts.isUnionTypeNode(union.type)) throw new Error("EnvelopeErrorCode is no union")
  return union.type.types.map((type) => JSON.parse(type.getText()))
}

test("the guide to errors has every code, in the order of the source, with cause and remedy", () => {
  const rows = [...readFileSync("docs/guide/errors.md", "utf8").matchAll(/^\| `(\w+)` \| (.+) \| (.+) \|$/gm)]
  expect(rows.map(([, code]) => code)).toEqual(codesOfSource())
  expect(rows.length).toBeGreaterThan(10)
})

test("every code is thrown somewhere", () => {
  const thrown = ts.sys
    .readDirectory("src", [".ts"])
    .map((path) => readFileSync(path, "utf8"))
    .join("\n")
  for (const code of codesOfSource()) expect(thrown).toMatch(new RegExp(`[(<]\\s*"${code}"`))
})
