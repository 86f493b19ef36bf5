import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { EnvelopeError } from "../../src/core/index.ts"
import { isEntry, readEntry, writeEntry, writeHole } from "../../src/volume/entry.ts"
import { levelsFor, parseVolumeSize, volumeName } from "../../src/volume/geometry.ts"
import { decodeHeader, encodeHeader, type VolumeHeader } from "../../src/volume/header.ts"
import {
  decodeBody,
  decodeRecordHeader,
  encodeBody,
  encodeRecordHeader,
  type Item,
  strideOf,
} from "../../src/volume/record.ts"

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })
const present = fc
  .record({
    state: fc.constantFrom(1, 3),
    epoch: fc.integer({ min: 1, max: 2 ** 24 - 1 }),
    counter: fc.integer({ min: 1, max: 2 ** 32 - 1 }),
    tag: bytes(16),
  })
  .map((entry) => {
    const out = new Uint8Array(24)
    writeEntry(out, 0, entry)
    return out
  })
const hole = fc.record({ epoch: fc.nat(2 ** 24 - 1), counter: fc.nat(2 ** 32 - 1) }).map((stamp) => {
  const out = new Uint8Array(24)
  writeHole(out, 0, stamp)
  return out
})

const header: fc.Arbitrary<VolumeHeader> = fc
  .record({
    volumeId: bytes(16),
    generation: fc.integer({ min: 1, max: 2 ** 40 }),
    previousMac: bytes(32),
    sizeAtCreation: fc.integer({ min: 1, max: 2 ** 20 }).map((sectors) => sectors * 512),
    growth: fc.nat(1000),
    blockSize: fc.constantFrom(4096, 16_384, 65_536),
    root: fc.oneof(present, hole),
    log: fc.nat(1000),
    firstSequence: fc.nat(2 ** 40),
    encryptionContext: fc.dictionary(fc.string({ minLength: 1, unit: "grapheme-ascii" }), fc.string(), { maxKeys: 4 }),
    wrappedKeys: fc.array(
      fc.record({ providerId: fc.constant("aws-kms"), providerInfo: fc.uint8Array(), ciphertext: fc.uint8Array() }),
      { minLength: 1, maxLength: 3 },
    ),
    epochs: fc
      .uniqueArray(fc.integer({ min: 1, max: 2 ** 24 - 1 }), { maxLength: 5 })
      .chain((numbers) =>
        fc.tuple(...numbers.sort((a, b) => a - b).map((epoch) => bytes(32).map((salt) => ({ epoch, salt })))),
      ),
  })
  .map(({ growth, ...fields }) => ({
    ...fields,
    size: fields.sizeAtCreation + growth * 512,
    clean: fields.log === 0,
  }))

const BLOCK = 4096
const item: fc.Arbitrary<Item> = fc
  .record({
    kind: fc.constantFrom("placed", "inline", "holes" as const),
    first: fc.nat(90),
    count: fc.integer({ min: 1, max: 3 }),
  })
  .chain(({ kind, first, count }): fc.Arbitrary<Item> => {
    if (kind === "holes") return hole.map((entry): Item => ({ kind, first, count, bytes: entry }))
    return fc.array(present, { minLength: count, maxLength: count }).map((entries): Item => {
      const stride = strideOf(kind, BLOCK)
      const all = new Uint8Array(count * stride)
      for (const [i, entry] of entries.entries()) all.set(entry, i * stride)
      return { kind, first, count, bytes: all }
    })
  })
const body = fc.record({
  previousTag: bytes(16),
  durableSequence: fc.nat(2 ** 50),
  items: fc.array(item, { maxLength: 4 }),
})

/** Flips, cuts, insertions; what is still accepted must be canonical, and what is not must fail as ours. */
function mutated(original: Uint8Array, at: number, value: number, kind: number): Uint8Array {
  const place = at % Math.max(1, original.length)
  if (kind === 0) return original.subarray(0, place)
  if (kind === 1) return new Uint8Array([...original.subarray(0, place), value, ...original.subarray(place)])
  const copy = original.slice()
  copy[place] = value
  return copy
}
const mutation = [fc.nat(100_000), fc.nat(255), fc.integer({ min: 0, max: 6 })] as const

function expectCanonical(decode: () => Uint8Array, input: Uint8Array): void {
  try {
    expect(Buffer.from(decode()).equals(input)).toBe(true)
  } catch (error) {
    if (!(error instanceof EnvelopeError)) throw error
    expect(["MalformedVolume", "UnsupportedFormat"]).toContain(error.code)
  }
}

describe("headers (VOL-3.1)", () => {
  test("decode to what was encoded, and encode again to the same bytes", () => {
    fc.assert(
      fc.property(header, bytes(32), (fields, mac) => {
        const encoded = encodeHeader(fields)
        const decoded = decodeHeader(Buffer.concat([encoded, mac]))
        expect({ ...decoded.header, encryptionContext: { ...decoded.header.encryptionContext } }).toEqual({
          ...fields,
          encryptionContext: { ...fields.encryptionContext },
        })
        expect(Buffer.from(decoded.body).equals(encoded)).toBe(true)
        expect(Buffer.from(decoded.mac).equals(mac)).toBe(true)
      }),
      { numRuns: 100 },
    )
  })

  test("when mutated fail as ours, or are read as what they are", () => {
    fc.assert(
      fc.property(header, ...mutation, (fields, at, value, kind) => {
        const input = mutated(Buffer.concat([encodeHeader(fields), new Uint8Array(32)]), at, value, kind)
        expectCanonical(() => {
          const { header: read, mac } = decodeHeader(input)
          return Buffer.concat([encodeHeader(read), mac])
        }, input)
      }),
      { numRuns: 500 },
    )
  })
})

describe("log records (VOL-5.1, VOL-5.2, VOL-5.3)", () => {
  test("decode to what was encoded", () => {
    fc.assert(
      fc.property(body, (fields) => {
        const decoded = decodeBody(encodeBody(fields), BLOCK, 100)
        expect(decoded.items.length).toBe(fields.items.length)
        expect(Buffer.from(encodeBody(decoded)).equals(encodeBody(fields))).toBe(true)
      }),
      { numRuns: 100 },
    )
  })

  test("when mutated fail as ours, or are read as what they are", () => {
    fc.assert(
      fc.property(body, ...mutation, (fields, at, value, kind) => {
        const input = mutated(encodeBody(fields), at, value, kind)
        expectCanonical(() => encodeBody(decodeBody(input, BLOCK, 100)), input)
      }),
      { numRuns: 500 },
    )
  })

  test("that reach beyond the volume, or claim more entries than there are, are refused before anything is allocated", () => {
    const record = { previousTag: new Uint8Array(16), durableSequence: 0 }
    const entry = new Uint8Array(24)
    const holes = (first: number, count: number) =>
      encodeBody({ ...record, items: [{ kind: "holes", first, count, bytes: entry }] })
    expect(decodeBody(holes(0, 100), BLOCK, 100).items).toHaveLength(1)
    for (const [first, count] of [
      [1, 100],
      [100, 1],
      [0, 2 ** 50],
    ] as const) {
      expect(() => decodeBody(holes(first, count), BLOCK, 100)).toThrow("beyond the volume")
    }
    const placed = encodeBody({ ...record, items: [{ kind: "placed", first: 0, count: 2 ** 30, bytes: entry }] })
    expect(() => decodeBody(placed, BLOCK, 2 ** 31)).toThrow("fewer entries")
  })

  test("begin with a header that is found again", () => {
    const fields = { bodyLength: 100, sequence: 2 ** 40, epoch: 7, counter: 2 ** 32 - 1 }
    expect(decodeRecordHeader(encodeRecordHeader(fields), 0)).toEqual(fields)
    expect(decodeRecordHeader(encodeRecordHeader({ ...fields, bodyLength: 2 ** 26 + 1 }), 0)).toBeUndefined()
    expect(decodeRecordHeader(new Uint8Array(24), 0)).toBeUndefined()
  })
})

describe("entries and sizes", () => {
  // VOL-4.1
  test("an entry is what was written; unknown bits and a hole with a tag are none", () => {
    fc.assert(
      fc.property(present, (entry) => {
        const again = new Uint8Array(24)
        writeEntry(again, 0, readEntry(entry))
        return Buffer.from(again).equals(entry) && isEntry(entry)
      }),
    )
    expect(isEntry(Uint8Array.of(5, ...new Uint8Array(23)))).toBe(false)
    expect(isEntry(Uint8Array.of(0, ...new Uint8Array(22), 1))).toBe(false)
  })

  // VOL-1.1, VOL-1.3, VOL-4.2
  test("sizes, names and levels", () => {
    expect(parseVolumeSize("64GiB")).toBe(64 * 2 ** 30)
    expect(parseVolumeSize(512)).toBe(512)
    expect(parseVolumeSize(2n ** 50n)).toBe(2 ** 50)
    for (const size of [0, 511, 513, 2 ** 50 + 512]) expect(() => parseVolumeSize(size)).toThrow(RangeError)
    for (const size of ["", "big", "1GB"]) expect(() => parseVolumeSize(size)).toThrow(TypeError)
    expect(volumeName(new Uint8Array(16).fill(0xab))).toBe(`vol-${"ab".repeat(16)}`)
    expect([1, 128, 129, 16_384, 16_385, 2 ** 38].map(levelsFor)).toEqual([1, 1, 2, 2, 3, 6])
  })
})
