import { CopyObjectCommand, PutObjectCommand } from "@aws-sdk/client-s3"
import { expect, test } from "vitest"
import { auditObjects, rewrapObjects } from "../../../src/s3/index.ts"
import { findEnvelope, openObject, planS3ec, s3ecAesKey, s3ecKmsKey, sealObject } from "../../../src/s3/s3ec/index.ts"
import { codeOf, errorOf } from "../../support/errors.ts"
import { counting, pattern } from "../../support/keys.ts"
import { actions, all, Bucket, read, type Scene, scene } from "./support.ts"

const rewrap = (made: Scene, more: object = {}) =>
  all(rewrapObjects({ client: made.client(), kms: made.kms.client(), bucket: Bucket, toKeyId: made.newArn, ...more }))

/** What the new key alone reads. */
async function openS3ec({ stored, head, kms, newArn }: Scene, key: string): Promise<Uint8Array> {
  const plan = planS3ec({ key: s3ecKmsKey({ client: kms.client(), keyId: newArn }) })
  const { Metadata } = await head(key)
  const envelope = await findEnvelope(Metadata, () => stored(`${key}.instruction`))
  return new Uint8Array(await openObject(plan, envelope!, await stored(key), { encryptionContext: { dept: "x" } }))
}

// OBJ-11.4
test("an object of the S3 Encryption Client is rewrapped in place: its bytes stay, and all beside them", async () => {
  const made = await scene()
  const { putS3ec, head, tags, stored, server, calls } = made
  const kept = {
    ContentType: "text/x",
    CacheControl: "no-store",
    StorageClass: "STANDARD_IA",
    ServerSideEncryption: "aws:kms",
    SSEKMSKeyId: "outer",
    ObjectLockMode: "GOVERNANCE",
    ObjectLockRetainUntilDate: new Date("2031-01-01T00:00:00Z"),
  } as const
  await putS3ec("a/ü +", pattern(1000), { ...kept, Metadata: { mine: "1" }, Tagging: "a=b" })
  const before = await stored("a/ü +")
  const { Metadata: old } = await head("a/ü +")
  server.forget()
  expect(await rewrap(made)).toEqual([
    { bucket: Bucket, key: "a/ü +", size: 1016, format: "s3ec-v3", action: "rewrapped" },
  ])
  expect([await calls("ReEncrypt"), await calls("Decrypt")]).toEqual([1, 0])
  expect(server.count("CopyObject")).toBe(1)
  expect(server.count("PutObject")).toBe(0)
  expect(await stored("a/ü +")).toEqual(before)
  expect(await openS3ec(made, "a/ü +")).toEqual(pattern(1000))
  const after = await head("a/ü +")
  expect(after).toMatchObject(kept)
  expect(after.Metadata).toEqual({ ...old, "x-amz-3": expect.not.stringMatching(old!["x-amz-3"]!) })
  expect(await tags("a/ü +")).toEqual({ a: "b" })
})

test("one ReEncrypt serves all objects of one wrapped key", async () => {
  const made = await scene()
  const { kms, oldArn, put, calls, head } = made
  const generated = await s3ecKmsKey({ client: kms.client(), keyId: oldArn }).wrap({
    contentCipher: "115",
    encryptionContext: { dept: "x" },
  })
  const shared = { name: "shared", bindsContext: true, wrap: () => generated, unwrap: () => undefined }
  for (let i = 0; i < 5; i++) {
    const key = { ...shared, wrap: () => ({ ...generated, dataKey: generated.dataKey.slice() }) }
    const { body, metadata } = await sealObject(planS3ec({ key }), pattern(i))
    await put(`o${i}`, body, { Metadata: metadata })
  }
  expect(actions(await rewrap(made))).toEqual(["o0", "o1", "o2", "o3", "o4"].map((key) => `${key}: rewrapped`))
  expect(await calls("ReEncrypt")).toBe(1)
  expect(new Set([(await head("o0")).Metadata!["x-amz-3"], (await head("o4")).Metadata!["x-amz-3"]]).size).toBe(1)
  for (let i = 0; i < 5; i++) expect(await openS3ec(made, `o${i}`)).toEqual(pattern(i))
})

test("an instruction file is replaced, and the object not touched", async () => {
  const made = await scene()
  const { putS3ec, server, stored } = made
  await putS3ec("i", pattern(100), {}, true)
  const before = await stored("i.instruction")
  server.forget()
  expect(actions(await rewrap(made))).toEqual(["i: rewrapped", "i.instruction: skipped"])
  expect(server.log.filter(({ method }) => method === "PUT").map(({ key }) => key)).toEqual(["i.instruction"])
  expect(await stored("i.instruction")).not.toEqual(before)
  expect(await openS3ec(made, "i")).toEqual(pattern(100))
})

test("an object above the limit of CopyObject is copied in parts, and aborted when one fails", async () => {
  const made = await scene()
  const { putS3ec, server, tags, head } = made
  const body = pattern(11 * 1024 * 1024)
  await putS3ec("large", body, { Tagging: "a=b", ContentType: "text/x", Metadata: { mine: "1" } })
  const maxCopyBytes = 5 * 1024 * 1024
  server.forget()
  server.intervene = ({ operation, query }) =>
    operation === "UploadPartCopy" && query.get("partNumber") === "2"
      ? { status: 403, code: "AccessDenied" }
      : undefined
  expect(await rewrap(made, { maxCopyBytes })).toMatchObject([{ action: "failed", error: { name: "AccessDenied" } }])
  expect(server.count("AbortMultipartUpload")).toBe(1)
  server.intervene = undefined
  server.forget()
  expect(actions(await rewrap(made, { maxCopyBytes }))).toEqual(["large: rewrapped"])
  expect(server.count("UploadPartCopy")).toBe(3)
  expect(server.log.find(({ operation }) => operation === "CompleteMultipartUpload")!.headers["if-match"]).toBeDefined()
  expect(Buffer.compare(await openS3ec(made, "large"), body)).toBe(0)
  expect(await tags("large")).toEqual({ a: "b" })
  expect(await head("large")).toMatchObject({ ContentType: "text/x", Metadata: { mine: "1" } })
})

// OBJ-11.5
test("a message is read and written again, with its own encryption context", async () => {
  const made = await scene()
  const { client, head, calls, newArn } = made
  const s3 = client()
  const put = new PutObjectCommand({
    Bucket,
    Key: "m",
    Body: pattern(1000),
    Metadata: { mine: "1" },
    ContentType: "text/x",
  })
  await s3.send(put, { encryptionContext: { tenant: "42" } })
  expect(await rewrap(made)).toMatchObject([{ key: "m", format: "message", action: "reencrypted" }])
  expect(await head("m")).toMatchObject({ ContentType: "text/x", Metadata: { mine: "1", "envelope-key": newArn } })
  expect(await read(s3, "m")).toEqual(pattern(1000))
  const tenant = async (name: string) => {
    const copy = new CopyObjectCommand({ Bucket, Key: "copy", CopySource: `${Bucket}/m` })
    return s3.send(copy, { encryptionContext: { tenant: name } })
  }
  expect(await codeOf(() => tenant("43"))).toBe("ContextMismatch")
  await tenant("42")
  expect(await calls("ReEncrypt")).toBe(0)
})

test("what is under the new key already, under another one than asked for, or under none stays", async () => {
  const made = await scene()
  const { put, putS3ec, client, newArn, oldArn, server } = made
  const s3 = client()
  await s3.send(new PutObjectCommand({ Bucket, Key: "1-message", Body: "x" }))
  await putS3ec("2-s3ec", pattern(10))
  await put("3-plain", "x")
  const raw = await sealObject(planS3ec({ key: s3ecAesKey({ wrappingKey: counting(32) }) }), pattern(10))
  await put("4-raw", raw.body, { Metadata: raw.metadata })
  const other = newArn
  expect(actions(await rewrap(made, { fromKeyArn: other, toKeyId: oldArn }))).toEqual([
    "1-message: skipped",
    "2-s3ec: skipped",
    "3-plain: skipped",
    "4-raw: skipped",
  ])
  expect(actions(await rewrap(made)).slice(0, 2)).toEqual(["1-message: reencrypted", "2-s3ec: rewrapped"])
  server.forget()
  const again = await rewrap(made)
  expect(again.map(({ reason }) => reason)).toEqual([
    "it is under the new key already",
    "it is under the new key already",
    "it is not encrypted",
    "its data key is wrapped by AES/GCM, not by KMS",
  ])
  expect(server.log.every(({ method }) => method !== "PUT")).toBe(true)
})

test("nothing needs the old key afterwards", async () => {
  const made = await scene()
  const { putS3ec, client, oldArn, kms, s3 } = made
  await client().send(new PutObjectCommand({ Bucket, Key: "m", Body: "x" }))
  await putS3ec("s", pattern(10))
  const under = async () => {
    const found = []
    const underKey = { keyArn: oldArn, kms: kms.client() }
    for await (const entry of auditObjects({ client: s3, bucket: Bucket, underKey })) {
      if (entry.kind === "object") found.push(entry.underKey)
    }
    return found
  }
  expect(await under()).toEqual(["yes", "yes"])
  await rewrap(made)
  expect(await under()).toEqual(["no", "no"])
})

test("a dry run asks KMS by dry runs alone, and writes nothing", async () => {
  const made = await scene()
  const { putS3ec, client, server, calls } = made
  await client().send(new PutObjectCommand({ Bucket, Key: "m", Body: "x" }))
  await putS3ec("s", pattern(10))
  server.forget()
  expect(await rewrap(made, { dryRun: true })).toMatchObject([
    { key: "m", action: "reencrypted", dryRun: true },
    { key: "s", action: "rewrapped", dryRun: true },
  ])
  expect(server.log.every(({ method }) => method === "GET")).toBe(true)
  expect(await calls("ReEncrypt")).toBe(0)
  await rewrap(made)
  expect(actions(await rewrap(made, { dryRun: true }))).toEqual(["m: skipped", "s: skipped"])
})

test.each(["s3ec", "message"])("a write that comes in between is never lost (%s)", async (format) => {
  const made = await scene()
  const { putS3ec, put, client, server, stored } = made
  if (format === "s3ec") await putS3ec("busy", pattern(10))
  else await client().send(new PutObjectCommand({ Bucket, Key: "busy", Body: "x" }))
  let written = false
  server.intervene = async ({ operation, headers }) => {
    const isOurs = operation === "CopyObject" || (operation === "PutObject" && headers["if-match"] !== undefined)
    if (!isOurs || written) return undefined
    written = true
    await put("busy", "plain and new")
  }
  expect(await rewrap(made)).toMatchObject([{ action: "skipped", reason: "it is not encrypted" }])
  expect(Buffer.from(await stored("busy")).toString()).toBe("plain and new")
})

test("a bucket that keeps versions has the old key in them still, and that is said", async () => {
  const made = await scene()
  await made.keepVersions()
  await made.putS3ec("v", pattern(10))
  await made.putS3ec("v", pattern(20))
  const outcomes = await rewrap(made)
  expect(actions(outcomes)).toEqual(["v: rewrapped", "v: noncurrent"])
  expect(outcomes[0]!.leftVersionId).toBeDefined()
  expect(actions(await rewrap(made, { versions: false }))).toEqual(["v: skipped"])
})

test("a key that nobody knows, and options that are none, are refused before anything is sent to S3", async () => {
  const made = await scene()
  expect(await codeOf(() => rewrap(made, { toKeyId: "alias/none" }))).toBe("KmsError")
  expect(await errorOf(() => rewrap(made, { fromKeyArn: "alias/x" }))).toBeInstanceOf(TypeError)
  expect(await errorOf(() => rewrap(made, { maxCopyBytes: 1 }))).toBeInstanceOf(RangeError)
  expect(made.server.log).toEqual([])
})

test("messages share a bucket key where that is asked for", async () => {
  const made = await scene()
  const client = made.client({ bucketKey: { maxAgeSeconds: 60 } })
  for (let i = 0; i < 10; i++) await client.send(new PutObjectCommand({ Bucket, Key: `m${i}`, Body: "x" }))
  const before = await made.calls("GenerateDataKey")
  await rewrap(made, { client, bucketKey: true })
  expect((await made.calls("GenerateDataKey")) - before).toBe(1)
  const [entry] = await all(auditObjects({ client: made.s3, bucket: Bucket }) as never)
  expect(entry).toMatchObject({ keys: [{ keyArn: made.newArn, wrappedBy: "bucket-key" }] })
})
