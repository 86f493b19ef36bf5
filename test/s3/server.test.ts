import { Readable } from "node:stream"
import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  ListPartsCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  paginateListObjectsV2,
  type S3Client,
  UploadPartCommand,
} from "@aws-sdk/client-s3"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { errorOf } from "../support/errors.ts"
import { pattern } from "../support/keys.ts"
import { type S3Server, startS3Server } from "../support/s3-server/index.ts"

const Bucket = "plain"
let server: S3Server
let s3: S3Client
beforeAll(async () => {
  server = await startS3Server({ buckets: [Bucket, "versions"] })
  s3 = server.client()
})
afterAll(() => server.close())

const put = (Key: string, Body: string | Uint8Array | Readable, more = {}) =>
  s3.send(new PutObjectCommand({ Bucket, Key, Body, ...more }))
const get = async (Key: string, more = {}) => {
  const output = await s3.send(new GetObjectCommand({ Bucket, Key, ...more }))
  return { ...output, bytes: await output.Body!.transformToByteArray() }
}

describe("the S3 server of the tests, through the AWS SDK's own client", () => {
  test("keeps bytes, metadata, headers, tags and SSE headers", async () => {
    const more = { Metadata: { one: "1", empty: "" }, ContentType: "text/x", Tagging: "a=b", CacheControl: "no-store" }
    const stored = await put("a/ü &+%", "hello", { ...more, ServerSideEncryption: "aws:kms", SSEKMSKeyId: "k" })
    expect(stored).toMatchObject({ ServerSideEncryption: "aws:kms", SSEKMSKeyId: "k" })
    const { bytes, ...output } = await get("a/ü &+%")
    expect(Buffer.from(bytes).toString()).toBe("hello")
    expect(output).toMatchObject({ Metadata: more.Metadata, ContentType: "text/x", CacheControl: "no-store" })
    expect(output).toMatchObject({ ETag: '"5d41402abc4b2a76b9719d911017c592"', ContentLength: 5, TagCount: 1 })
    const { TagSet } = await s3.send(new GetObjectTaggingCommand({ Bucket, Key: "a/ü &+%" }))
    expect(TagSet).toEqual([{ Key: "a", Value: "b" }])
  })

  test("takes the framing off streams and checks what the trailer says", async () => {
    const body = pattern(300_000)
    await put("stream", Readable.from([body]), { ContentLength: body.length })
    expect((await get("stream")).bytes).toEqual(body)
    expect(server.log.find(({ key }) => key === "stream")!.headers["content-encoding"]).toContain("aws-chunked")
    expect((await errorOf(() => put("bad", "x", { ContentMD5: "CY9rzUYh03PK3k6DJie09g==" }))).name).toBe("BadDigest")
    expect((await errorOf(() => put("bad", "x", { ChecksumCRC32: "AAAAAA==" }))).name).toBe("BadDigest")
    expect((await errorOf(() => get("bad"))).name).toBe("NoSuchKey")
  })

  test.each([
    ["bytes=0-3", 0, 4],
    ["bytes=7-", 7, 10],
    ["bytes=-3", 7, 10],
    ["bytes=-30", 0, 10],
    ["bytes=8-99", 8, 10],
  ])("answers the range %s", async (Range, start, end) => {
    await put("range", pattern(10))
    const { bytes, ContentRange, $metadata } = await get("range", { Range })
    expect(bytes).toEqual(pattern(10).slice(start, end))
    expect([ContentRange, $metadata.httpStatusCode]).toEqual([`bytes ${start}-${end - 1}/10`, 206])
  })

  test("refuses ranges beyond the end, and unmet conditions", async () => {
    await put("there", "x")
    const failures = [
      () => get("there", { Range: "bytes=1-" }),
      () => get("there", { IfMatch: '"other"' }),
      () => put("there", "y", { IfNoneMatch: "*" }),
      () => put("there", "y", { IfMatch: '"other"' }),
      () => get("nowhere"),
      () => put("big", "x", { Metadata: { a: "x".repeat(2100) } }),
    ]
    const errors = await Promise.all(failures.map(errorOf))
    expect(errors.map(({ name }) => name)).toEqual([
      "InvalidRange",
      "PreconditionFailed",
      "PreconditionFailed",
      "PreconditionFailed",
      "NoSuchKey",
      "MetadataTooLarge",
    ])
  })

  test("holds multipart uploads to S3's rules", async () => {
    const Key = "parts"
    const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key, Metadata: { m: "1" } }))
    const part = async (PartNumber: number, Body: Uint8Array) => ({
      PartNumber,
      ETag: (await s3.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber, Body }))).ETag!,
    })
    const complete = (Parts: { PartNumber: number; ETag: string }[]) =>
      s3.send(new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts } }))
    const large = pattern(5 * 1024 * 1024)
    const two = await part(2, pattern(10))
    const small = await part(1, pattern(10))
    expect((await errorOf(() => complete([small, two]))).name).toBe("EntityTooSmall")
    const one = await part(1, large)
    expect((await errorOf(() => complete([two, one]))).name).toBe("InvalidPartOrder")
    expect((await errorOf(() => complete([small, two]))).name).toBe("InvalidPart")
    const { Parts } = await s3.send(new ListPartsCommand({ Bucket, Key, UploadId }))
    expect(Parts!.map(({ PartNumber, Size }) => [PartNumber, Size])).toEqual([
      [1, large.length],
      [2, 10],
    ])
    expect((await complete([one, two])).ETag).toMatch(/-2"$/)
    expect(await get(Key)).toMatchObject({ ContentLength: large.length + 10, Metadata: { m: "1" } })
    expect((await errorOf(() => complete([one, two]))).name).toBe("NoSuchUpload")
  })

  test("lists in pages, with prefixes", async () => {
    for (const name of ["l/a", "l/b/1", "l/b/2", "l/c", "l/d"]) await put(name, "x")
    const pages = []
    const config = { client: s3, pageSize: 2 }
    for await (const page of paginateListObjectsV2(config, { Bucket, Prefix: "l/", Delimiter: "/" })) pages.push(page)
    expect(
      pages.map(({ Contents = [], CommonPrefixes = [] }) => [Contents.map(({ Key }) => Key), CommonPrefixes]),
    ).toEqual([
      [["l/a"], [{ Prefix: "l/b/" }]],
      [["l/c", "l/d"], []],
    ])
  })

  test("keeps versions, copies and deletes", async () => {
    const target = { Bucket: "versions", Key: "v" }
    const VersioningConfiguration = { Status: "Enabled" } as const
    await s3.send(new PutBucketVersioningCommand({ Bucket: "versions", VersioningConfiguration }))
    const first = await s3.send(new PutObjectCommand({ ...target, Body: "one", Metadata: { n: "1" } }))
    await s3.send(new PutObjectCommand({ ...target, Body: "two" }))
    const CopySource = `versions/v?versionId=${first.VersionId}`
    await s3.send(new CopyObjectCommand({ Bucket, Key: "copy", CopySource, CopySourceIfMatch: first.ETag }))
    expect(await get("copy")).toMatchObject({ Metadata: { n: "1" }, ETag: first.ETag })
    expect(await s3.send(new DeleteObjectCommand(target))).toMatchObject({ DeleteMarker: true })
    expect((await errorOf(() => s3.send(new HeadObjectCommand(target)))).name).toBe("NotFound")
    const old = await s3.send(new GetObjectCommand({ ...target, VersionId: first.VersionId! }))
    expect(await old.Body!.transformToString()).toBe("one")
    const Objects = [{ Key: "copy" }, { Key: "nowhere" }]
    const { Deleted } = await s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }))
    expect(Deleted!.map(({ Key }) => Key)).toEqual(["copy", "nowhere"])
  })

  test("asks for SSE-C keys again, and for credentials", async () => {
    const key = { SSECustomerAlgorithm: "AES256", SSECustomerKey: "k".repeat(32) }
    await put("ssec", "x", key)
    expect((await get("ssec", key)).bytes.length).toBe(1)
    expect((await errorOf(() => get("ssec"))).name).toBe("InvalidRequest")
    const stranger = server.client({ credentials: { accessKeyId: "OTHER", secretAccessKey: "x" } })
    const command = new GetObjectCommand({ Bucket, Key: "range" })
    expect((await errorOf(() => stranger.send(command))).name).toBe("AccessDenied")
  })

  test("makes trouble when told to, and the SDK retries", async () => {
    await put("trouble", "x")
    const troubles = ["drop", { status: 503, code: "SlowDown" }]
    server.intervene = ({ key }) => (key === "trouble" ? troubles.shift() : undefined)
    expect((await get("trouble")).bytes.length).toBe(1)
    server.intervene = undefined
    expect(server.log.filter(({ key }) => key === "trouble").length).toBe(4)
  })
})

test("contents can be kept in files", async () => {
  const { mkdtemp, rm } = await import("node:fs/promises")
  const { tmpdir } = await import("node:os")
  const folder = await mkdtemp(`${tmpdir()}/kms-envelope-s3-`)
  await using files = await startS3Server({ folder, buckets: ["files"] })
  const client = files.client()
  const body = pattern(700_000)
  await client.send(new PutObjectCommand({ Bucket: "files", Key: "k", Body: body }))
  const { Body } = await client.send(new GetObjectCommand({ Bucket: "files", Key: "k", Range: "bytes=5-600000" }))
  expect(await Body!.transformToByteArray()).toEqual(body.slice(5, 600_001))
  await rm(folder, { recursive: true })
})
