import { describe, expect, test } from "vitest"
import { checkRangeReadable, openRange, planS3ec, rangeToFetch } from "../../../src/s3/s3ec/index.ts"
import { codeOf } from "../../support/errors.ts"
import { pattern } from "../../support/keys.ts"
import { runSeed, seeded } from "../../support/random.ts"
import { writeReferenceObject } from "./reference.ts"
import { ALL, aesKey, changed, envelopeOf, flipped, type StoredObject, WRAPPING_KEY, write } from "./support.ts"

const V2 = { commitmentPolicy: "ForbidEncryptAllowDecrypt" } as const
const plaintext = pattern(5000)
const plan = planS3ec({ ...ALL, key: aesKey() })
const v3 = await write(plaintext, { key: aesKey() })
const v2 = await write(plaintext, { key: aesKey(), ...V2 })

async function rangeOf(object: StoredObject, start: number, end: number, using = plan): Promise<Buffer> {
  const fetched = rangeToFetch({ start, end })
  return Buffer.from(
    await openRange(using, await envelopeOf(object), { start, end }, object.body.subarray(fetched.start, fetched.end)),
  )
}

describe("Parts of objects, unauthenticated", () => {
  test.each([
    ["V3", v3],
    ["V2", v2],
  ] as const)("CSE-5.1: any part of a %s object comes out, to the byte", async (_format, object) => {
    const random = seeded(runSeed())
    const edges = [
      [0, 0],
      [0, 1],
      [0, 5000],
      [15, 17],
      [16, 32],
      [4999, 5000],
      [5000, 5000],
      [4992, 5000],
    ] as const
    const cases = Array.from({ length: 100 }, () => [random.int(5001), random.int(5001)].sort((a, b) => a - b))
    for (const [start, end] of [...edges, ...cases]) {
      expect((await rangeOf(object, start!, end!)).equals(plaintext.subarray(start, end))).toBe(true)
    }
  })

  test("fetches from the beginning of a block, and nothing of the tag", () => {
    expect(rangeToFetch({ start: 100, end: 5000 })).toEqual({ start: 96, end: 5000 })
    expect(rangeToFetch({ start: 96, end: 97 })).toEqual({ start: 96, end: 97 })
  })

  test("CSE-5.1: the counter goes beyond 32 bits of bytes, up to the format's limit", async () => {
    // Two blocks whose counters differ by 2^31: the same ciphertext must give different plaintext, each its own.
    const { createCipheriv } = await import("node:crypto")
    const wrap = { algorithm: "AES/GCM", key: WRAPPING_KEY } as const
    const object = await writeReferenceObject({ suite: "gcm", plaintext: pattern(16), wrap })
    const iv = Buffer.from(object.metadata["x-amz-iv"]!, "base64")
    for (const start of [2 ** 35, 2 ** 36 - 48]) {
      const counter = Buffer.alloc(4)
      counter.writeUInt32BE(2 + start / 16)
      const cipher = createCipheriv("aes-256-ctr", object.dataKey, Buffer.concat([iv, counter]))
      const ciphertext = cipher.update(pattern(16))
      const range = { start, end: start + 16 }
      expect(Buffer.from(await openRange(plan, await envelopeOf(object), range, ciphertext)).equals(pattern(16))).toBe(
        true,
      )
    }
  })

  test("CSE-5.2: without the option that names the risk they are refused, before any key is asked", async () => {
    const untouched = { ...aesKey(), unwrap: () => expect.unreachable("unwrap") }
    const careful = planS3ec({ ...ALL, key: untouched, unauthenticatedRanges: false })
    const envelope = await envelopeOf(v3)
    expect(await codeOf(() => checkRangeReadable(careful, envelope))).toBe("UnsupportedFormat")
    expect(await codeOf(() => rangeOf(v3, 0, 10, careful))).toBe("UnsupportedFormat")
  })

  test("CSE-5.2: parts of AES-CBC objects are refused", async () => {
    const wrap = { algorithm: "AES/GCM", key: WRAPPING_KEY } as const
    const cbc = await writeReferenceObject({ suite: "cbc", plaintext, wrap })
    expect(await codeOf(() => rangeOf(cbc, 0, 10))).toBe("UnsupportedFormat")
  })

  test("the commitment of V3 is checked, and nothing of the data", async () => {
    const commitment = flipped(Buffer.from(v3.metadata["x-amz-d"]!, "base64"), 3)
    const metadata = changed(v3.metadata, { "x-amz-d": Buffer.from(commitment).toString("base64") })
    expect(await codeOf(() => rangeOf({ ...v3, metadata }, 0, 10))).toBe("TamperedMessage")
    const part = await rangeOf({ ...v3, body: flipped(v3.body, 5) }, 0, 10)
    expect([...part].map((byte, i) => byte ^ plaintext[i]!)).toEqual([0, 0, 0, 0, 0, 1, 0, 0, 0, 0])
  })

  test("policies and flags hold for parts as for whole objects", async () => {
    const strict = planS3ec({ key: aesKey(), unauthenticatedRanges: true })
    expect(await codeOf(() => rangeOf(v2, 0, 10, strict))).toBe("CommitmentPolicy")
    expect((await rangeOf(v3, 0, 10, strict)).length).toBe(10)
  })

  test("bytes that are not the range's are a RangeError", async () => {
    const envelope = await envelopeOf(v3)
    await expect(openRange(plan, envelope, { start: 20, end: 30 }, pattern(10))).rejects.toThrow(RangeError)
  })
})
