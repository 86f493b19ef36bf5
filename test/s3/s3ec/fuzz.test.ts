import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { EnvelopeError } from "../../../src/core/index.ts"
import { findEnvelope, type ObjectEnvelope } from "../../../src/s3/s3ec/index.ts"
import { decodeStored, fromBase64, fromJson, toBase64, toJson } from "../../../src/s3/s3ec/text.ts"
import { writeEnvelope } from "../../../src/s3/s3ec/write-envelope.ts"
import { pattern } from "../../support/keys.ts"
import { type Random, runSeed, seededCase } from "../../support/random.ts"
import { writeReferenceObject } from "./reference.ts"
import { aesKey, kmsKey, text, WRAPPING_KEY, write } from "./support.ts"

/** Mutated envelopes; `FUZZ_CASES` sets another number, `TEST_SEED` the first seed. */
const CASES = Number(process.env.FUZZ_CASES ?? 5000)

interface Stored {
  readonly metadata: Record<string, string>
  readonly instructionFile?: string
}

const V2 = { commitmentPolicy: "ForbidEncryptAllowDecrypt" } as const
const context = { encryptionContext: { dept: "x", å: "日本" } }
const plaintext = pattern(10)
const pool: Stored[] = [
  await write(plaintext, { key: kmsKey() }, context),
  await write(plaintext, { key: aesKey({ generation: "1" }) }),
  await write(plaintext, { key: kmsKey(), instructionFile: true }, context),
  await write(plaintext, { key: kmsKey(), ...V2 }, context),
  await write(plaintext, { key: aesKey(), instructionFile: true, ...V2 }),
  await writeReferenceObject({ suite: "cbc", plaintext, wrap: { algorithm: "AESWrap", key: WRAPPING_KEY } }),
  await writeReferenceObject({ suite: "cbc", format: "V1", plaintext, wrap: { algorithm: "AES", key: WRAPPING_KEY } }),
]
const names = [
  ...new Set(
    pool.flatMap(({ metadata, instructionFile }) => [
      ...Object.keys(metadata),
      ...Object.keys(JSON.parse(instructionFile ?? "{}")),
    ]),
  ),
]
const values = pool.flatMap(({ metadata }) => Object.values(metadata))
const SNIPPETS = [
  "",
  "{}",
  "=?utf-8?B?",
  "?=",
  "\u00ff",
  "\ud800",
  "=",
  "115",
  "12",
  "128",
  "null",
  "\u0000",
  "__proto__",
  '"',
]

function mutateText(value: string, random: Random): string {
  const at = random.int(value.length + 1)
  const end = at + random.int(5)
  return value.slice(0, at) + random.pick(SNIPPETS) + value.slice(random.chance(0.5) ? at : end)
}

function mutateMap(map: Record<string, string>, random: Random): Record<string, string> {
  const all = { ...map }
  const any = Object.keys(all).length > 0 ? random.pick(Object.keys(all)) : random.pick(names)
  const edits = [
    () => delete all[any],
    () => (all[any] = mutateText(all[any] ?? "", random)),
    () => (all[random.pick(names)] = random.pick(values)),
    () => (all[any.toUpperCase()] = random.pick(values)),
    () => (all[any] = random.pick(SNIPPETS)),
  ]
  random.pick(edits)()
  return all
}

function mutate(from: Stored, random: Random): Stored {
  let { metadata, instructionFile } = from
  for (let edits = 1 + random.int(3); edits > 0; edits--) {
    if (instructionFile !== undefined && random.chance(0.6)) {
      instructionFile = random.chance(0.5) ? mutateText(instructionFile, random) : mutateFile(instructionFile, random)
    } else metadata = mutateMap(metadata, random)
  }
  if (random.chance(0.1)) instructionFile = random.pick(pool).instructionFile
  return { metadata, ...(instructionFile !== undefined && { instructionFile }) }
}

function mutateFile(file: string, random: Random): string {
  try {
    return JSON.stringify(mutateMap(JSON.parse(file), random))
  } catch {
    return file
  }
}

const find = ({ metadata, instructionFile }: Stored): Promise<ObjectEnvelope | undefined> =>
  findEnvelope(metadata, () => (instructionFile === undefined ? undefined : text(instructionFile)))

describe("Envelopes", () => {
  test("are written again as they were read", async () => {
    for (const stored of pool) {
      const envelope = (await find(stored))!
      const again = writeEnvelope(envelope)
      expect(await find(again)).toEqual(envelope)
      const parsed = ({ metadata, instructionFile }: Stored) => ({
        ...Object.fromEntries(
          Object.entries(metadata).map(([name, value]) => [name, value.startsWith("{") ? JSON.parse(value) : value]),
        ),
        ...(instructionFile !== undefined && { file: JSON.parse(instructionFile) }),
      })
      expect(parsed(again)).toEqual(
        parsed({
          metadata: stored.metadata,
          ...(stored.instructionFile && { instructionFile: stored.instructionFile }),
        }),
      )
    }
  })

  test(`that were mutated are refused with an EnvelopeError, or are written again to the same (${CASES} cases)`, async () => {
    const first = runSeed()
    const counts = { accepted: 0, refused: 0 }
    for (let i = 0; i < CASES; i++) {
      await seededCase(first + i, async (random) => {
        const stored = mutate(random.pick(pool), random)
        try {
          const envelope = await find(stored)
          counts.accepted++
          if (envelope === undefined) return
          const { claimedLength: _claimed, ...again } = envelope
          expect(await find(writeEnvelope(envelope))).toEqual(again)
        } catch (error) {
          if (!(error instanceof EnvelopeError)) throw error
          counts.refused++
        }
      })
    }
    expect(counts.accepted).toBeGreaterThan(CASES / 100)
    expect(counts.refused).toBeGreaterThan(CASES / 4)
  })

  test("of random names and values are refused with an EnvelopeError or are none", async () => {
    const metadata = fc.dictionary(fc.oneof(fc.constantFrom(...names), fc.string()), fc.string({ unit: "binary" }))
    await fc.assert(
      fc.asyncProperty(metadata, fc.option(fc.oneof(fc.json(), fc.string())), async (fields, file) => {
        try {
          await find({ metadata: fields, ...(file !== null && { instructionFile: file }) })
        } catch (error) {
          if (!(error instanceof EnvelopeError)) throw error
        }
      }),
      { numRuns: 200 },
    )
  })
})

describe("Text", () => {
  const map = fc.dictionary(fc.string({ unit: "grapheme" }), fc.string({ unit: "grapheme" }))

  test("any map of strings goes to ASCII and back", () => {
    fc.assert(
      fc.property(map, (given) => {
        const json = toJson(given)
        expect(json).toMatch(/^[ -~]*$/)
        expect({ ...fromJson(json, "x") }).toEqual({ ...given })
      }),
    )
  })

  test("CSE-3.5: any JSON comes back from S3's encoding, with words or without", () => {
    fc.assert(
      fc.property(map, fc.boolean(), (given, inWords) => {
        const twice = Buffer.from(JSON.stringify(given)).toString("latin1")
        const stored = inWords ? `=?UTF-8?B?${Buffer.from(twice).toString("base64")}?=` : twice
        expect({ ...fromJson(decodeStored(stored, "x"), "x") }).toEqual({ ...given })
      }),
    )
  })

  test("only canonical base64 is read", () => {
    fc.assert(
      fc.property(fc.oneof(fc.base64String(), fc.string(), fc.uint8Array().map(toBase64)), (value) => {
        const bytes = fromBase64(value)
        if (bytes !== undefined) expect(toBase64(bytes)).toBe(value)
      }),
    )
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(fromBase64(toBase64(bytes))).toEqual(new Uint8Array(bytes))
      }),
    )
  })
})
