import { CopyObjectCommand, GetObjectTaggingCommand, PutBucketVersioningCommand } from "@aws-sdk/client-s3"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { rawAesKeyring } from "../../src/index.ts"
import type { EncryptedS3Client } from "../../src/s3/index.ts"
import { codeOf, errorOf } from "../support/errors.ts"
import { pattern } from "../support/keys.ts"
import { Bucket, createS3World, get, put, type S3World } from "./s3-world.ts"

const body = pattern(50_000)
let world: S3World
let s3: EncryptedS3Client
beforeAll(async () => {
  world = await createS3World()
  s3 = world.client()
  await put(s3, "from/ü key", body, { Metadata: { m: "1" }, ContentType: "text/x", Tagging: "a=b&c=d" })
})
afterAll(() => world[Symbol.asyncDispose]())

const CopySource = `${Bucket}/${encodeURIComponent("from/ü key")}`
const copy = (Key: string, input = {}, options = {}) =>
  s3.send(new CopyObjectCommand({ Bucket: "other", Key, CopySource, ...input }), options)

describe("CopyObject (OBJ-2.5)", () => {
  test("binds the copy to its own place, under a data key of its own", async () => {
    world.calls.sent.length = 0
    const { CopyObjectResult } = await copy("to")
    expect(CopyObjectResult!.ETag).toMatch(/^"/)
    expect(world.kmsOperations()).toEqual(["Decrypt", "GenerateDataKey"])
    const { bytes, Metadata, ContentType } = await get(s3, "to", { Bucket: "other" })
    expect(Buffer.compare(bytes, body)).toBe(0)
    expect([Metadata!.m, ContentType]).toEqual(["1", "text/x"])
    const { TagSet } = await s3.send(new GetObjectTaggingCommand({ Bucket: "other", Key: "to" }))
    expect(TagSet).toEqual([
      { Key: "a", Value: "b" },
      { Key: "c", Value: "d" },
    ])
    const to = { bucket: "other", key: "to" }
    expect(await codeOf(() => get(s3, "from/ü key", {}, { boundTo: to }))).toBe("ContextMismatch")
  })

  test("takes other metadata and tags where they are replaced", async () => {
    const directives = { MetadataDirective: "REPLACE", TaggingDirective: "REPLACE" } as const
    await copy("replaced", { ...directives, Metadata: { n: "2" }, ContentType: "text/y", Tagging: "e=f" })
    const { Metadata, ContentType, TagCount } = await get(s3, "replaced", { Bucket: "other" })
    expect([Metadata!.m, Metadata!.n, ContentType, TagCount]).toEqual([undefined, "2", "text/y", 1])
  })

  test("keeps to the conditions of source and target", async () => {
    expect((await errorOf(() => copy("cond", { CopySourceIfMatch: '"0"' }))).name).toBe("PreconditionFailed")
    await copy("cond", { IfNoneMatch: "*" })
    expect((await errorOf(() => copy("cond", { IfNoneMatch: "*" }))).name).toBe("PreconditionFailed")
  })

  test("reads a version, a source that is bound elsewhere, and onto itself", async () => {
    const VersioningConfiguration = { Status: "Enabled" } as const
    await s3.send(new PutBucketVersioningCommand({ Bucket: "other", VersioningConfiguration }))
    const { VersionId } = await put(s3, "v", "first", { Bucket: "other" })
    await put(s3, "v", "second", { Bucket: "other" })
    const restored = await copy("v", { CopySource: `/other/v?versionId=${VersionId}` })
    expect(restored.CopySourceVersionId).toBe(VersionId)
    expect(Buffer.from((await get(s3, "v", { Bucket: "other" })).bytes).toString()).toBe("first")
    world.server.move(Bucket, "from/ü key", "moved")
    expect(await codeOf(() => copy("from-moved", { CopySource: `${Bucket}/moved` }))).toBe("ContextMismatch")
    await copy("from-moved", { CopySource: `${Bucket}/moved` }, { boundTo: { bucket: Bucket, key: "from/ü key" } })
    expect((await get(s3, "from-moved", { Bucket: "other" })).bytes).toHaveLength(body.length)
  })

  test("of customer-provided keys needs the source's and the target's", async () => {
    const [one, two] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)]
    await put(s3, "customer", "secret", {}, { encryption: { customerKey: one } })
    const input = { CopySource: `${Bucket}/customer` }
    expect(await codeOf(() => copy("c", input))).toBe("NoMatchingKey")
    await copy("c", input, { copySourceEncryption: { customerKey: one }, encryption: { customerKey: two } })
    const read = await get(s3, "c", { Bucket: "other" }, { encryption: { customerKey: two } })
    expect(Buffer.from(read.bytes).toString()).toBe("secret")
    await copy("kms", input, { copySourceEncryption: { customerKey: one } })
    expect((await get(s3, "kms", { Bucket: "other" })).bytes).toHaveLength(6)
  })

  test("moves an object to another keyring", async () => {
    const keyring = rawAesKeyring({ keyNamespace: "n", keyName: "k", wrappingKey: new Uint8Array(32) })
    await copy("raw", {}, { encryption: { keyring } })
    expect(await codeOf(() => get(s3, "raw", { Bucket: "other" }))).toBe("NoMatchingKey")
    expect((await get(world.client({ keyring }), "raw", { Bucket: "other" })).bytes).toHaveLength(body.length)
  })

  test.each(["", "bucket", "bucket/", "/bucket", "arn:aws:s3:us-east-1:1:accesspoint/a/object/k"])(
    "refuses the source %j",
    async (source) => {
      await expect(copy("x", { CopySource: source })).rejects.toThrow(TypeError)
    },
  )

  test("of what is tampered writes nothing", async () => {
    await put(s3, "bad", pattern(1_300_000))
    await world.server.tamper(Bucket, "bad", (bytes) => bytes.fill(bytes.at(-1)! ^ 1, -1))
    expect(await codeOf(() => copy("never", { CopySource: `${Bucket}/bad` }))).toBe("TamperedMessage")
    expect((await errorOf(() => get(s3, "never", { Bucket: "other" }))).name).toBe("NoSuchKey")
    expect(world.server.unfinished("other")).toEqual([])
  })
})
