import { randomUUID } from "node:crypto"
import { Readable } from "node:stream"
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectVersionsCommand,
  ListPartsCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  type PutObjectCommandInput,
  paginateListObjectsV2,
  type S3Client,
  UploadPartCommand,
  UploadPartCopyCommand,
} from "@aws-sdk/client-s3"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { errorOf } from "../support/errors.ts"
import { pattern } from "../support/keys.ts"

export interface ContractServer {
  readonly client: S3Client
  close(): Promise<void>
}

/** What the S3 model relies on. A server that does otherwise by design is named where it is started, with the reason. */
export type Promised =
  | "refuses If-None-Match of a write where the object exists"
  | "refuses If-Match of a write where the object changed"
  | "holds multipart uploads to If-Match and If-None-Match"
  | "copies parts"
  | "keeps versions"
  | "lists unfinished uploads"
  | "says of an upload that is over that there is none"
  | "refuses CopySourceIfMatch of a copy where the source changed"

const MIB = 1024 * 1024

/** One suite for the small server of the tests and for real ones: what the small one does must be what S3 does. */
export function s3Contract(
  name: string,
  start: () => Promise<ContractServer>,
  unlike: Partial<Record<Promised, string>> = {},
): void {
  describe(`S3 by ${name}`, () => {
    const Bucket = `contract-${randomUUID().slice(0, 8)}`
    const versioned = `${Bucket}-versions`
    let server: ContractServer
    let s3: S3Client
    beforeAll(async () => {
      server = await start()
      s3 = server.client
      await s3.send(new CreateBucketCommand({ Bucket }))
    })
    afterAll(() => server?.close())

    const promised = (what: Promised, work: () => Promise<void>): void => {
      const reason = unlike[what]
      test.skipIf(reason !== undefined)(reason === undefined ? what : `${what} (${reason})`, work)
    }
    const put = (Key: string, Body: NonNullable<PutObjectCommandInput["Body"]>, more = {}) =>
      s3.send(new PutObjectCommand({ Bucket, Key, Body, ...more }))
    const get = async (Key: string, more = {}) => {
      const output = await s3.send(new GetObjectCommand({ Bucket, Key, ...more }))
      return { ...output, bytes: await output.Body!.transformToByteArray() }
    }
    const begin = async (Key: string, more = {}) =>
      (await s3.send(new CreateMultipartUploadCommand({ Bucket, Key, ...more }))).UploadId!
    const part = async (Key: string, UploadId: string, PartNumber: number, Body: Uint8Array) => {
      const { ETag } = await s3.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber, Body }))
      return { PartNumber, ETag: ETag! }
    }
    const complete = (Key: string, UploadId: string, Parts: { PartNumber: number; ETag: string }[], more = {}) =>
      s3.send(new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts }, ...more }))

    test("keeps bytes, metadata and headers", async () => {
      const Metadata = { plain: "1", json: '{"aws:x-amz-cek-alg": "115"}', base64: "a+b/c==" }
      const headers = { ContentType: "text/x", CacheControl: "no-store", ContentDisposition: "inline" }
      const body = pattern(70_000)
      const { ETag } = await put("a/b c+&%", body, { Metadata, ...headers })
      const { bytes, ...output } = await get("a/b c+&%")
      expect(Buffer.compare(bytes, body)).toBe(0)
      expect(output).toMatchObject({ Metadata, ETag, ContentLength: body.length, ...headers })
      const { Metadata: again, ContentLength } = await s3.send(new HeadObjectCommand({ Bucket, Key: "a/b c+&%" }))
      expect([again, ContentLength]).toEqual([Metadata, body.length])
      await put("empty", "")
      expect((await get("empty")).bytes.length).toBe(0)
    })

    // S3 refuses chunks of less than 8 KiB before the last, and the SDK makes one of each piece of a stream.
    test("takes a stream of known length for what it is", async () => {
      const body = pattern(300_000)
      const pieces = [body.subarray(0, 8192), body.subarray(8192)]
      await put("stream", Readable.from(pieces), { ContentLength: body.length })
      expect(Buffer.compare((await get("stream")).bytes, body)).toBe(0)
    })

    test.each([
      ["bytes=0-3", 0, 4],
      ["bytes=7-", 7, 10],
      ["bytes=-3", 7, 10],
      ["bytes=8-99", 8, 10],
    ])("answers the range %s", async (Range, start, end) => {
      await put("range", pattern(10))
      const { bytes, ContentRange, $metadata } = await get("range", { Range })
      expect(bytes).toEqual(pattern(10).slice(start, end))
      expect([ContentRange, $metadata.httpStatusCode]).toEqual([`bytes ${start}-${end - 1}/10`, 206])
    })

    test("refuses ranges beyond the end, reads on a condition that is not met, and what is not there", async () => {
      await put("there", "x")
      const failures = [
        () => get("there", { Range: "bytes=1-" }),
        () => get("there", { IfMatch: '"0123456789abcdef0123456789abcdef"' }),
        () => get("nowhere"),
      ]
      const errors = await Promise.all(failures.map(errorOf))
      expect(errors.map((error) => [error.name, statusOf(error)])).toEqual([
        ["InvalidRange", 416],
        ["PreconditionFailed", 412],
        ["NoSuchKey", 404],
      ])
    })

    promised("refuses If-None-Match of a write where the object exists", async () => {
      await put("once", "first", { IfNoneMatch: "*" })
      expect(statusOf(await errorOf(() => put("once", "second", { IfNoneMatch: "*" })))).toBe(412)
      expect((await get("once")).bytes).toEqual(new Uint8Array(Buffer.from("first")))
    })

    promised("refuses If-Match of a write where the object changed", async () => {
      const { ETag } = await put("cas", "first")
      await put("cas", "second", { IfMatch: ETag })
      expect(statusOf(await errorOf(() => put("cas", "third", { IfMatch: ETag })))).toBe(412)
      expect((await get("cas")).bytes).toEqual(new Uint8Array(Buffer.from("second")))
    })

    test("puts parts together, whatever order they come in, and lists them", async () => {
      const Key = "parts"
      const UploadId = await begin(Key, { Metadata: { m: "1" }, ContentType: "text/x" })
      const whole = pattern(5 * MIB + 10)
      const two = await part(Key, UploadId, 2, whole.subarray(5 * MIB))
      expect((await errorOf(() => get(Key))).name).toBe("NoSuchKey")
      const one = await part(Key, UploadId, 1, whole.subarray(0, 5 * MIB))
      const { Parts } = await s3.send(new ListPartsCommand({ Bucket, Key, UploadId }))
      expect(Parts!.map(({ PartNumber, Size, ETag }) => [PartNumber, Size, ETag])).toEqual([
        [1, 5 * MIB, one.ETag],
        [2, 10, two.ETag],
      ])
      expect((await complete(Key, UploadId, [one, two])).ETag).toMatch(/-2"$/)
      const { bytes, ...output } = await get(Key)
      expect(Buffer.compare(bytes, whole)).toBe(0)
      expect(output).toMatchObject({ Metadata: { m: "1" }, ContentType: "text/x" })
    })

    test("refuses small parts before the last, and wrong ETags", async () => {
      const Key = "bad-parts"
      const UploadId = await begin(Key)
      const one = await part(Key, UploadId, 1, pattern(10))
      const two = await part(Key, UploadId, 2, pattern(20))
      expect((await errorOf(() => complete(Key, UploadId, [one, two]))).name).toBe("EntityTooSmall")
      expect((await errorOf(() => complete(Key, UploadId, [{ ...one, ETag: two.ETag }]))).name).toBe("InvalidPart")
      await s3.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }))
      expect((await errorOf(() => get(Key))).name).toBe("NoSuchKey")
    })

    promised("says of an upload that is over that there is none", async () => {
      const UploadId = await begin("over")
      await s3.send(new AbortMultipartUploadCommand({ Bucket, Key: "over", UploadId }))
      expect((await errorOf(() => part("over", UploadId, 1, pattern(10)))).name).toBe("NoSuchUpload")
    })

    promised("holds multipart uploads to If-Match and If-None-Match", async () => {
      const Key = "cas-parts"
      const { ETag } = await put(Key, "before")
      const upload = async (conditions: object) => {
        const UploadId = await begin(Key)
        return complete(Key, UploadId, [await part(Key, UploadId, 1, pattern(100))], conditions)
      }
      expect(statusOf(await errorOf(() => upload({ IfNoneMatch: "*" })))).toBe(412)
      await upload({ IfMatch: ETag })
      expect(statusOf(await errorOf(() => upload({ IfMatch: ETag })))).toBe(412)
      expect((await get(Key)).bytes).toEqual(pattern(100))
    })

    promised("lists unfinished uploads", async () => {
      const UploadId = await begin("unfinished/1")
      const listed = await s3.send(new ListMultipartUploadsCommand({ Bucket, Prefix: "unfinished/" }))
      expect(listed.Uploads?.map((upload) => [upload.Key, upload.UploadId])).toEqual([["unfinished/1", UploadId]])
      expect(listed.Uploads![0]!.Initiated).toBeInstanceOf(Date)
    })

    const copyOntoItself = (Key: string, CopySourceIfMatch: string) =>
      s3.send(
        new CopyObjectCommand({
          Bucket,
          Key,
          CopySource: `${Bucket}/${Key}`,
          CopySourceIfMatch,
          MetadataDirective: "REPLACE",
          Metadata: { new: "2" },
          ContentType: "text/x",
        }),
      )

    test("copies onto itself with other metadata, and keeps bytes and tags", async () => {
      const Key = "copied"
      const { ETag } = await put(Key, pattern(1000), { Metadata: { old: "1" }, Tagging: "a=b" })
      await copyOntoItself(Key, ETag!)
      const { bytes, Metadata, ContentType } = await get(Key)
      expect([bytes, Metadata, ContentType]).toEqual([pattern(1000), { new: "2" }, "text/x"])
      const { TagSet } = await s3.send(new GetObjectTaggingCommand({ Bucket, Key }))
      expect(TagSet).toEqual([{ Key: "a", Value: "b" }])
    })

    promised("refuses CopySourceIfMatch of a copy where the source changed", async () => {
      const { ETag } = await put("changed", "before")
      await put("changed", "after")
      expect(statusOf(await errorOf(() => copyOntoItself("changed", ETag!)))).toBe(412)
      expect((await get("changed")).Metadata).toEqual({})
    })

    promised("copies parts", async () => {
      const whole = pattern(5 * MIB + 10)
      await put("part-source", whole)
      const UploadId = await begin("part-copy")
      const copyPart = async (PartNumber: number, CopySourceRange: string) => {
        const CopySource = `${Bucket}/part-source`
        const target = { Bucket, Key: "part-copy", UploadId, PartNumber }
        const { CopyPartResult } = await s3.send(new UploadPartCopyCommand({ ...target, CopySource, CopySourceRange }))
        return { PartNumber, ETag: CopyPartResult!.ETag! }
      }
      const two = await copyPart(2, `bytes=${5 * MIB}-${5 * MIB + 9}`)
      const one = await copyPart(1, `bytes=0-${5 * MIB - 1}`)
      await complete("part-copy", UploadId, [one, two])
      expect(Buffer.compare((await get("part-copy")).bytes, whole)).toBe(0)
    })

    test("lists in the order of keys, in pages, with prefixes, and after a key", async () => {
      for (const key of ["l/a", "l/b/1", "l/b/2", "l/c", "l/d"]) await put(key, "x")
      const list = async (more: object) => {
        const found: string[] = []
        for await (const page of paginateListObjectsV2(
          { client: s3, pageSize: 2 },
          { Bucket, Prefix: "l/", ...more },
        )) {
          found.push(...(page.Contents ?? []).map(({ Key }) => Key!))
          found.push(...(page.CommonPrefixes ?? []).map(({ Prefix }) => Prefix!))
        }
        return found.sort()
      }
      expect(await list({})).toEqual(["l/a", "l/b/1", "l/b/2", "l/c", "l/d"])
      expect(await list({ Delimiter: "/" })).toEqual(["l/a", "l/b/", "l/c", "l/d"])
      expect(await list({ StartAfter: "l/b/1" })).toEqual(["l/b/2", "l/c", "l/d"])
    })

    test("deletes one and several, and does not mind what is not there", async () => {
      for (const key of ["d/1", "d/2", "d/3"]) await put(key, "x")
      await s3.send(new DeleteObjectCommand({ Bucket, Key: "d/1" }))
      await s3.send(new DeleteObjectCommand({ Bucket, Key: "d/nowhere" }))
      const Objects = [{ Key: "d/2" }, { Key: "d/3" }]
      const { Errors = [] } = await s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }))
      expect(Errors).toEqual([])
      for (const key of ["d/1", "d/2", "d/3"]) expect((await errorOf(() => get(key))).name).toBe("NoSuchKey")
    })

    promised("keeps versions", async () => {
      await s3.send(new CreateBucketCommand({ Bucket: versioned }))
      const VersioningConfiguration = { Status: "Enabled" } as const
      await s3.send(new PutBucketVersioningCommand({ Bucket: versioned, VersioningConfiguration }))
      const target = { Bucket: versioned, Key: "v" }
      const first = await s3.send(new PutObjectCommand({ ...target, Body: "one", Metadata: { n: "1" } }))
      const second = await s3.send(new PutObjectCommand({ ...target, Body: "two" }))
      const old = await s3.send(new GetObjectCommand({ ...target, VersionId: first.VersionId! }))
      expect([await old.Body!.transformToString(), old.Metadata]).toEqual(["one", { n: "1" }])
      const { DeleteMarker } = await s3.send(new DeleteObjectCommand(target))
      expect(DeleteMarker).toBe(true)
      expect((await errorOf(() => s3.send(new GetObjectCommand(target)))).name).toBe("NoSuchKey")
      const { Versions = [] } = await s3.send(new ListObjectVersionsCommand({ Bucket: versioned, Prefix: "v" }))
      expect(Versions.map(({ VersionId }) => VersionId)).toEqual([second.VersionId, first.VersionId])
      const one = { Bucket: versioned, Prefix: "v", MaxKeys: 1 }
      const { Versions: page = [], DeleteMarkers = [], ...next } = await s3.send(new ListObjectVersionsCommand(one))
      expect([page.length + DeleteMarkers.length, next.IsTruncated]).toEqual([1, true])
      const markers = { KeyMarker: next.NextKeyMarker!, VersionIdMarker: next.NextVersionIdMarker! }
      const rest = await s3.send(new ListObjectVersionsCommand({ Bucket: versioned, Prefix: "v", ...markers }))
      expect(rest.Versions!.map(({ VersionId }) => VersionId)).toEqual([second.VersionId, first.VersionId])
      const CopySource = `${versioned}/v?versionId=${first.VersionId}`
      await s3.send(new CopyObjectCommand({ Bucket, Key: "restored", CopySource }))
      expect((await get("restored")).bytes).toEqual(new Uint8Array(Buffer.from("one")))
    })
  })
}

const statusOf = (error: unknown): number | undefined =>
  (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode
