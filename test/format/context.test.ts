import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { compareBytes, type EncryptionContext } from "../../src/core/index.ts"
import { checkContext, decodeContext, decodePairs, encodeContext, encodePairs } from "../../src/format/index.ts"
import { canonicalPairs, serializePairs } from "../reference/write.ts"
import { codeOf } from "../support/errors.ts"

const text = fc.string({ unit: "binary", maxLength: 12 })
const contexts = fc.dictionary(text, text, { maxKeys: 12, noNullPrototype: true })
const bytesOf = (value: string) => new TextEncoder().encode(value)

describe("The encryption context", () => {
  it("encodes in ascending order of the keys' UTF-8 bytes, whatever the order of insertion", () => {
    fc.assert(
      fc.property(contexts, fc.infiniteStream(fc.double({ min: 0, max: 1 })), (context, noise) => {
        const bytes = encodeContext(context)
        expect(canonicalPairs(Object.entries(context)).equals(bytes)).toBe(true)
        const shuffled = Object.entries(context)
          .map((pair) => [noise.next().value as number, pair] as const)
          .sort((a, b) => a[0] - b[0])
          .map(([, pair]) => pair)
        expect(encodeContext(Object.fromEntries(shuffled))).toEqual(bytes)
        const keys = bytes.length === 0 ? [] : decodePairs(bytes).map(([key]) => key)
        for (let i = 1; i < keys.length; i++) expect(compareBytes(keys[i - 1]!, keys[i]!)).toBeLessThan(0)
      }),
    )
  })

  // MSG-3.2
  it("orders by bytes where UTF-16 and locales order otherwise", () => {
    const keys = ["\u{1f511}", "\ufffd", "é", "z", "Z", "", "a", "ab"]
    const order = decodePairs(encodeContext(Object.fromEntries(keys.map((key) => [key, ""])))).map(([key]) =>
      new TextDecoder().decode(key),
    )
    expect(order).toEqual(["", "Z", "a", "ab", "z", "é", "\ufffd", "\u{1f511}"])
  })

  it("decodes what it encodes, and encodes again to the same bytes", () => {
    fc.assert(
      fc.property(contexts, (context) => {
        const bytes = encodeContext(context)
        const decoded = decodeContext(bytes)
        expect({ ...decoded }).toEqual({ ...context })
        expect(encodeContext({ ...decoded })).toEqual(bytes)
        expect(Object.isFrozen(decoded)).toBe(true)
      }),
    )
  })

  it("is read in any order, and then encodes in canonical order", () => {
    fc.assert(
      fc.property(contexts, (context) => {
        const reversed = serializePairs(Object.entries(context).reverse())
        const decoded = decodeContext(new Uint8Array(reversed))
        expect({ ...decoded }).toEqual({ ...context })
        expect(canonicalPairs(Object.entries(context)).equals(encodeContext(decoded))).toBe(true)
      }),
    )
  })

  it("is decoded from accepted bytes only: any bytes either fail or encode back pair by pair", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 40 }), async (bytes) => {
        let decoded: EncryptionContext
        try {
          decoded = decodeContext(bytes)
        } catch (error) {
          expect(error).toMatchObject({ code: "MalformedMessage" })
          return
        }
        if (bytes.length > 0) expect(encodePairs(decodePairs(bytes))).toEqual(bytes)
        expect(Object.keys(decoded).length).toBe(bytes.length === 0 ? 0 : bytes[0]! * 256 + bytes[1]!)
      }),
      { numRuns: 2000 },
    )
  })

  // MSG-3.1
  it.each([
    ["one byte", [0]],
    ["count 0", [0, 0]],
    ["a pair missing", [0, 1]],
    ["a value missing", [0, 1, 0, 1, 97]],
    ["a value cut", [0, 1, 0, 1, 97, 0, 2, 98]],
    ["bytes after the last pair", [0, 1, 0, 1, 97, 0, 1, 98, 0]],
    ["a key twice", [0, 2, 0, 1, 97, 0, 0, 0, 1, 97, 0, 0]],
    ["a key that is not UTF-8", [0, 1, 0, 1, 0xff, 0, 0]],
    ["a value that is half a surrogate", [0, 1, 0, 0, 0, 3, 0xed, 0xa0, 0x80]],
    ["an overlong encoding", [0, 1, 0, 2, 0xc0, 0x80, 0, 0]],
  ])("is malformed with %s", async (_, bytes) => {
    expect(await codeOf(() => decodeContext(Uint8Array.from(bytes)))).toBe("MalformedMessage")
  })

  it("keeps a byte order mark and a key named __proto__ as they are", () => {
    const context = JSON.parse('{"\\ufeffkey": "\\ufeff", "__proto__": "pair", "constructor": "c"}')
    const checked = checkContext(context, 8192)
    const decoded = decodeContext(encodeContext(checked))
    expect(Object.entries(decoded).sort()).toEqual(Object.entries(context).sort())
    expect(Object.getPrototypeOf(decoded)).toBe(null)
  })

  it("from the caller is copied and frozen", () => {
    const given: Record<string, string> = { tenant: "1" }
    const checked = checkContext(given, 8192)
    given.tenant = "2"
    expect(checked.tenant).toBe("1")
    expect(Object.isFrozen(checked)).toBe(true)
    expect(Object.keys(checkContext(undefined, 8192))).toEqual([])
  })

  it("is the caller's own, whatever context was worked before it", () => {
    // Few keys and values, so that equal, nearly equal and other contexts follow each other.
    const few = fc.dictionary(fc.constantFrom("a", "b", "__proto__"), fc.constantFrom("", "1", "\u00e9"), {
      maxKeys: 3,
    })
    fc.assert(
      fc.property(fc.array(few, { maxLength: 8 }), (given) => {
        for (const context of given) {
          const checked = checkContext(context, 8192)
          expect(Object.entries(checked)).toEqual(Object.entries(context))
          expect(canonicalPairs(Object.entries(context)).equals(encodeContext(checked))).toBe(true)
          // In the order of the bytes, whoever asked before.
          expect(Object.entries(decodeContext(encodeContext(checked)))).toEqual(Object.entries(context).sort())
        }
      }),
    )
  })

  it("from the caller is a TypeError with undefined, also after one of the same size", () => {
    checkContext({ tenant: "1" }, 8192)
    for (const key of ["tenant", "other"]) {
      const context = { [key]: undefined } as unknown as EncryptionContext
      expect(() => checkContext(context, 8192)).toThrow(TypeError)
    }
  })

  // MSG-3.3
  it.each([
    ["a reserved key", { "aws-crypto-public-key": "x" }],
    ["any key with the reserved prefix", { "aws-crypto-": "x" }],
    ["a number", { tenant: 42 }],
    ["undefined", { tenant: undefined }],
    ["half a surrogate pair in a key", { "\ud800": "x" }],
    ["half a surrogate pair in a value", { x: "\udc00" }],
  ])("from the caller is a TypeError with %s", (_, context) => {
    expect(() => checkContext(context as unknown as EncryptionContext, 8192)).toThrow(TypeError)
  })

  it.each([["text"], [7], [null]])("from the caller is a TypeError when it is %j", (context) => {
    expect(() => checkContext(context as unknown as EncryptionContext, 8192)).toThrow(TypeError)
  })

  it("may have keys that only resemble reserved ones", () => {
    expect(Object.keys(checkContext({ "aws-crypto": "", "AWS-CRYPTO-x": "", "x-aws-crypto-": "" }, 8192)).length).toBe(
      3,
    )
  })

  it("has 16 bits for each length and count", async () => {
    const longest = "x".repeat(0xffff)
    expect(encodeContext({ [longest]: longest }).length).toBe(2 + 2 * (2 + 0xffff))
    expect(await codeOf(() => encodeContext({ [`${longest}x`]: "" }))).toBe("LimitExceeded")
    expect(await codeOf(() => encodeContext({ x: `${longest}x` }))).toBe("LimitExceeded")
    const pairs = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [String(i), ""]))
    expect(encodeContext(pairs(0xffff)).length).toBeGreaterThan(0xffff)
    expect(await codeOf(() => encodeContext(pairs(0x10000)))).toBe("LimitExceeded")
  })

  it("is measured in bytes against its limit", async () => {
    const exact = checkContext({ é: "é" }, 2 + 4 + 4)
    expect(encodeContext(exact).length).toBe(10)
    expect(await codeOf(() => checkContext({ é: "é" }, 9))).toBe("LimitExceeded")
    expect(bytesOf("é").length).toBe(2)
  })
})
