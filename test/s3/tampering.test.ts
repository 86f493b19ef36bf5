import { CopyObjectCommand } from "@aws-sdk/client-s3"
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { concatBytes } from "../../src/core/index.ts"
import { encrypt, inspect, rawAesKeyring } from "../../src/index.ts"
import type { EncryptedS3Client, EncryptedS3ClientOptions, SendOptions } from "../../src/s3/index.ts"
import { writeReference } from "../reference/write.ts"
import { codeOf, errorOf } from "../support/errors.ts"
import { pattern } from "../support/keys.ts"
import { Bucket, createS3World, FRAME, get, put, read, type S3World } from "./s3-world.ts"

const body = pattern(50 * FRAME + 10)
/** Bytes of a sealed frame. */
const SEALED = FRAME + 32

let world: S3World
let s3: EncryptedS3Client
beforeAll(async () => {
  world = await createS3World()
  s3 = world.client()
})
afterAll(() => world[Symbol.asyncDispose]())
beforeEach(async () => {
  await put(s3, "object", body)
})

const headerLength = async () => {
  const bytes = new Uint8Array(await world.server.stored(Bucket, "object").content.bytes())
  return inspect(bytes).headerLength
}
const tamper = (change: (bytes: Uint8Array) => Uint8Array) => world.server.tamper(Bucket, "object", change)
const flip = (at: number) =>
  tamper((bytes) => {
    bytes[at]! ^= 1
    return bytes
  })

describe("changes on the server", () => {
  test.each([
    ["in a frame", 30 * SEALED + 20],
    ["in a sequence number", 30 * SEALED],
    ["in the final frame", 50 * SEALED + 30],
    ["in the last tag", -1],
  ])("a flipped bit %s is TamperedMessage", async (_where, offset) => {
    const at =
      offset < 0
        ? (await world.server.stored(Bucket, "object").content.bytes()).length - 1
        : (await headerLength()) + offset
    await flip(at)
    expect(await codeOf(() => get(s3, "object"))).toBe("TamperedMessage")
    expect(await codeOf(() => read(s3, "object", "bytes=0-"))).toBe("TamperedMessage")
  })

  test("a flipped bit in the header is found before any frame", async () => {
    const length = await headerLength()
    await flip(length - 1)
    for (const Range of ["bytes=0-1", "bytes=-1"])
      expect(await codeOf(() => read(s3, "object", Range))).toBe("TamperedMessage")
    expect(await codeOf(() => get(s3, "object"))).toBe("TamperedMessage")
  })

  test("a range reads what is whole beside a frame that is not", async () => {
    await flip((await headerLength()) + 30 * SEALED + 20)
    expect(await read(s3, "object", `bytes=${10 * FRAME}-${10 * FRAME + 9}`)).toEqual(
      body.slice(10 * FRAME, 10 * FRAME + 10),
    )
    expect(await codeOf(() => read(s3, "object", `bytes=${30 * FRAME}-${30 * FRAME}`))).toBe("TamperedMessage")
  })

  test("swapped frames are refused", async () => {
    const start = await headerLength()
    await tamper((bytes) => {
      const frame = (i: number) => bytes.slice(start + i * SEALED, start + (i + 1) * SEALED)
      const [a, b] = [frame(3), frame(4)]
      bytes.set(b, start + 3 * SEALED)
      bytes.set(a, start + 4 * SEALED)
      return bytes
    })
    expect(await codeOf(() => get(s3, "object"))).toBe("TamperedMessage")
    expect(await codeOf(() => read(s3, "object", `bytes=${3 * FRAME}-${3 * FRAME}`))).toBe("TamperedMessage")
  })

  test("a cut object is TruncatedMessage, whatever is asked of its end (OBJ-5.5)", async () => {
    const start = await headerLength()
    for (const cut of [start + 20 * SEALED, start + 20 * SEALED + 7, start + 50 * SEALED + 3, start + 1, start - 1]) {
      await put(s3, "object", body)
      await tamper((bytes) => bytes.slice(0, cut))
      const codes = [await codeOf(() => get(s3, "object")), await codeOf(() => read(s3, "object", "bytes=-5"))]
      codes.push(await codeOf(() => read(s3, "object", `bytes=${60 * FRAME}-`)))
      expect([cut, ...codes]).toEqual([cut, "TruncatedMessage", "TruncatedMessage", "TruncatedMessage"])
    }
  })

  test("bytes behind the end are refused", async () => {
    await tamper((bytes) => concatBytes([bytes, new Uint8Array(5)]))
    expect(await codeOf(() => get(s3, "object"))).toBe("TamperedMessage")
    expect(await codeOf(() => read(s3, "object", "bytes=-5"))).toBe("TamperedMessage")
  })

  test("edited metadata changes nothing (OBJ-8.1)", async () => {
    world.server.edit(Bucket, "object", () => ({
      metadata: {
        "envelope-format": "message",
        "envelope-layout": "1/1",
        "envelope-suite": "0x0014",
        "envelope-plaintext-length": "3",
      },
    }))
    const { bytes, ContentLength } = await get(s3, "object")
    expect([Buffer.compare(bytes, body), ContentLength]).toEqual([0, body.length])
    expect(await read(s3, "object", "bytes=-5")).toEqual(body.slice(-5))
    world.server.edit(Bucket, "object", () => ({ metadata: {} }))
    expect(Buffer.compare((await get(s3, "object")).bytes, body)).toBe(0)
  })

  test("an older version put back is authentic, and refused by its ETag", async () => {
    const old = await world.server.stored(Bucket, "object").content.bytes()
    const { ETag } = await put(s3, "object", "newer")
    await world
      .client()
      .ciphertext.send(new (await import("@aws-sdk/client-s3")).PutObjectCommand({ Bucket, Key: "object", Body: old }))
    expect(Buffer.compare((await get(s3, "object")).bytes, body)).toBe(0)
    expect((await errorOf(() => get(s3, "object", { IfMatch: ETag! }))).name).toBe("PreconditionFailed")
  })
})

describe("an object elsewhere", () => {
  test("is ContextMismatch before KMS is asked, and reads with boundTo (OBJ-3.2)", async () => {
    world.server.move(Bucket, "object", "moved")
    world.calls.sent.length = 0
    expect(await codeOf(() => get(s3, "moved"))).toBe("ContextMismatch")
    expect(await codeOf(() => read(s3, "moved", "bytes=0-1"))).toBe("ContextMismatch")
    expect(world.kmsOperations()).toEqual([])
    const boundTo = { bucket: Bucket, key: "object" }
    expect(Buffer.compare((await get(s3, "moved", {}, { boundTo })).bytes, body)).toBe(0)
    expect(await read(s3, "moved", "bytes=0-1", { boundTo })).toEqual(body.slice(0, 2))
  })

  const plainCopy = (from: string, Key: string) =>
    world.client().ciphertext.send(new CopyObjectCommand({ Bucket: "other", Key, CopySource: `${Bucket}/${from}` }))

  const byFunction = (_bucket: string, key: string) => ({ name: key })
  const settings: [string, EncryptedS3ClientOptions["objectContext"], string | undefined, SendOptions | undefined][] = [
    ["arn", "arn", "ContextMismatch", { boundTo: { bucket: Bucket, key: "replica" } }],
    ["none", "none", undefined, undefined],
    ["a function of the key", byFunction, undefined, undefined],
  ]
  test.each(settings)("a replica in another bucket, objectContext %s", async (_name, objectContext, code, options) => {
    for (const bucketKey of [undefined, { maxAgeSeconds: 60 }]) {
      const client = world.client({ ...(objectContext && { objectContext }), ...(bucketKey && { bucketKey }) })
      await put(client, "replica", body)
      await plainCopy("replica", "replica")
      const reader = world.client({ ...(objectContext && { objectContext }), ...(bucketKey && { bucketKey }) })
      if (code !== undefined) expect(await codeOf(() => get(reader, "replica", { Bucket: "other" }))).toBe(code)
      // With a bucket key, the bucket of origin is part of what KMS binds.
      const bound = { boundTo: { bucket: Bucket, key: "replica" } }
      const how = options ?? (bucketKey && bound)
      expect(Buffer.compare((await get(reader, "replica", { Bucket: "other" }, how)).bytes, body)).toBe(0)
    }
  })

  test("access points need boundTo, as they hide the object's ARN", async () => {
    const AccessPoint = "arn:aws:s3:us-east-1:111122223333:accesspoint/point"
    await expect(put(s3, "k", "x", { Bucket: AccessPoint })).rejects.toThrow("access point")
    await expect(put(s3, "k", "x", { Bucket: "point-abc-s3alias" })).rejects.toThrow("access point")
  })
})

describe("what is no message (OBJ-9.1, OBJ-9.2)", () => {
  const plain = async (key: string, Body: string | Uint8Array) => {
    const { PutObjectCommand } = await import("@aws-sdk/client-s3")
    await s3.ciphertext.send(new PutObjectCommand({ Bucket, Key: key, Body }))
  }

  test("is refused by default, whole and in ranges, and read in a mixed bucket (OBJ-9.3)", async () => {
    const mixed = world.client({ readFormats: "mixed" })
    for (const [key, text] of [
      ["plain", "plaintext"],
      ["empty", ""],
      ["large", "x".repeat(1_100_000)],
      ["binary", "\u0001\u0002\u0003\u0004"],
    ] as const) {
      await plain(key, text)
      expect(await codeOf(() => get(s3, key))).toBe("NotEncrypted")
      expect(await codeOf(() => read(s3, key, "bytes=0-1"))).toBe("NotEncrypted")
      expect(Buffer.from((await get(mixed, key)).bytes).toString()).toBe(text)
      if (text !== "") expect(await read(mixed, key, "bytes=1-2")).toHaveLength(2)
      else expect((await errorOf(() => read(mixed, key, "bytes=0-"))).name).toBe("InvalidRange")
    }
  })

  test("readFormats leave messages out as well", async () => {
    const other = world.client({ readFormats: ["plaintext"] })
    expect(await codeOf(() => get(other, "object"))).toBe("UnsupportedFormat")
    expect(await codeOf(() => read(other, "object", "bytes=0-1"))).toBe("UnsupportedFormat")
    expect(() => world.client({ readFormats: [] })).toThrow(TypeError)
    expect(() => world.client({ readFormats: ["zip" as never] })).toThrow(TypeError)
  })

  test("messages of other writers are read: large frames, one frame, non-framed suites aside", async () => {
    const encryptionContext = { "aws:s3:arn": "arn:aws:s3:::reports/foreign" }
    for (const frameLength of [4096, 1_000_000]) {
      await plain("foreign", await encrypt(body, { keyring: world.keyring, frameLength, encryptionContext }))
      expect(Buffer.compare((await get(s3, "foreign")).bytes, body)).toBe(0)
      expect(await read(s3, "foreign", "bytes=40000-40009")).toEqual(body.slice(40_000, 40_010))
    }
  })

  test("messages without frames, which some writers make, are read whole and in ranges", async () => {
    const [keyNamespace, keyName, wrappingKey] = ["other", "writer", new Uint8Array(32).fill(4)]
    const keyring = rawAesKeyring({ keyNamespace, keyName, wrappingKey })
    const wrapUnder = [{ namespace: keyNamespace, name: keyName, key: wrappingKey }]
    const options = { objectContext: "none", commitmentPolicy: "RequireEncryptAllowDecrypt" } as const
    const client = world.client({ keyring, ...options })
    for (const size of [5000, 1_200_000]) {
      const { bytes } = writeReference({ suiteId: 0x0178, plaintext: pattern(size), frameLength: 0, wrapUnder })
      await plain("non-framed", bytes)
      expect(Buffer.compare((await get(client, "non-framed")).bytes, pattern(size))).toBe(0)
      expect(await read(client, "non-framed", "bytes=4000-4009")).toEqual(pattern(size).slice(4000, 4010))
    }
  })

  test("a header longer than the first request is fetched", async () => {
    const encryptionContext = { "aws:s3:arn": "arn:aws:s3:::reports/long", text: "x".repeat(6000) }
    await plain("long", await encrypt(body, { keyring: world.keyring, frameLength: FRAME, encryptionContext }))
    expect(await read(s3, "long", "bytes=40000-40009")).toEqual(body.slice(40_000, 40_010))
    await plain("long", await encrypt(pattern(1_200_000), { keyring: world.keyring, encryptionContext }))
    expect((await get(s3, "long")).bytes).toHaveLength(1_200_000)
  })
})
