import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { EnvelopeError } from "../../src/core/index.ts"
import { readExports } from "../../src/nbd/exports.ts"
import {
  parseClientFlags,
  parseInfoRequest,
  parseMetaRequest,
  parseName,
  parseOptionHeader,
} from "../../src/nbd/handshake.ts"
import { createIntake } from "../../src/nbd/intake.ts"
import { negotiate } from "../../src/nbd/negotiation.ts"
import { parseRequest } from "../../src/nbd/requests.ts"
import { statusExtents } from "../../src/nbd/status.ts"
import { memoryDevice } from "../support/memory-device.ts"
import { infoData, metaData, optionBytes, requestBytes, u32 } from "../support/nbd-client.ts"

const uint = (bits: number) => fc.integer({ min: 0, max: 2 ** bits - 1 })
const name = fc.string({ unit: "grapheme", maxLength: 40 })
/** Bytes as they come, and bytes near those that mean something. */
const noise = (valid: fc.Arbitrary<Buffer>): fc.Arbitrary<Buffer> =>
  fc.oneof(
    fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes)),
    fc.tuple(valid, fc.nat(), uint(8)).map(([bytes, at, value]) => {
      const copy = Buffer.from(bytes)
      if (copy.length > 0) copy[at % copy.length] = value
      return copy
    }),
    fc.tuple(valid, fc.nat()).map(([bytes, cut]) => bytes.subarray(0, cut % (bytes.length + 1))),
    fc.tuple(valid, fc.uint8Array({ maxLength: 9 })).map(([bytes, more]) => Buffer.concat([bytes, more])),
  )

/** What is accepted is written the same by the client's codec; what is not is an EnvelopeError. */
function checkStrict<T>(bytes: Buffer, parse: (bytes: Buffer) => T, write: (value: T) => Buffer): void {
  let value: T
  try {
    value = parse(bytes)
  } catch (error) {
    expect(error).toBeInstanceOf(EnvelopeError)
    expect((error as EnvelopeError).code).toBe("MalformedMessage")
    return
  }
  expect(write(value).equals(bytes)).toBe(true)
}

const infoRequest = fc.tuple(name, fc.array(uint(16), { maxLength: 9 })).map(([text, infos]) => infoData(text, infos))
const metaRequest = fc.tuple(name, fc.array(name, { maxLength: 5 })).map(([text, queries]) => metaData(text, queries))
const runs = { numRuns: 1500 }

describe("The codec", () => {
  it("NBD-1.2: reads what clients write, and nothing else", () => {
    const info = (bytes: Buffer) =>
      checkStrict(bytes, parseInfoRequest, (request) => infoData(request.name, request.infos))
    const meta = (bytes: Buffer) =>
      checkStrict(bytes, parseMetaRequest, (request) => metaData(request.name, request.queries))
    fc.assert(fc.property(noise(infoRequest), info), runs)
    fc.assert(fc.property(noise(metaRequest), meta), runs)
    fc.assert(fc.property(infoRequest, (bytes) => void parseInfoRequest(bytes)))
    fc.assert(fc.property(metaRequest, (bytes) => void parseMetaRequest(bytes)))
  })

  it("NBD-1.3: takes names of UTF-8 alone", () => {
    fc.assert(
      fc.property(noise(name.map((text) => Buffer.from(text))), (bytes) =>
        checkStrict(bytes, parseName, (text) => Buffer.from(text)),
      ),
      runs,
    )
  })

  it("NBD-1.1 NBD-1.2: takes flags and headers of options as they are", () => {
    fc.assert(
      fc.property(fc.oneof(uint(32), uint(3)), (flags) =>
        checkStrict(u32(flags), parseClientFlags, ({ fixedNewstyle, noZeroes }) =>
          u32((fixedNewstyle ? 1 : 0) | (noZeroes ? 2 : 0)),
        ),
      ),
    )
    const header = fc.tuple(uint(32), uint(16)).map(([option, length]) => optionBytes(option, Buffer.alloc(length)))
    fc.assert(
      fc.property(noise(header.map((bytes) => bytes.subarray(0, 16))), (bytes) => {
        if (bytes.length < 16) return
        checkStrict(bytes.subarray(0, 16), parseOptionHeader, ({ option, length }) =>
          Buffer.concat([Buffer.from("IHAVEOPT"), u32(option), u32(length)]),
        )
      }),
      runs,
    )
  })

  it("NBD-3.1: takes requests as they are; an offset of 2^53 or more is beyond every device", () => {
    const request = fc.record({
      type: uint(16),
      flags: uint(16),
      offset: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      length: uint(32),
    })
    const valid = fc
      .tuple(request, fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }))
      .map(([fields, cookie]) => requestBytes(fields, cookie))
    fc.assert(
      fc.property(noise(valid), (bytes) => {
        if (bytes.length < 28) return
        const exact = bytes.readBigUInt64BE(16)
        checkStrict(bytes.subarray(0, 28), parseRequest, (parsed) => {
          const { type, flags, length, cookieHigh, cookieLow } = parsed
          if (exact >= 2n ** 53n) expect(parsed.offset).toBe(Number.POSITIVE_INFINITY)
          const offset = parsed.offset === Number.POSITIVE_INFINITY ? exact : parsed.offset
          return requestBytes({ type, flags, offset, length }, (BigInt(cookieHigh) << 32n) + BigInt(cookieLow))
        })
      }),
      runs,
    )
  })

  it("NBD-1.2: a handshake answers any option with any data", () => {
    const exports = readExports({ exports: { "": memoryDevice(1024), b: memoryDevice(512) } })
    const option = fc.tuple(
      fc.oneof(
        fc.integer({ min: 2, max: 12 }),
        uint(32).filter((number) => number !== 1),
      ),
      noise(fc.oneof(infoRequest, metaRequest)),
    )
    fc.assert(
      fc.property(
        fc.array(option, { maxLength: 8 }),
        fc.constantFrom("none", "optional", "required"),
        (options, tls) => {
          const negotiation = negotiate({ exports, tls, noZeroes: true })
          for (const [number, data] of options) {
            const { replies } = negotiation.answer(number, data)
            const types = replies.map((reply) => Buffer.from(reply).readUInt32BE(12))
            const isLast = (type: number) => type === 1 || type >= 0x8000_0000
            expect(types.map(isLast)).toEqual(types.map((_type, i) => i === types.length - 1))
            expect(types.length).toBeGreaterThan(0)
          }
        },
      ),
      runs,
    )
  })
})

describe("The intake", () => {
  it("gives the bytes in order, however they arrive and whatever takes them", () => {
    const piece = fc.record({
      kind: fc.constantFrom("take", "collect", "skip"),
      length: fc.integer({ min: 1, max: 90_000 }),
    })
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 12 }),
        fc.infiniteStream(fc.integer({ min: 1, max: 70_000 })),
        (pieces, chunks) => {
          const wanted = pieces.map(({ kind, length }) => ({
            kind,
            length: kind === "take" ? (length % 64) + 1 : length,
          }))
          const total = wanted.reduce((sum, { length }) => sum + length, 0)
          const bytes = Buffer.alloc(total, "every byte of it in order")
          const intake = createIntake()
          let [sent, at, i] = [0, 0, 0]
          let payload: Uint8Array | undefined
          const check = (got: Uint8Array) => {
            expect(Buffer.compare(got, bytes.subarray(at, at + got.length))).toBe(0)
            at += got.length
            i++
          }
          const use = (): void => {
            while (i < wanted.length && intake.ready()) {
              const { kind, length } = wanted[i]!
              if (payload !== undefined) {
                check(payload)
                payload = undefined
              } else if (kind === "collect") {
                payload = new Uint8Array(length)
                intake.collect(payload)
              } else if (kind === "skip") {
                intake.skip(length)
                at += length
                i++
              } else {
                const got = intake.take(length)
                if (got === undefined) return
                check(got)
              }
            }
          }
          while (sent < total) {
            const target = intake.target()
            expect(target.length).toBeGreaterThan(0)
            const length = Math.min(chunks.next().value, target.length, total - sent)
            target.set(bytes.subarray(sent, sent + length))
            intake.filled(length)
            sent += length
            if (length % 3 !== 0) use()
          }
          use()
          expect(i).toBe(wanted.length)
          expect(at).toBe(total)
          expect(intake.ready()).toBe(true)
          expect(intake.waiting).toBe(0)
        },
      ),
      { numRuns: 200 },
    )
  })
})

describe("Extents", () => {
  it("NBD-3.8: of any device never reach past the request, never repeat a state, and tell the first bytes", () => {
    const extent = fc.record({ length: fc.integer({ min: -1, max: 9000 }), hole: fc.boolean(), zero: fc.boolean() })
    fc.assert(
      fc.property(fc.array(extent), fc.integer({ min: 1, max: 30_000 }), fc.boolean(), (extents, length, one) => {
        const result = statusExtents(extents, length, one)
        const sum = result.reduce((total, each) => total + each.length, 0)
        expect(result.length).toBeGreaterThan(0)
        if (one) expect(result).toHaveLength(1)
        expect(sum).toBeLessThanOrEqual(length)
        expect(result.every((each, i) => each.length > 0 && each.state !== result[i - 1]?.state)).toBe(true)
      }),
    )
  })
})
