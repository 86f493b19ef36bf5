import { describe, expect, it } from "vitest"
import { counting, pattern } from "../support/keys.ts"
import { readReference } from "./read.ts"
import { hex4, referenceSuites } from "./suites.ts"
import { writeReference } from "./write.ts"

const wrapUnder = [{ namespace: "tests", name: "key one", key: counting(32) }]

describe("The reference implementation", () => {
  it.each(referenceSuites)("reads what it writes with suite $id, framed and not", ({ id }) => {
    for (const frameLength of [0, 10, 100]) {
      const plaintext = pattern(30)
      const context = [["k", "v"]] as const
      const { bytes } = writeReference({ suiteId: id, plaintext, frameLength, wrapUnder, context })
      expect(readReference(bytes, wrapUnder).plaintext.equals(plaintext), hex4(id)).toBe(true)
      const broken = bytes.slice()
      broken[broken.length - 120]! ^= 1
      expect(() => readReference(broken, wrapUnder)).toThrow()
      expect(() => readReference(bytes.subarray(0, -1), wrapUnder)).toThrow()
    }
  })
})
