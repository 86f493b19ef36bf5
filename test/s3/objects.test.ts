import { Readable } from "node:stream"
import {
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutBucketVersioningCommand,
  PutObjectCommand,
  paginateListObjectsV2,
  type S3Client,
  waitUntilObjectExists,
} from "@aws-sdk/client-s3"
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { decrypt, inspect, kmsKeyring } from "../../src/index.ts"
import { type EncryptedS3Client, envelopeOf } from "../../src/s3/index.ts"
import { codeOf, errorOf } from "../support/errors.ts"
import { pattern } from "../support/keys.ts"
import { type Body, Bucket, createS3World, FRAME, get, put, type S3World } from "./s3-world.ts"

let world: S3World
let s3: EncryptedS3Client
beforeAll(async () => {
  world = await createS3World()
  s3 = world.client()
})
afterAll(() => world[Symbol.asyncDispose]())
beforeEach(() => {
  world.server.forget()
  world.calls.sent.length = 0
})

const storedBytes = async (key: string) => new Uint8Array(await world.server.stored(Bucket, key).content.bytes())
const same = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b) === 0

const sizes = [0, 1, FRAME - 1, FRAME, FRAME + 1, 5 * FRAME, 16 * FRAME, 16 * FRAME + 1, 24 * FRAME, 100_000, 1_300_000]

describe("objects go out encrypted and come back as they were (OBJ-2.2)", () => {
  test.each(sizes)("%i bytes, which any reader of messages reads too (OBJ-1.1)", async (size) => {
    const body = pattern(size)
    await put(s3, `size-${size}`, body)
    const { bytes, ContentLength } = await get(s3, `size-${size}`)
    expect(same(bytes, body)).toBe(true)
    expect(ContentLength).toBe(size)
    const stored = await storedBytes(`size-${size}`)
    expect(same((await decrypt(stored, { keyring: world.keyring })).plaintext, body)).toBe(true)
  })

  const body = pattern(50_000)
  async function* chunks() {
    for (let at = 0; at < body.length; at += 777) yield body.subarray(at, at + 777)
  }
  const bodies: [string, () => NonNullable<Body>][] = [
    ["bytes", () => body],
    ["a Blob", () => new Blob([body])],
    ["a Node stream of unknown length", () => Readable.from(chunks(), { objectMode: false })],
    ["a Web stream of unknown length", () => Readable.toWeb(Readable.from(chunks())) as ReadableStream],
  ]
  test.each(bodies)("%s", async (_name, make) => {
    await put(s3, "kinds", make())
    expect(same((await get(s3, "kinds")).bytes, body)).toBe(true)
  })

  test("a string, and a small stream in one request", async () => {
    await put(s3, "text", "héllo")
    const output = await s3.send(new GetObjectCommand({ Bucket, Key: "text" }))
    expect(await output.Body!.transformToString()).toBe("héllo")
    world.server.forget()
    await put(s3, "small-stream", Readable.from([pattern(3), pattern(5)]))
    expect(world.server.log.map(({ operation }) => operation)).toEqual(["PutObject"])
    expect((await get(s3, "small-stream")).bytes).toHaveLength(8)
  })

  test("bodies come as the SDK's, as a Node stream and as a Web stream, and once", async () => {
    await put(s3, "large", pattern(1_200_000))
    const node = (await s3.send(new GetObjectCommand({ Bucket, Key: "large" }))).Body!
    expect(node).toBeInstanceOf(Readable)
    let length = 0
    for await (const chunk of node as Readable) length += chunk.length
    expect(length).toBe(1_200_000)
    const web = (await s3.send(new GetObjectCommand({ Bucket, Key: "large" }))).Body!
    const all = await new Response(web.transformToWebStream()).arrayBuffer()
    expect(all.byteLength).toBe(1_200_000)
    await expect(web.transformToByteArray()).rejects.toThrow("already been transformed")
  })

  test("metadata, headers, tags and SSE inputs stay the caller's; metadata is not encrypted (OBJ-8.1)", async () => {
    const input = { Metadata: { owner: "me" }, ContentType: "text/plain", Tagging: "a=b", CacheControl: "no-cache" }
    for (const [key, body] of [
      ["few", "x"],
      ["many", pattern(50_000)],
    ] as const) {
      const output = await put(s3, key, body, { ...input, ServerSideEncryption: "aws:kms", SSEKMSKeyId: "outer" })
      expect(output).toMatchObject({ ServerSideEncryption: "aws:kms", SSEKMSKeyId: "outer" })
      const { Metadata, ...read } = await get(s3, key)
      expect(Metadata).toMatchObject({ owner: "me", "envelope-format": "message", "envelope-suite": "0x0478" })
      expect(Metadata!["envelope-key"]).toBe(world.keyArn)
      expect(read).toMatchObject({ ContentType: "text/plain", CacheControl: "no-cache", TagCount: 1 })
      const { TagSet } = await s3.send(new GetObjectTaggingCommand({ Bucket, Key: key }))
      expect(TagSet).toEqual([{ Key: "a", Value: "b" }])
    }
    expect(world.server.stored(Bucket, "few").metadata["envelope-plaintext-length"]).toBe("1")
  })

  test("metadata of the caller's that fill S3's limit leave no room for ours, and the object is written", async () => {
    await put(s3, "full", "x", { Metadata: { big: "x".repeat(2000) } })
    expect(Object.keys(world.server.stored(Bucket, "full").metadata)).toEqual(["big"])
    const head = await s3.send(new HeadObjectCommand({ Bucket, Key: "full" }))
    expect(head.ContentLength).toBe(1)
  })

  test("SSE-C, the outer layer, is given with every request of a read and of an upload", async () => {
    const outer = { SSECustomerAlgorithm: "AES256", SSECustomerKey: "k".repeat(32) }
    await put(s3, "ssec", pattern(50_000), outer)
    expect((await get(s3, "ssec", { ...outer, Range: "bytes=30000-30009" })).bytes).toEqual(
      pattern(50_000).slice(30_000, 30_010),
    )
    expect((await errorOf(() => get(s3, "ssec"))).name).toBe("InvalidRequest")
  })
})

describe("KMS", () => {
  test("is asked once for each read, with the key and the whole context (OBJ-3.1)", async () => {
    await put(s3, "a/key", pattern(50_000), {}, { encryptionContext: { tenant: "42" } })
    const context = { tenant: "42", "aws:s3:arn": "arn:aws:s3:::reports/a/key" }
    await get(s3, "a/key")
    await get(s3, "a/key", { Range: "bytes=10-20000" })
    const [generate, ...reads] = world.calls.sent
    expect(generate).toMatchObject({ operation: "GenerateDataKey", input: { EncryptionContext: context } })
    expect(reads.map(({ operation }) => operation)).toEqual(["Decrypt", "Decrypt"])
    for (const { input } of reads) expect(input).toMatchObject({ KeyId: world.keyArn, EncryptionContext: context })
  })

  test("that refuses leaves the object unread, and the trail says who wanted it", async () => {
    await put(s3, "secret", pattern(50_000))
    const principal = "arn:aws:iam::111122223333:user/bucket-only"
    const keyring = kmsKeyring({ client: world.kms.client({ principal }), generatorKeyId: world.keyArn })
    const stranger = world.client({ keyring })
    for (const input of [{}, { Range: "bytes=0-9" }]) {
      const error = await errorOf(() => get(stranger, "secret", input))
      expect(error).toMatchObject({ code: "KmsError", name: "AccessDeniedException" })
    }
    const events = await world.kms.events({ eventName: "Decrypt" })
    const refusal = events.find(
      ({ errorCode }) => errorCode === "AccessDenied" || errorCode === "AccessDeniedException",
    )
    expect(refusal?.userIdentity).toMatchObject({ arn: principal })
    expect(refusal?.eventTime).toMatch(/^\d{4}-/)
    expect(JSON.stringify(refusal)).toContain("arn:aws:s3:::reports/secret")
    expect(JSON.stringify(refusal)).toContain(world.keyArn)
  })
})

describe("what is refused before anything is sent", () => {
  const digests = [
    "ContentMD5",
    "ChecksumCRC32",
    "ChecksumCRC32C",
    "ChecksumSHA1",
    "ChecksumSHA256",
    "ChecksumCRC64NVME",
  ]
  test.each(digests)("%s of the plaintext (OBJ-2.3)", async (name) => {
    await expect(put(s3, "digest", "x", { [name]: "AAAA" })).rejects.toThrow(TypeError)
    expect(world.server.log).toEqual([])
  })

  test("a length that is not the body's", async () => {
    await expect(put(s3, "length", "abc", { ContentLength: 4 })).rejects.toThrow(RangeError)
    await expect(put(s3, "length", Readable.from([pattern(10)]), { ContentLength: 11 })).rejects.toThrow(RangeError)
    await expect(put(s3, "length", Readable.from([pattern(50_000)]), { ContentLength: 40_000 })).rejects.toThrow(
      RangeError,
    )
    expect(world.server.unfinished(Bucket)).toEqual([])
    await expect(put(s3, "length", 7 as never)).rejects.toThrow(TypeError)
  })

  test("parts of the ciphertext by number, appending, and options on commands that pass through", async () => {
    await expect(get(s3, "size-1", { PartNumber: 1 })).rejects.toThrow(TypeError)
    await expect(put(s3, "append", "x", { WriteOffsetBytes: 3 })).rejects.toThrow(TypeError)
    const list = new ListObjectsV2Command({ Bucket })
    await expect(s3.send(list, { boundTo: { bucket: "b", key: "k" } })).rejects.toThrow("passes through")
  })

  test("presigned requests, except for ciphertext (OBJ-2.6)", async () => {
    const presign = (client: S3Client, command: GetObjectCommand | PutObjectCommand) => {
      const stack = client.middlewareStack.clone()
      const handler = command.resolveMiddleware(stack as never, client.config, {})
      return handler({ input: command.input } as never)
    }
    const read = new GetObjectCommand({ Bucket, Key: "size-1" })
    await expect(presign(s3, read)).rejects.toThrow("presigned")
    await expect(presign(s3, new PutObjectCommand({ Bucket, Key: "x", Body: "x" }))).rejects.toThrow("presigned")
    const list = new ListObjectsV2Command({ Bucket })
    await expect(presign(s3, list as never)).resolves.toBeDefined()
    await expect(presign(s3.ciphertext, read)).resolves.toBeDefined()
  })
})

describe("S3's own features", () => {
  test("conditional writes, large ones too (OBJ-2.1)", async () => {
    for (const body of ["x", pattern(50_000)]) {
      const key = `conditional-${body.length}`
      const { ETag } = await put(s3, key, body, { IfNoneMatch: "*" })
      expect((await errorOf(() => put(s3, key, body, { IfNoneMatch: "*" }))).name).toBe("PreconditionFailed")
      expect((await errorOf(() => put(s3, key, body, { IfMatch: '"0"' }))).name).toBe("PreconditionFailed")
      await put(s3, key, body, { IfMatch: ETag! })
      expect(world.server.unfinished(Bucket)).toEqual([])
    }
  })

  test("conditional reads, by the ETag of the ciphertext (OBJ-2.4)", async () => {
    const { ETag } = await put(s3, "cond", "x")
    expect((await errorOf(() => get(s3, "cond", { IfMatch: '"0"' }))).name).toBe("PreconditionFailed")
    const unchanged = await errorOf(() => get(s3, "cond", { IfNoneMatch: ETag! }))
    expect(unchanged).toMatchObject({ $metadata: { httpStatusCode: 304 } })
    expect((await get(s3, "cond", { IfMatch: ETag! })).bytes).toHaveLength(1)
  })

  test("versions", async () => {
    const versions = { Bucket: "other", VersioningConfiguration: { Status: "Enabled" } } as const
    await s3.send(new PutBucketVersioningCommand(versions))
    const first = await put(s3, "v", "first", { Bucket: "other" })
    const second = await put(s3, "v", pattern(50_000), { Bucket: "other" })
    expect(new Set([first.VersionId, second.VersionId]).size).toBe(2)
    const old = await get(s3, "v", { Bucket: "other", VersionId: first.VersionId! })
    expect(Buffer.from(old.bytes).toString()).toBe("first")
    const range = await get(s3, "v", { Bucket: "other", VersionId: second.VersionId!, Range: "bytes=-5" })
    expect(range.bytes).toEqual(pattern(50_000).slice(-5))
  })

  test("HEAD tells the plaintext's length, and that nothing authenticates it (OBJ-8.2)", async () => {
    for (const size of [0, 1, 5000, 50_000]) {
      await put(s3, "head", size > 5000 ? Readable.from([pattern(size)]) : pattern(size))
      const head = await s3.send(new HeadObjectCommand({ Bucket, Key: "head" }))
      expect(head.ContentLength).toBe(size)
      expect(envelopeOf(head)).toMatchObject({
        format: "message",
        suite: "0x0478",
        keys: [world.keyArn],
        plaintextLengthAuthenticated: false,
        authenticated: false,
      })
    }
    expect(envelopeOf((await get(s3, "head", { Range: "bytes=0-1" })).output)?.authenticated).toBe(true)
  })

  test("deletes, lists, paginators, waiters and callbacks", async () => {
    for (const key of ["p/1", "p/2", "p/3"]) await put(s3, key, "x")
    await waitUntilObjectExists({ client: s3, maxWaitTime: 10 }, { Bucket, Key: "p/1" })
    let found = 0
    for await (const page of paginateListObjectsV2({ client: s3, pageSize: 1 }, { Bucket, Prefix: "p/" })) {
      found += page.Contents?.length ?? 0
    }
    expect(found).toBe(3)
    await s3.send(new DeleteObjectCommand({ Bucket, Key: "p/1" }))
    await s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects: [{ Key: "p/2" }] } }))
    const left = await new Promise<unknown>((resolve, reject) =>
      s3.send(new ListObjectsV2Command({ Bucket, Prefix: "p/" }), (error, output) =>
        error ? reject(error) : resolve(output?.Contents?.map(({ Key }) => Key)),
      ),
    )
    expect(left).toEqual(["p/3"])
    const failed = new Promise((resolve) => s3.send(new GetObjectCommand({ Bucket, Key: "p/1" }), {}, resolve))
    expect(await failed).toMatchObject({ name: "NoSuchKey" })
  })

  test("middleware on a command and on the client goes along", async () => {
    const command = new PutObjectCommand({ Bucket, Key: "mw", Body: "x" })
    command.middlewareStack.add(
      (next) => (args) => {
        Object.assign((args.request as { headers: object }).headers, { "x-amz-meta-added": "here" })
        return next(args)
      },
      { step: "build" },
    )
    await s3.send(command)
    expect(world.server.stored(Bucket, "mw").metadata.added).toBe("here")
  })
})

describe("failures", () => {
  test("of a stream, of S3 and by abort leave no object and no parts (OBJ-4.7)", async () => {
    async function* failing() {
      yield pattern(50_000)
      throw new Error("source")
    }
    await expect(put(s3, "never", Readable.from(failing()))).rejects.toThrow("source")
    world.server.intervene = ({ operation, query }) =>
      operation === "UploadPart" && query.get("partNumber") === "3" ? { status: 400, code: "Injected" } : undefined
    expect((await errorOf(() => put(s3, "never", pattern(50_000)))).name).toBe("Injected")
    const controller = new AbortController()
    world.server.intervene = ({ operation }) => {
      if (operation === "UploadPart") controller.abort(new Error("stop"))
    }
    await expect(put(s3, "never", pattern(50_000), {}, { abortSignal: controller.signal })).rejects.toThrow()
    world.server.intervene = undefined
    expect((await errorOf(() => get(s3, "never"))).name).toBe("NoSuchKey")
    expect(world.server.unfinished(Bucket)).toEqual([])
  })

  test("that the SDK retries send the same ciphertext again (OBJ-4.1)", async () => {
    const troubles = ["drop-after-body", { status: 503, code: "SlowDown" }]
    world.server.intervene = ({ operation }) => (operation === "UploadPart" ? troubles.shift() : undefined)
    await put(s3, "retried", pattern(40_000))
    world.server.intervene = undefined
    expect(same((await get(s3, "retried")).bytes, pattern(40_000))).toBe(true)
    expect(world.kmsOperations()[0]).toBe("GenerateDataKey")
    expect(world.server.count("UploadPart")).toBe(7)
  })

  test("of a connection in the middle of a body reach its reader", async () => {
    await put(s3, "cut-off", pattern(1_300_000))
    world.server.intervene = ({ operation }) => (operation === "GetObject" ? "cut-answer" : undefined)
    await expect(get(s3, "cut-off")).rejects.toThrow()
    await expect(get(s3, "cut-off", { Range: "bytes=500000-1000000" })).rejects.toThrow()
    world.server.intervene = undefined
  })

  test("of a connection whose body nobody reads harm nobody", async () => {
    const frames = { frameLength: 65_536, partSize: 1_310_720 }
    const client = world.client({ client: world.server.client(), ...frames })
    await put(client, "unread", pattern(1_200_000))
    const { Body } = await client.send(new GetObjectCommand({ Bucket, Key: "unread" }))
    client.destroy()
    await new Promise((resolve) => setTimeout(resolve, 100))
    await expect(Body!.transformToByteArray()).rejects.toThrow()
  })

  test("an aborted call fails with the signal's reason", async () => {
    const abortSignal = AbortSignal.abort(new Error("too late"))
    await expect(put(s3, "aborted", "x", {}, { abortSignal })).rejects.toThrow("too late")
    await expect(get(s3, "size-1", {}, { abortSignal })).rejects.toThrow("too late")
  })

  test("a closed client refuses, and leaves the SDK's client open", async () => {
    const client = world.client()
    {
      await using closing = client
      await put(closing, "closing", "x")
    }
    expect(await codeOf(() => get(client, "closing"))).toBe("Closed")
    await client.ciphertext.send(new HeadObjectCommand({ Bucket, Key: "closing" }))
  })
})

describe("signed messages", () => {
  test("are written in their order, and read after their signature verified (OBJ-4.6)", async () => {
    const signing = world.client({ signed: true })
    for (const size of [0, 10, 50_000]) {
      await put(signing, "signed", Readable.from([pattern(size)]))
      expect(inspect(await storedBytes("signed")).signed).toBe(true)
      expect(same((await get(signing, "signed")).bytes, pattern(size))).toBe(true)
    }
    const range = await get(s3, "signed", { Range: "bytes=40000-40009" })
    expect([range.bytes, range.ContentRange]).toEqual([
      pattern(50_000).slice(40_000, 40_010),
      "bytes 40000-40009/50000",
    ])
    await world.server.tamper(Bucket, "signed", (bytes) => bytes.fill(bytes.at(-1)! ^ 1, -1))
    expect(await codeOf(() => get(s3, "signed"))).toBe("TamperedMessage")
    expect(await codeOf(() => get(s3, "signed", { Range: "bytes=0-1" }))).toBe("TamperedMessage")
    const large = world.client({ signed: true, frameLength: 65_536, partSize: 655_360, multipartThreshold: 655_360 })
    await put(large, "signed", pattern(1_200_000))
    expect((await get(large, "signed")).bytes).toHaveLength(1_200_000)
    expect(await codeOf(() => get(world.client({ bufferSize: 1_000_000 }), "signed"))).toBe("LimitExceeded")
  })
})
