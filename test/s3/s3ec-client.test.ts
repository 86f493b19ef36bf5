import { Readable } from "node:stream"
import { CopyObjectCommand, DeleteObjectCommand, DeleteObjectsCommand, HeadObjectCommand } from "@aws-sdk/client-s3"
import { Upload } from "@aws-sdk/lib-storage"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import {
  type EncryptedS3Client,
  type EncryptedS3ClientOptions,
  envelopeOf,
  s3ecAesKey,
  s3ecKmsKey,
  sesMail,
} from "../../src/s3/index.ts"
import { codeOf, errorOf } from "../support/errors.ts"
import { pattern } from "../support/keys.ts"
import { Bucket, createS3World, get, put, read, type S3World } from "./s3-world.ts"

let world: S3World
let s3: EncryptedS3Client
beforeAll(async () => {
  world = await createS3World()
  s3 = client()
})
afterAll(() => world[Symbol.asyncDispose]())

const kmsKey = () => s3ecKmsKey({ client: world.calls, keyId: world.keyArn })
const client = (
  options: Partial<EncryptedS3ClientOptions["s3ec"]> = {},
  more: Partial<EncryptedS3ClientOptions> = {},
) => world.client({ format: "s3ec", s3ec: { key: kmsKey(), ...options }, ...more })
const metadata = (key: string) => world.server.stored(Bucket, key).metadata
const same = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b) === 0

describe("objects of the S3 Encryption Client, behind the SDK's commands", () => {
  test.each([0, 1, 1024, 20_000, 100_000, 1_200_000])("%i bytes in format V3", async (size) => {
    await put(s3, "v3", pattern(size), { Metadata: { mine: "1" } })
    expect(metadata("v3")).toMatchObject({ "x-amz-c": "115", "x-amz-w": "12", mine: "1" })
    expect(world.server.stored(Bucket, "v3").content.size).toBe(size + 16)
    const { bytes, ContentLength } = await get(s3, "v3")
    expect([same(bytes, pattern(size)), ContentLength]).toEqual([true, size])
    const head = await s3.send(new HeadObjectCommand({ Bucket, Key: "v3" }))
    expect([head.ContentLength, envelopeOf(head)?.format]).toEqual([size, "s3ec"])
  })

  test("a client of messages reads them, and the other way round; V2 needs the policy", async () => {
    await put(s3, "both", "x")
    const reader = world.client({ s3ec: { key: kmsKey() } })
    expect((await get(reader, "both")).bytes).toHaveLength(1)
    await put(reader, "both", "xy")
    expect((await get(s3, "both")).bytes).toHaveLength(2)
    const v2 = client({ commitmentPolicy: "ForbidEncryptAllowDecrypt" })
    await put(v2, "v2", pattern(50_000))
    expect(metadata("v2")["x-amz-cek-alg"]).toBe("AES/GCM/NoPadding")
    expect(same((await get(v2, "v2")).bytes, pattern(50_000))).toBe(true)
    expect(await codeOf(() => get(s3, "v2"))).toBe("UnsupportedFormat")
    expect(await codeOf(() => get(client({}, { readFormats: ["s3ec-v2"] }), "v2"))).toBe("CommitmentPolicy")
  })

  test("without the option s3ec they are refused", async () => {
    await put(s3, "only-s3ec", "x")
    const error = await errorOf(() => get(world.client(), "only-s3ec"))
    expect(error).toMatchObject({ code: "UnsupportedFormat", message: expect.stringContaining("option s3ec") })
    expect(
      await codeOf(() => get(world.client({ readFormats: ["message"], s3ec: { key: kmsKey() } }), "only-s3ec")),
    ).toBe("UnsupportedFormat")
    expect(() => world.client({ format: "s3ec" })).toThrow("option s3ec")
    expect(() => world.client({ format: "zip" as never })).toThrow(TypeError)
  })

  test("streams, parallel parts of one cipher stream, and lib-storage's Upload", async () => {
    await put(s3, "stream", Readable.from([pattern(30_000), pattern(30_001)]))
    expect((await get(s3, "stream")).bytes).toHaveLength(60_001)
    const big = pattern(11_000_000)
    await new Upload({ client: s3, params: { Bucket, Key: "upload", Body: big } }).done()
    const reader = client({ bufferSize: 11_000_000 })
    expect(same((await get(reader, "upload")).bytes, big)).toBe(true)
    expect(await codeOf(() => get(client({ bufferSize: 1_000_000 }), "upload"))).toBe("LimitExceeded")
    const delayed = client({ delayedAuthentication: true })
    expect(same((await get(delayed, "upload")).bytes, big)).toBe(true)
  })

  test("a KMS Decrypt for each read, with the context and no place in it", async () => {
    await put(s3, "ctx", "x", {}, { encryptionContext: { tenant: "42" } })
    world.calls.sent.length = 0
    await get(s3, "ctx", {}, { encryptionContext: { tenant: "42" } })
    expect(world.kmsOperations()).toEqual(["Decrypt"])
    const { EncryptionContext, KeyId } = world.calls.sent[0]!.input
    expect([EncryptionContext.tenant, EncryptionContext["aws:s3:arn"], KeyId]).toEqual(["42", undefined, world.keyArn])
    expect(await codeOf(() => get(s3, "ctx", {}, { encryptionContext: { tenant: "43" } }))).toBe("ContextMismatch")
    world.server.move(Bucket, "ctx", "ctx-moved")
    expect((await get(s3, "ctx-moved", {}, { encryptionContext: { tenant: "42" } })).bytes).toHaveLength(1)
  })

  test("bound to their place where asked for, they are refused elsewhere", async () => {
    const bound = client({}, { objectContext: "arn" })
    await put(bound, "bound", "x")
    world.server.move(Bucket, "bound", "bound-moved")
    expect(await codeOf(() => get(bound, "bound-moved"))).toBe("ContextMismatch")
    const boundTo = { bucket: Bucket, key: "bound" }
    expect((await get(bound, "bound-moved", {}, { boundTo })).bytes).toHaveLength(1)
  })

  test("edited metadata is refused, and what is flipped or cut", async () => {
    await put(s3, "edited", pattern(5000))
    const { metadata: original } = world.server.stored(Bucket, "edited")
    world.server.edit(Bucket, "edited", () => ({ metadata: { ...original, "x-amz-d": original["x-amz-i"]! } }))
    expect(await codeOf(() => get(s3, "edited"))).toBe("TamperedMessage")
    world.server.edit(Bucket, "edited", () => ({ metadata: original }))
    await world.server.tamper(Bucket, "edited", (bytes) => bytes.fill(bytes[9]! ^ 1, 9, 10))
    expect(await codeOf(() => get(s3, "edited"))).toBe("TamperedMessage")
    await put(s3, "cut", pattern(5000))
    await world.server.tamper(Bucket, "cut", (bytes) => bytes.slice(0, 10))
    expect(await codeOf(() => get(s3, "cut"))).toBe("TruncatedMessage")
  })

  test("ranges are read by an option that names the risk only (OBJ-9.4)", async () => {
    await put(s3, "range", pattern(50_000))
    expect(await codeOf(() => read(s3, "range", "bytes=0-9"))).toBe("UnsupportedFormat")
    const risky = client({ unauthenticatedRanges: true })
    const ranges = {
      "bytes=0-9": [0, 10],
      "bytes=12345-23456": [12_345, 23_457],
      "bytes=-7": [49_993, 50_000],
    } as const
    for (const [Range, [start, end]] of Object.entries(ranges)) {
      const { bytes, ContentRange, output } = await get(risky, "range", { Range })
      expect(same(bytes, pattern(50_000).subarray(start, end))).toBe(true)
      expect(ContentRange).toBe(`bytes ${start}-${end - 1}/50000`)
      expect(envelopeOf(output)?.authenticated).toBe(false)
    }
    expect((await errorOf(() => read(risky, "range", "bytes=50000-"))).name).toBe("InvalidRange")
  })

  test("instruction files go with the object: written after it, read, deleted", async () => {
    const files = client({ instructionFile: true })
    for (const body of [pattern(10), pattern(50_000)]) {
      await put(files, "file", body)
      expect(metadata("file")).not.toHaveProperty("x-amz-3")
      expect(metadata("file.instruction")).toEqual({ "x-amz-crypto-instr-file": "" })
      expect(same((await get(files, "file")).bytes, body)).toBe(true)
    }
    expect((await files.send(new HeadObjectCommand({ Bucket, Key: "file" }))).ContentLength).toBe(50_000)
    expect((await errorOf(() => put(files, "file", "x", { IfNoneMatch: "*" }))).name).toBe("PreconditionFailed")
    expect((await get(files, "file")).bytes).toHaveLength(50_000)
    await files.send(new DeleteObjectCommand({ Bucket, Key: "file" }))
    expect(() => world.server.stored(Bucket, "file.instruction")).toThrow()
    await put(files, "file2", "x")
    await files.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects: [{ Key: "file2" }] } }))
    expect(() => world.server.stored(Bucket, "file2.instruction")).toThrow()
    const old = client({ instructionFile: true, commitmentPolicy: "ForbidEncryptAllowDecrypt" })
    await put(old, "old", pattern(100))
    expect(metadata("old")).toEqual({})
    expect((await get(old, "old")).bytes).toHaveLength(100)
  })

  test("raw keys, and one line for mail of Amazon SES", async () => {
    const key = s3ecAesKey({ wrappingKey: new Uint8Array(32).fill(5) })
    const raw = client({ key })
    await put(raw, "raw", pattern(100))
    expect((await get(raw, "raw")).bytes).toHaveLength(100)
    await expect(put(raw, "raw", "x", {}, { encryptionContext: { a: "b" } })).rejects.toThrow(TypeError)
    const mail = world.client({ s3ec: sesMail(kmsKey()) })
    await put(client({ commitmentPolicy: "ForbidEncryptAllowDecrypt" }), "mail", "mail")
    expect((await get(mail, "mail")).bytes).toHaveLength(4)
  })

  test("choices of encryption are for messages, off aside", async () => {
    const encryption = { customerKey: new Uint8Array(32) }
    await expect(put(s3, "x", "x", {}, { encryption })).rejects.toThrow("format message")
    const open = client({}, { allowUnencrypted: true, readFormats: "mixed" })
    await put(open, "open", "open", {}, { encryption: { off: true } })
    expect(Buffer.from((await get(open, "open")).bytes).toString()).toBe("open")
  })

  test("per call, the format can be the other one", async () => {
    const messages = world.client({ s3ec: { key: kmsKey() } })
    await put(messages, "per-call", "x", {}, { format: "s3ec" })
    expect(metadata("per-call")["x-amz-c"]).toBe("115")
    await put(s3, "per-call", "x", {}, { format: "message" })
    expect(metadata("per-call")["envelope-format"]).toBe("message")
  })
})

describe("copies of objects of the S3 Encryption Client (OBJ-2.7)", () => {
  const copy = (from: string, Key: string, input = {}, through = s3) =>
    through.send(new CopyObjectCommand({ Bucket: "other", Key, CopySource: `${Bucket}/${from}`, ...input }))

  test("stay within S3 where they bind nothing, with the envelope kept", async () => {
    await put(s3, "source", pattern(50_000), { Metadata: { mine: "1" } })
    for (const input of [{}, { MetadataDirective: "REPLACE", Metadata: { other: "2" } }] as const) {
      world.server.forget()
      world.calls.sent.length = 0
      await copy("source", "copy", input)
      expect(world.server.log.map(({ operation }) => operation)).toEqual(["HeadObject", "CopyObject"])
      expect(world.calls.sent).toEqual([])
      const { bytes, Metadata } = await get(s3, "copy", { Bucket: "other" })
      expect(same(bytes, pattern(50_000))).toBe(true)
      expect(Metadata).toMatchObject("Metadata" in input ? { other: "2" } : { mine: "1" })
    }
  })

  test("that bind their place are wrapped anew by KMS, without being read", async () => {
    const bound = client({}, { objectContext: "arn" })
    const described = { Metadata: { mine: "1" }, ContentType: "text/x", Tagging: "a=b" }
    await put(bound, "bound", pattern(50_000), described)
    world.server.forget()
    world.calls.sent.length = 0
    await copy("bound", "bound", {}, bound)
    expect(world.server.log.map(({ operation }) => operation)).toEqual(["HeadObject", "CopyObject"])
    expect(world.kmsOperations()).toEqual(["ReEncrypt"])
    const { DestinationEncryptionContext } = world.calls.sent[0]!.input
    expect(DestinationEncryptionContext["aws:s3:arn"]).toBe("arn:aws:s3:::other/bound")
    const { bytes, Metadata, ContentType, TagCount } = await get(bound, "bound", { Bucket: "other" })
    expect(same(bytes, pattern(50_000))).toBe(true)
    expect([Metadata!.mine, ContentType, TagCount]).toEqual(["1", "text/x", 1])
    world.server.move(Bucket, "bound", "bound-away")
    expect(await codeOf(() => copy("bound-away", "x", {}, bound))).toBe("ContextMismatch")
    const stale = await errorOf(() => copy("bound", "x", { CopySourceIfMatch: '"0"' }, bound))
    expect(stale).toMatchObject({ $metadata: { httpStatusCode: 412 } })
  })

  test("are written again where KMS cannot wrap them anew, or of another format", async () => {
    const key = s3ecAesKey({ wrappingKey: new Uint8Array(32).fill(5) })
    const files = client({ key, instructionFile: true })
    await put(files, "file", pattern(50_000))
    await copy("file", "file", {}, files)
    expect((await get(files, "file", { Bucket: "other" })).bytes).toHaveLength(50_000)
    const messages = world.client({ s3ec: { key: kmsKey() } })
    await put(s3, "to-message", pattern(50_000), { Metadata: { mine: "1" } })
    await copy("to-message", "message", {}, messages)
    const { Metadata, bytes } = await get(messages, "message", { Bucket: "other" })
    expect([Metadata!.mine, Metadata!["x-amz-c"], Metadata!["envelope-format"]]).toEqual(["1", undefined, "message"])
    expect(bytes).toHaveLength(50_000)
    await put(messages, "to-s3ec", "x")
    await copy("to-s3ec", "s3ec")
    expect(world.server.stored("other", "s3ec").metadata["x-amz-c"]).toBe("115")
    expect((await get(s3, "s3ec", { Bucket: "other" })).bytes).toHaveLength(1)
  })
})
