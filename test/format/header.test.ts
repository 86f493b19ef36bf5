import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { concatBytes } from "../../src/core/index.ts"
import { findSuite } from "../../src/crypto/index.ts"
import {
  checkContext,
  decodeHeader,
  encodeContext,
  encodeHeader,
  type Header,
  type HeaderFields,
  headerLength,
  resolveLimits,
} from "../../src/format/index.ts"
import { referenceSuites } from "../reference/suites.ts"
import { codeOf } from "../support/errors.ts"
import { reencodedHeader } from "../support/header.ts"

const limits = resolveLimits({})
const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })
const some = fc.uint8Array({ maxLength: 50 })
const name = fc.string({ unit: "binary", maxLength: 20 })

/** Any header that can be written. */
const headers: fc.Arbitrary<HeaderFields> = fc.constantFrom(...referenceSuites).chain(({ id }) => {
  const suite = findSuite(id)!
  return fc.record({
    suite: fc.constant(suite),
    messageId: bytes(suite.messageIdLength),
    contextBytes: fc.dictionary(name, name, { maxKeys: 6 }).map(encodeContext),
    wrappedKeys: fc.array(fc.record({ providerId: name, providerInfo: some, ciphertext: some }), {
      minLength: 1,
      maxLength: 16,
    }),
    contentType: fc.constant("framed" as const),
    frameLength: fc.integer({ min: 1, max: limits.maxFrameLength }),
    suiteData: bytes(suite.suiteDataLength),
  })
})

const tag = Uint8Array.from({ length: 16 }, (_, i) => 200 + i)

function encode(fields: HeaderFields): Uint8Array {
  const out = new Uint8Array(headerLength(fields))
  expect(encodeHeader(fields, out, () => tag)).toBe(out.length)
  return out
}

const decode = (message: Uint8Array): Header => {
  const header = decodeHeader(message, limits)
  if (typeof header === "number") throw new Error(`needs ${header} bytes`)
  return header
}

describe("The header codec", () => {
  it("decodes what it encodes, with bytes following or not", () => {
    fc.assert(
      fc.property(headers, some, (fields, rest) => {
        const encoded = encode(fields)
        const header = decode(concatBytes([encoded, rest]))
        expect(header.length).toBe(encoded.length)
        expect(header).toMatchObject(fields)
        expect(header.tag).toEqual(tag)
        expect(reencodedHeader(header)).toEqual(encoded)
      }),
    )
  })

  it("asks for more at every cut, never for more than there is, and never gets stuck", () => {
    fc.assert(
      fc.property(headers, (fields) => {
        const encoded = encode(fields)
        let had = 0
        for (let rounds = 0; had < encoded.length; rounds++) {
          const needed = decodeHeader(encoded.subarray(0, had), limits)
          if (typeof needed !== "number") throw new Error("decoded a header that was cut")
          expect(needed).toBeGreaterThan(had)
          expect(needed).toBeLessThanOrEqual(encoded.length)
          // One byte short of what was asked for must not do.
          expect(typeof decodeHeader(encoded.subarray(0, needed - 1), limits)).toBe("number")
          expect(rounds).toBeLessThan(20 + 6 * fields.wrappedKeys.length)
          had = needed
        }
        expect(typeof decodeHeader(encoded, limits)).toBe("object")
      }),
      { numRuns: 50 },
    )
  })

  it("gives copies: the message may be overwritten afterwards", () => {
    fc.assert(
      fc.property(headers, (fields) => {
        const encoded = encode(fields)
        const header = decode(encoded)
        encoded.fill(0)
        expect(header).toMatchObject(fields)
      }),
      { numRuns: 30 },
    )
  })

  // MSG-2.1
  it("accepts no byte string that it does not encode back", () => {
    fc.assert(
      fc.property(
        headers,
        fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { minLength: 1, maxLength: 3 }),
        (fields, edits) => {
          const encoded = encode(fields)
          for (const [at, value] of edits) if (at < encoded.length) encoded[at] = value
          let header: Header | number
          try {
            header = decodeHeader(encoded, limits)
          } catch (error) {
            expect(["MalformedMessage", "UnsupportedFormat", "LimitExceeded"]).toContain(
              (error as { code: string }).code,
            )
            return
          }
          if (typeof header === "number") return
          expect(reencodedHeader(header)).toEqual(encoded.subarray(0, header.length))
        },
      ),
      { numRuns: 1000 },
    )
  })
})

describe("A header", () => {
  const fields: HeaderFields = {
    suite: findSuite(0x0178)!,
    messageId: new Uint8Array(16),
    contextBytes: encodeContext(checkContext({ a: "b" }, 100)),
    wrappedKeys: [{ providerId: "p", providerInfo: new Uint8Array(1), ciphertext: new Uint8Array(1) }],
    contentType: "framed",
    frameLength: 4096,
    suiteData: new Uint8Array(0),
  }
  const v1 = encode(fields)
  const v2 = encode({
    ...fields,
    suite: findSuite(0x0478)!,
    messageId: new Uint8Array(32),
    suiteData: new Uint8Array(32),
  })
  /** Offsets in the version 1 header above. */
  const at = { type: 1, suite: 2, keys: 4 + 16 + 2 + 8, content: v1.length - 28 - 10, reserved: v1.length - 28 - 9 }
  const edit = (offset: number, ...values: number[]) => {
    const copy = v1.slice()
    copy.set(values, offset)
    return copy
  }

  // MSG-1.2, MSG-2.3, MSG-2.4, MSG-4.1
  it.each([
    ["version 0", edit(0, 0), "UnsupportedFormat"],
    ["version 3", edit(0, 3), "UnsupportedFormat"],
    ["base64 text", new TextEncoder().encode(Buffer.from(v1).toString("base64")), "UnsupportedFormat"],
    ["another type", edit(at.type, 0x81), "MalformedMessage"],
    ["an unknown suite", edit(at.suite, 0x01, 0x79), "UnsupportedFormat"],
    ["a version 2 suite in version 1", edit(at.suite, 0x04, 0x78), "UnsupportedFormat"],
    ["no wrapped key", edit(at.keys, 0, 0), "MalformedMessage"],
    ["content type 0", edit(at.content, 0), "MalformedMessage"],
    ["content type 3", edit(at.content, 3), "MalformedMessage"],
    ["reserved bytes in use", edit(at.reserved + 3, 1), "MalformedMessage"],
    ["another iv length", edit(at.reserved + 4, 16), "MalformedMessage"],
    ["framed with frame length 0", edit(at.reserved + 5, 0, 0, 0, 0), "MalformedMessage"],
    ["non-framed with a frame length", edit(at.content, 1), "MalformedMessage"],
    ["a provider id that is not UTF-8", edit(at.keys + 4, 0xff), "MalformedMessage"],
  ])("is refused with %s", async (_, message, code) => {
    expect(await codeOf(() => decodeHeader(message, limits))).toBe(code)
  })

  it("of base64 text says so", () => {
    for (const message of [v1, v2]) {
      const text = new TextEncoder().encode(Buffer.from(message).toString("base64"))
      expect(() => decodeHeader(text, limits)).toThrow(/base64/)
    }
  })

  it("of a non-framed message reads", () => {
    const message = edit(at.content, 1)
    message.set([0, 0, 0, 0], at.reserved + 5)
    expect(decode(message)).toMatchObject({ contentType: "non-framed", frameLength: 0 })
  })
})
