import { PutBucketVersioningCommand } from "@aws-sdk/client-s3"
import fc from "fast-check"
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { encrypt, type Keyring } from "../../src/index.ts"
import { type EncryptedS3Client, envelopeOf } from "../../src/s3/index.ts"
import { codeOf, errorOf } from "../support/errors.ts"
import { pattern } from "../support/keys.ts"
import { Bucket, createS3World, FRAME, get, put, read, type S3World } from "./s3-world.ts"

const SIZE = 400 * FRAME + 100
const body = pattern(SIZE)

let world: S3World
let s3: EncryptedS3Client
beforeAll(async () => {
  world = await createS3World()
  s3 = world.client({ partSize: 1024 * FRAME, multipartThreshold: 1024 * FRAME })
  await put(s3, "big", body)
})
afterAll(() => world[Symbol.asyncDispose]())
beforeEach(() => {
  world.server.intervene = undefined
  world.server.forget()
  world.calls.sent.length = 0
})

const ranges = () =>
  world.server.log.filter(({ operation }) => operation === "GetObject").map(({ headers }) => headers.range)

describe("a range of an object", () => {
  test.each([
    ["bytes=0-0", 0, 1],
    ["bytes=0-9", 0, 10],
    [`bytes=${FRAME - 1}-${FRAME}`, FRAME - 1, FRAME + 1],
    [`bytes=${200 * FRAME}-${201 * FRAME - 1}`, 200 * FRAME, 201 * FRAME],
    ["bytes=100000-", 100_000, SIZE],
    ["bytes=-1", SIZE - 1, SIZE],
    [`bytes=-${SIZE + 10}`, 0, SIZE],
    [`bytes=${SIZE - 5}-${SIZE + 100}`, SIZE - 5, SIZE],
    ["bytes=0-", 0, SIZE],
    ["bytes=5-99999999999999999999", 5, SIZE],
  ])("%s is exactly those bytes of the plaintext (OBJ-5.1)", async (Range, start, end) => {
    const { bytes, ContentRange, ContentLength, $metadata } = await get(s3, "big", { Range })
    expect(Buffer.compare(bytes, body.subarray(start, end))).toBe(0)
    expect(ContentRange).toBe(`bytes ${start}-${end - 1}/${SIZE}`)
    expect([ContentLength, $metadata.httpStatusCode]).toEqual([end - start, 206])
  })

  test.each(["bytes=9-3", "lines=0-1", "bytes=0-1,4-5", "bytes=-"])("%s is ignored, as S3 does", async (Range) => {
    const output = await get(s3, "big", { Range })
    expect([output.ContentLength, output.ContentRange]).toEqual([SIZE, undefined])
  })

  test.each([`bytes=${SIZE}-`, `bytes=${SIZE}-${SIZE + 1}`, "bytes=-0"])("%s is S3's own error", async (Range) => {
    expect((await errorOf(() => get(s3, "big", { Range }))).name).toBe("InvalidRange")
  })

  test("of any size and place equals the slice", async () => {
    const lengths = [0, 1, FRAME, FRAME + 1, 3 * FRAME, 9 * FRAME + 5]
    for (const length of lengths) await put(s3, `p-${length}`, body.subarray(0, length))
    const cases = fc.tuple(fc.constantFrom(...lengths.slice(1)), fc.nat(10 * FRAME), fc.nat(10 * FRAME))
    const check = async ([length, a, b]: [number, number, number]) => {
      const first = Math.min(a, length - 1)
      const last = first + b
      const bytes = await read(s3, `p-${length}`, `bytes=${first}-${last}`)
      expect(Buffer.compare(bytes, body.subarray(first, Math.min(length, last + 1)))).toBe(0)
      const suffix = await read(s3, `p-${length}`, `bytes=-${b + 1}`)
      expect(Buffer.compare(suffix, body.subarray(Math.max(0, length - b - 1), length))).toBe(0)
    }
    await fc.assert(fc.asyncProperty(cases, check), { numRuns: 60 })
    expect((await errorOf(() => read(s3, "p-0", "bytes=0-"))).name).toBe("InvalidRange")
  })
})

describe("what a range fetches (OBJ-5.2, OBJ-5.3)", () => {
  test("inside regular frames: the header, and those frames; the total is not authenticated", async () => {
    const { output } = await get(s3, "big", { Range: `bytes=${100 * FRAME + 5}-${100 * FRAME + 104}` })
    const [first, second, ...more] = ranges()
    expect([first, more]).toEqual(["bytes=0-4095", []])
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(second!)!
    expect(Number(to) - Number(from) + 1).toBe(FRAME + 32)
    expect(envelopeOf(output)).toMatchObject({ plaintextLength: SIZE, plaintextLengthAuthenticated: false })
    expect(world.kmsOperations()).toEqual(["Decrypt"])
  })

  test("the frames come while KMS works, and nothing comes of them when it refuses", async () => {
    let refuse = false
    const keyring: Keyring = {
      ...world.keyring,
      async unwrap(request) {
        while (ranges().length < 2) await new Promise((resolve) => setTimeout(resolve, 1))
        if (refuse) throw new Error("refused")
        return world.keyring.unwrap(request)
      },
    }
    const client = world.client({ keyring })
    expect(await read(client, "big", "bytes=200000-200009")).toEqual(body.slice(200_000, 200_010))
    refuse = true
    world.server.forget()
    await expect(read(client, "big", "bytes=200000-200009")).rejects.toThrow("refused")
    world.server.forget()
    const boundTo = { bucket: Bucket, key: "other" }
    expect(await codeOf(() => read(client, "big", "bytes=200000-200009", { boundTo }))).toBe("ContextMismatch")
    expect(ranges()).toHaveLength(1)
  })

  test("with the total authenticated: one more request for the final frame", async () => {
    const options = { authenticateTotal: true }
    const { output } = await get(s3, "big", { Range: "bytes=100000-100020" }, options)
    expect(ranges()).toHaveLength(3)
    expect(envelopeOf(output)?.plaintextLengthAuthenticated).toBe(true)
    const client = world.client({ authenticateTotal: true })
    expect(envelopeOf((await get(client, "big", { Range: "bytes=10-20" })).output)?.plaintextLengthAuthenticated).toBe(
      true,
    )
  })

  test("at the end: the final frame along with the others", async () => {
    const { output } = await get(s3, "big", { Range: "bytes=-200" })
    expect(ranges()).toHaveLength(2)
    expect(envelopeOf(output)?.plaintextLengthAuthenticated).toBe(true)
  })

  test("of a small object: one request", async () => {
    await put(s3, "small", pattern(2000))
    world.server.forget()
    expect(await read(s3, "small", "bytes=1000-1999")).toEqual(pattern(2000).slice(1000))
    expect(ranges()).toEqual(["bytes=0-4095"])
  })

  test("above four megabytes: a stream, frame by frame", async () => {
    const large = pattern(6_000_000)
    const client = world.client({
      frameLength: 65_536,
      partSize: 10 * 65_536 * 16,
      multipartThreshold: 10 * 65_536 * 16,
    })
    await put(client, "large", large)
    expect(
      Buffer.compare(await read(client, "large", "bytes=100000-5999000"), large.subarray(100_000, 5_999_001)),
    ).toBe(0)
    await world.server.tamper(Bucket, "large", (bytes) => bytes.fill(1, 3_000_000, 3_000_001))
    expect(await codeOf(() => read(client, "large", "bytes=100000-5999000"))).toBe("TamperedMessage")
  })
})

describe("every request of one read is about the same object (OBJ-5.4)", () => {
  const replaceBefore = (request: number, times = 1) => {
    let seen = 0
    world.server.intervene = async ({ operation }) => {
      if (operation !== "GetObject" || ++seen % 2 !== request % 2 || times-- <= 0) return
      await world.client().ciphertext.send(await replacement())
    }
  }
  const replacement = async () => {
    const { PutObjectCommand } = await import("@aws-sdk/client-s3")
    const encryptionContext = { "aws:s3:arn": "arn:aws:s3:::reports/changing" }
    const other = pattern(SIZE).map((byte) => byte ^ 0xff)
    const Body = await encrypt(other, { keyring: world.keyring, frameLength: FRAME, encryptionContext })
    return new PutObjectCommand({ Bucket, Key: "changing", Body })
  }

  test("by its ETag; replaced meanwhile it is read once more from the start", async () => {
    await put(s3, "changing", body)
    replaceBefore(2)
    const bytes = await read(s3, "changing", "bytes=200000-200009")
    expect(bytes).toEqual(
      pattern(SIZE)
        .map((byte) => byte ^ 0xff)
        .slice(200_000, 200_010),
    )
    const pinned = world.server.log.filter(
      ({ headers }) => headers.range !== "bytes=0-4095" && headers.range !== undefined,
    )
    expect(pinned.every(({ headers }) => headers["if-match"] !== undefined)).toBe(true)
  })

  test("replaced again, it gives up", async () => {
    await put(s3, "changing", body)
    replaceBefore(2, 9)
    expect(await codeOf(() => read(s3, "changing", "bytes=200000-200009"))).toBe("ObjectChanged")
  })

  test("asked for by its ETag, it is S3's own error", async () => {
    const { ETag } = await put(s3, "changing", body)
    replaceBefore(2)
    const error = await errorOf(() => get(s3, "changing", { Range: "bytes=200000-200009", IfMatch: ETag! }))
    expect(error.name).toBe("PreconditionFailed")
  })

  test("by its version", async () => {
    const versions = { Bucket: "other", VersioningConfiguration: { Status: "Enabled" } } as const
    await s3.send(new PutBucketVersioningCommand(versions))
    const { VersionId } = await put(s3, "v", body, { Bucket: "other" })
    await put(s3, "v", "newer", { Bucket: "other" })
    const { bytes } = await get(s3, "v", { Bucket: "other", VersionId: VersionId!, Range: "bytes=300000-300009" })
    expect(bytes).toEqual(body.slice(300_000, 300_010))
    expect(
      world.server.log
        .filter(({ operation }) => operation === "GetObject")
        .every(({ query }) => query.get("versionId") === VersionId),
    ).toBe(true)
  })
})

describe("with the cache of headers and keys", () => {
  test("the next range costs one request and no call to KMS, until the object is replaced", async () => {
    const client = world.client({ readCache: { maxAgeSeconds: 60 } })
    await put(client, "cached", body)
    world.calls.sent.length = 0
    await read(client, "cached", "bytes=0-9")
    world.server.forget()
    expect(await read(client, "cached", "bytes=200000-200009")).toEqual(body.slice(200_000, 200_010))
    expect(ranges()).toHaveLength(1)
    expect(world.kmsOperations()).toEqual(["Decrypt"])
    await put(
      client,
      "cached",
      body.map((byte) => byte ^ 1),
    )
    expect(await read(client, "cached", "bytes=0-3")).toEqual(body.slice(0, 4).map((byte) => byte ^ 1))
  })

  test("in a versioned bucket the next range is of the current version too", async () => {
    const versions = { Bucket: "other", VersioningConfiguration: { Status: "Enabled" } } as const
    await s3.send(new PutBucketVersioningCommand(versions))
    const client = world.client({ readCache: { maxAgeSeconds: 60 } })
    const first = (input = {}) => get(client, "current", { Bucket: "other", Range: "bytes=0-0", ...input })
    const { VersionId } = await put(client, "current", "a", { Bucket: "other" })
    expect((await first()).bytes).toEqual(new Uint8Array([97]))
    await put(client, "current", "b", { Bucket: "other" })
    expect((await first()).bytes).toEqual(new Uint8Array([98]))
    expect((await first({ VersionId })).bytes).toEqual(new Uint8Array([97]))
    expect((await first({ VersionId })).bytes).toEqual(new Uint8Array([97]))
    expect((await first()).bytes).toEqual(new Uint8Array([98]))
  })

  test("what is expected of the object is part of the entry", async () => {
    const client = world.client({ readCache: { maxAgeSeconds: 60 } })
    await put(client, "cached", body)
    await read(client, "cached", "bytes=0-9")
    const elsewhere = { boundTo: { bucket: Bucket, key: "other" } }
    expect(await codeOf(() => read(client, "cached", "bytes=0-9", elsewhere))).toBe("ContextMismatch")
    const more = { encryptionContext: { tenant: "1" } }
    expect(await codeOf(() => read(client, "cached", "bytes=0-9", more))).toBe("ContextMismatch")
  })

  test("limits are checked", () => {
    expect(() => world.client({ readCache: { maxAgeSeconds: 0 } })).toThrow(RangeError)
    expect(() => world.client({ readCache: { maxAgeSeconds: 1, capacity: 0 } })).toThrow(RangeError)
  })
})
