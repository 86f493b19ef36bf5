import { describe, expect, test } from "vitest"
import { layerViolations, nodeCrypto, readSources } from "./layers.ts"

const sources = readSources("src")

const violationsOf = (path: string, text: string) => layerViolations(new Map([[path, text]]))

describe("the layers of src/", () => {
  test("no folder imports upwards, sideways, or past an index.ts, and node:crypto stays where it is allowed", () => {
    expect(sources.size).toBeGreaterThan(40)
    expect(layerViolations(sources)).toEqual([])
  })

  test("every reason to use node:crypto is still needed", () => {
    const unused = Object.keys(nodeCrypto).filter(
      (place) => ![...sources].some(([path, text]) => path.startsWith(place) && text.includes('"node:crypto"')),
    )
    expect(unused).toEqual([])
  })

  test.each([
    ["an import upwards", "format/x.ts", 'import { encrypt } from "../message/index.ts"', "layer 4 from layer 2"],
    ["an import sideways", "framing/x.ts", 'import { kms } from "../keyrings/index.ts"', "layer 3 from layer 3"],
    ["a type upwards", "core/x.ts", 'import type { Suite } from "../crypto/index.ts"', "layer 2 from layer 1"],
    ["a dynamic import", "core/x.ts", 'const x = await import("../crypto/index.ts")', "layer 2 from layer 1"],
    ["an inline type", "core/x.ts", 'let x: import("../crypto/index.ts").Suite', "layer 2 from layer 1"],
    ["a re-export", "core/x.ts", 'export * from "../format/index.ts"', "layer 2 from layer 1"],
    ["a file behind an index.ts", "message/x.ts", 'import { x } from "../core/bytes.ts"', "past the index.ts of core"],
    ["the same from a subfolder", "local-kms/a/x.ts", 'import "../../core/bytes.ts"', "past the index.ts of core"],
    ["the embedded KMS", "message/x.ts", 'import "../local-kms/index.ts"', "only testing and cli use the embedded KMS"],
    ["the embedded KMS in the entry", "index.ts", 'export * from "./local-kms/index.ts"', "only testing and cli"],
    ["a folder above the entry", "index.ts", 'export * from "./testing/index.ts"', "layer 5 from layer 4"],
    ["the entry itself", "message/x.ts", 'import { decrypt } from "../index.ts"', "the entry is for users"],
    ["a folder nobody placed", "newcomer/x.ts", 'import "../core/index.ts"', "the folder newcomer has no layer"],
    ["node:crypto", "message/x.ts", 'import { createHash } from "node:crypto"', "not on the list"],
    ["crypto by its old name", "framing/x.ts", 'import { createHash } from "crypto"', "not on the list"],
  ])("%s is found", (_what, path, text, problem) => {
    expect(violationsOf(path, text)).toEqual([expect.stringContaining(problem)])
  })

  test("what is allowed passes", () => {
    expect(violationsOf("message/x.ts", 'import { utf8 } from "../core/index.ts"')).toEqual([])
    expect(violationsOf("local-kms/operations/x.ts", 'import { x } from "../faults.ts"')).toEqual([])
    expect(violationsOf("format/x.ts", 'import { findSuite } from "../crypto/index.ts"')).toEqual([])
    expect(violationsOf("crypto/x.ts", 'import { createHash } from "node:crypto"')).toEqual([])
  })
})
