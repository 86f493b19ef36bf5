import { existsSync, readFileSync } from "node:fs"
import {
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  type PutObjectCommandInput,
  type S3Client,
  UploadPartCommand,
} from "@aws-sdk/client-s3"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { encrypt, kmsKeyring } from "../../../src/index.ts"
import { bucketKeyKeyring } from "../../../src/keyrings/index.ts"
import type { LocalKms } from "../../../src/local-kms/index.ts"
import { type AuditEntry, type AuditOptions, auditCounter, auditObjects } from "../../../src/s3/index.ts"
import { planS3ec, s3ecKmsKey, sealObject } from "../../../src/s3/s3ec/index.ts"
import { createKey, memoryKms } from "../../local-kms/helpers.ts"
import { errorOf } from "../../support/errors.ts"
import { aesKeyring, pattern } from "../../support/keys.ts"
import { type S3Server, startS3Server } from "../../support/s3-server/index.ts"

const Bucket = "audited"
let server: S3Server
let s3: S3Client
let kms: LocalKms
let keyArn: string
let otherArn: string
beforeEach(async () => {
  server = await startS3Server({ buckets: [Bucket] })
  s3 = server.client()
  const memory = memoryKms()
  kms = memory.kms
  const { send } = memory
  keyArn = (await createKey(send)).arn
  otherArn = (await createKey(send)).arn
})
afterEach(async () => {
  await server.close()
  await kms.close()
})

const put = (Key: string, Body: NonNullable<PutObjectCommandInput["Body"]>, more = {}) =>
  s3.send(new PutObjectCommand({ Bucket, Key, Body, ...more }))

async function putS3ec(Key: string, key = keyArn, instructionFile = false): Promise<void> {
  const plan = planS3ec({ key: s3ecKmsKey({ client: kms.client(), keyId: key }), instructionFile })
  const sealed = await sealObject(plan, pattern(4))
  await put(Key, sealed.body, { Metadata: sealed.metadata })
  if (sealed.instructionFile !== undefined) await put(`${Key}.instruction`, sealed.instructionFile)
}

const message = (options = {}) =>
  encrypt("data", { keyring: kmsKeyring({ client: kms.client(), generatorKeyId: keyArn }), ...options })

async function audit(options: Partial<AuditOptions> = {}): Promise<AuditEntry[]> {
  const entries = []
  for await (const entry of auditObjects({ client: s3, bucket: Bucket, ...options })) entries.push(entry)
  return entries
}
const one = async (options: Partial<AuditOptions> = {}) => {
  const [entry, ...more] = await audit(options)
  expect(more).toEqual([])
  return entry
}

describe("an audit tells without any key", () => {
  // OBJ-10.1
  test("a message by its own header, whatever the metadata say", async () => {
    await put("m", await message(), { Metadata: { "envelope-format": "plaintext" }, StorageClass: "STANDARD_IA" })
    expect(await one()).toMatchObject({
      kind: "object",
      bucket: Bucket,
      key: "m",
      isLatest: true,
      storageClass: "STANDARD_IA",
      format: "message",
      encrypted: true,
      suite: "0x0478",
      keys: [{ keyArn, wrappedBy: "kms" }],
      wrappedKeyIn: "message",
      serverSide: "none",
    })
    expect(server.log.map(({ operation }) => operation)).toEqual([
      "PutObject",
      "ListObjectsV2",
      "GetObject",
      "ListMultipartUploads",
    ])
  })

  test("a message with a header longer than what is fetched first", async () => {
    const encryptionContext = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`k${i}`, "v".repeat(500)]))
    await put(
      "m",
      await encrypt(pattern(50_000), { keyring: aesKeyring(), encryptionContext, maxContextLength: 65_535 }),
    )
    expect(await one()).toMatchObject({ format: "message", keys: [{ wrappedBy: "tests" }] })
    expect(server.count("GetObject")).toBe(2)
  })

  test("the KMS key behind a bucket key", async () => {
    using keyring = bucketKeyKeyring(kmsKeyring({ client: kms.client(), generatorKeyId: keyArn }), {
      bucketArn: "arn:aws:s3:::audited",
      maxAgeSeconds: 60,
    })
    await put("b", await encrypt("data", { keyring }))
    expect(await one()).toMatchObject({ format: "message", keys: [{ keyArn, wrappedBy: "bucket-key" }] })
  })

  test("a message that was cut", async () => {
    const whole = await message()
    await put("cut", whole.subarray(0, whole.length - 5))
    expect(await one()).toMatchObject({ format: "message", problem: expect.stringContaining("it was cut") })
  })

  test("objects of the S3 Encryption Client, with the envelope in metadata or in an instruction file", async () => {
    await putS3ec("a")
    await putS3ec("b", keyArn, true)
    const common = { format: "s3ec-v3", encrypted: true, suite: "0x0073", keys: [{ wrappedBy: "kms" }] }
    expect(await audit()).toMatchObject([
      { key: "a", ...common, wrappedKeyIn: "metadata" },
      { key: "b", ...common, wrappedKeyIn: "instruction-file" },
      { key: "b.instruction", format: "instruction-file" },
    ])
  })

  // OBJ-10.2
  test("plaintext, what is empty, and what only looks like an instruction file", async () => {
    await put("empty", "")
    await put("plain", "data", { ServerSideEncryption: "aws:kms", SSEKMSKeyId: keyArn })
    await put("plain.instruction", '{"read":"me"}')
    expect(await audit()).toMatchObject([
      { key: "empty", format: "empty", size: 0 },
      { key: "plain", format: "plaintext", encrypted: false, serverSide: "SSE-KMS", serverSideKeyId: keyArn },
      { key: "plain.instruction", format: "plaintext", encrypted: false },
    ])
  })

  test("what mixes formats, as a downgrade would, and what cannot be read", async () => {
    await putS3ec("mixed")
    server.edit(Bucket, "mixed", ({ metadata }) => ({ metadata: { ...metadata, "x-amz-key-v2": "AAAA" } }))
    await put("ssec", "data", { SSECustomerAlgorithm: "AES256", SSECustomerKey: "k".repeat(32) })
    await put("secret", "data")
    server.intervene = ({ key, operation }) =>
      key === "secret" && operation === "GetObject" ? { status: 403, code: "AccessDenied" } : undefined
    expect(await audit()).toMatchObject([
      { key: "mixed", format: "unknown", problem: expect.stringContaining("mixes formats") },
      { key: "secret", format: "unknown", problem: expect.stringContaining("AccessDenied") },
      { key: "ssec", format: "unknown", serverSide: "SSE-C" },
    ])
  })

  // OBJ-10.3
  test("by the metadata what is archived", async () => {
    await putS3ec("old")
    server.edit(Bucket, "old", ({ headers }) => ({ headers: { ...headers, "x-amz-storage-class": "GLACIER" } }))
    expect(await one()).toMatchObject({ storageClass: "GLACIER", format: "s3ec-v3", wrappedKeyIn: "metadata" })
    expect(server.count("GetObject")).toBe(0)
  })

  test("noncurrent versions where they are asked for", async () => {
    const VersioningConfiguration = { Status: "Enabled" } as const
    await s3.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration }))
    await put("v", "plain")
    await put("v", await message())
    await put("gone", "plain")
    await s3.send(new DeleteObjectCommand({ Bucket, Key: "gone" }))
    expect((await audit()).length).toBe(1)
    expect(await audit({ versions: true })).toMatchObject([
      { key: "gone", isLatest: false, format: "plaintext" },
      { key: "v", isLatest: true, format: "message" },
      { key: "v", isLatest: false, format: "plaintext" },
    ])
  })

  test("unfinished uploads, with the size of their parts", async () => {
    const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key: "u" }))
    await s3.send(new UploadPartCommand({ Bucket, Key: "u", UploadId, PartNumber: 3, Body: "12345" }))
    expect(await audit()).toMatchObject([{ kind: "upload", key: "u", uploadId: UploadId, parts: 1, size: 5 }])
    expect(await audit({ uploads: false })).toEqual([])
  })

  test("only a prefix, in order, however many requests run at a time", async () => {
    for (let i = 0; i < 30; i++) await put(`p/${String(i).padStart(2, "0")}`, "data")
    await put("q", "data")
    server.intervene = ({ operation }) =>
      operation === "GetObject" ? new Promise((resolve) => setTimeout(resolve, Math.random() * 5)) : undefined
    const keys = (await audit({ prefix: "p/", concurrency: 7 })).map(({ key }) => key)
    expect(keys).toEqual(keys.toSorted())
    expect(keys.length).toBe(30)
  })

  test("that the bucket cannot be listed", async () => {
    expect((await errorOf(() => audit({ bucket: "none" }))).name).toBe("NoSuchBucket")
    expect(await errorOf(() => audit({ concurrency: 0 }))).toBeInstanceOf(RangeError)
  })
})

describe("whether a key may be deleted", () => {
  const underKey = async (options: Partial<AuditOptions>) =>
    Object.fromEntries((await audit(options)).map((entry) => [entry.key, (entry as { underKey?: string }).underKey]))

  // OBJ-10.4
  test("is told by the objects, and by KMS for those that do not name their key", async () => {
    await put("message", await message())
    await put("other", await encrypt("x", { keyring: aesKeyring() }))
    await put("outer", "plain", { ServerSideEncryption: "aws:kms", SSEKMSKeyId: keyArn })
    await put("plain", "plain")
    await putS3ec("s3ec-1")
    await putS3ec("s3ec-2", otherArn)
    const told = { message: "yes", other: "no", outer: "yes", plain: "no" }
    expect(await underKey({ underKey: { keyArn } })).toEqual({ ...told, "s3ec-1": "unknown", "s3ec-2": "unknown" })
    const client = kms.client()
    expect(await underKey({ underKey: { keyArn, kms: client } })).toEqual({ ...told, "s3ec-1": "yes", "s3ec-2": "no" })
  })

  test("takes no more than the ARN of a key", async () => {
    expect(await errorOf(() => audit({ underKey: { keyArn: "alias/x" } }))).toBeInstanceOf(TypeError)
  })

  test("is not answered for the replica of a key in another Region by its ARN alone", async () => {
    const replica = "arn:aws:kms:eu-west-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab"
    await put("outer", "plain", { ServerSideEncryption: "aws:kms", SSEKMSKeyId: replica })
    const asked = replica.replace("eu-west-1", "us-east-1")
    expect(await underKey({ underKey: { keyArn: asked } })).toEqual({ outer: "yes" })
  })
})

test("a summary adds up formats, keys, suites, problems and uploads", async () => {
  await put("1", await message())
  await put("2", await message({ signed: true }))
  await put("3", "plain")
  await put("4", "")
  await s3.send(new CreateMultipartUploadCommand({ Bucket, Key: "u" }))
  const counter = auditCounter()
  for (const entry of await audit({ underKey: { keyArn } })) counter.add(entry)
  const summary = counter.summary()
  expect(summary).toMatchObject({
    objects: 4,
    formats: { message: { objects: 2 }, plaintext: { objects: 1, size: 5 }, empty: { objects: 1, size: 0 } },
    serverSide: { none: { objects: 4 } },
    suites: { "0x0478": { objects: 1 }, "0x0578": { objects: 1 } },
    keys: { [keyArn]: { objects: 2 } },
    problems: 0,
    uploads: { count: 1, size: 0, oldest: expect.any(Date) },
    underKey: { yes: 2, no: 2, unknown: 0 },
  })
})

const fixtures = new URL("../../../../shared/vectors/s3ec-fixtures.json", import.meta.url)
describe.skipIf(!existsSync(fixtures))("objects that the official clients wrote", () => {
  const formats: Record<string, string> = {
    "py-v3": "s3ec-v3",
    "py-v3-empty": "s3ec-v3",
    "py-v2": "s3ec-v2",
    "rb-kms": "s3ec-v2",
    "rb-kms-instr": "s3ec-v2",
    "rb-aes": "s3ec-v2",
    "rb-rsa": "s3ec-v2",
    "rb-v1-aes": "s3ec-v1",
    "rb-v1-rsa": "s3ec-v1",
    "rb-v1-kms": "s3ec-v2",
  }
  test("are told apart, and the legacy ones name their key", async () => {
    interface Fixture {
      name: string
      metadata: Record<string, string>
      body_b64: string
      instruction_file?: string
    }
    const { objects } = JSON.parse(readFileSync(fixtures, "utf8")) as { objects: Fixture[] }
    for (const { name, metadata, body_b64, instruction_file } of objects) {
      await put(name, Buffer.from(body_b64, "base64"), { Metadata: metadata })
      if (instruction_file !== undefined) await put(`${name}.instruction`, instruction_file)
    }
    const entries = (await audit()).filter(({ key }) => !key.endsWith(".instruction"))
    expect(Object.fromEntries(entries.map((entry) => [entry.key, (entry as { format?: string }).format]))).toEqual(
      formats,
    )
    expect(entries.find(({ key }) => key === "rb-v1-kms")).toMatchObject({
      keys: [{ keyArn: expect.stringMatching(/^arn:aws:kms:us-east-1:123456789012:key\//), wrappedBy: "kms" }],
    })
  })
})
