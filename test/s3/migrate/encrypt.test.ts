import { GetObjectCommand, ListObjectVersionsCommand, PutObjectCommand } from "@aws-sdk/client-s3"
import { expect, test } from "vitest"
import { auditObjects, encryptObjects, migrationCounter } from "../../../src/s3/index.ts"
import { codeOf, errorOf } from "../../support/errors.ts"
import { pattern } from "../../support/keys.ts"
import { actions, all, Bucket, read, scene } from "./support.ts"

// OBJ-11.3
test("plaintext comes under the envelope and keeps all that stands beside it", async () => {
  const { put, client, head, tags, stored, server } = await scene()
  const kept = {
    ContentType: "text/x",
    CacheControl: "no-store",
    ContentDisposition: "inline",
    ContentEncoding: "x-own",
    ContentLanguage: "ko",
    Expires: new Date("2030-01-01T00:00:00Z"),
    StorageClass: "STANDARD_IA",
    ServerSideEncryption: "aws:kms",
    SSEKMSKeyId: "outer",
    ObjectLockMode: "GOVERNANCE",
    ObjectLockRetainUntilDate: new Date("2031-01-01T00:00:00Z"),
    ObjectLockLegalHoldStatus: "ON",
    WebsiteRedirectLocation: "/elsewhere",
  } as const
  await put("a b/ü+&", pattern(100_000), { ...kept, Metadata: { mine: "1" }, Tagging: "a=b%20c&d=" })
  const s3 = client()
  const [outcome, ...more] = await all(encryptObjects({ client: s3, bucket: Bucket }))
  expect(more).toEqual([])
  expect(outcome).toEqual({ bucket: Bucket, key: "a b/ü+&", size: 100_000, format: "plaintext", action: "encrypted" })
  expect(await codeOf(() => read(client({ readFormats: ["s3ec-v3"] }), "a b/ü+&"))).toBe("UnsupportedFormat")
  expect(Buffer.compare(await read(s3, "a b/ü+&"), pattern(100_000))).toBe(0)
  expect(Buffer.from(await stored("a b/ü+&")).includes(Buffer.from(pattern(1000)))).toBe(false)
  const { Expires: _expires, ...others } = kept
  const after = await head("a b/ü+&")
  expect(after).toMatchObject({ ...others, ExpiresString: kept.Expires.toUTCString() })
  expect(after.Metadata).toMatchObject({ mine: "1", "envelope-format": "message" })
  expect(await tags("a b/ü+&")).toEqual({ a: "b c", d: "" })
  expect(server.log.filter(({ operation }) => operation === "PutObject")).toHaveLength(2)
})

test("what is encrypted, marks a folder or lies outside the prefix stays", async () => {
  const { put, putS3ec, client, server } = await scene()
  const s3 = client()
  await s3.send(new PutObjectCommand({ Bucket, Key: "in/1-message", Body: "x" }))
  await putS3ec("in/2-s3ec", pattern(10))
  await putS3ec("in/3-s3ec", pattern(10), {}, true)
  await put("in/4-folder/", "")
  await put("in/5-empty", "")
  await put("in/6-plain", "x")
  await put("out", "x")
  server.forget()
  const outcomes = await all(encryptObjects({ client: s3, bucket: Bucket, prefix: "in/" }))
  expect(actions(outcomes)).toEqual([
    "in/1-message: skipped",
    "in/2-s3ec: skipped",
    "in/3-s3ec: skipped",
    "in/3-s3ec.instruction: skipped",
    "in/4-folder/: skipped",
    "in/5-empty: encrypted",
    "in/6-plain: encrypted",
  ])
  expect(server.count("PutObject")).toBe(2)
  expect(await read(s3, "in/5-empty")).toEqual(new Uint8Array(0))
  expect(actions(await all(encryptObjects({ client: s3, bucket: Bucket, prefix: "in/" })))[6]).toBe(
    "in/6-plain: skipped",
  )
  for await (const entry of auditObjects({ client: server.client(), bucket: Bucket, prefix: "in/" })) {
    if (entry.key !== "in/4-folder/") expect(entry).not.toMatchObject({ encrypted: false })
  }
})

test("a large object goes up in parts, and one failing part leaves the plaintext and no parts", async () => {
  const { put, client, server, stored } = await scene(1024)
  const body = pattern(300_000)
  await put("large", body, { Metadata: { m: "1" } })
  const s3 = client({ partSize: 65_536, frameLength: 4096 })
  server.intervene = ({ operation, query }) =>
    operation === "UploadPart" && query.get("partNumber") === "3" ? { status: 403, code: "AccessDenied" } : undefined
  const [failed] = await all(encryptObjects({ client: s3, bucket: Bucket }))
  expect(failed).toMatchObject({ action: "failed", error: { name: "AccessDenied" } })
  expect(Buffer.compare(await stored("large"), body)).toBe(0)
  expect(server.unfinished(Bucket)).toEqual([])
  server.intervene = undefined
  let read_ = 0
  const onBytes = (bytes: number) => {
    read_ += bytes
  }
  expect(actions(await all(encryptObjects({ client: s3, bucket: Bucket, onBytes })))).toEqual(["large: encrypted"])
  expect(read_).toBe(300_000)
  expect(Buffer.compare(await read(s3, "large"), body)).toBe(0)
})

test("a dry run says what would be done and sends nothing that writes", async () => {
  const { put, client, server, calls } = await scene()
  await put("plain", "x")
  server.forget()
  const outcomes = await all(encryptObjects({ client: client(), bucket: Bucket, dryRun: true }))
  expect(outcomes).toMatchObject([{ key: "plain", action: "encrypted", dryRun: true }])
  expect(server.log.every(({ method }) => method === "GET")).toBe(true)
  expect(await calls("GenerateDataKey")).toBe(0)
})

// OBJ-11.1, OBJ-11.2
test("a write that comes in between is never lost", async () => {
  const { put, client, server, stored } = await scene()
  await put("busy", "old")
  const writes = ["new 1", "new 2"]
  server.intervene = async ({ operation, headers }) => {
    if (operation !== "PutObject" || headers["if-match"] === undefined) return undefined
    const next = writes.shift()
    if (next !== undefined) await put("busy", next)
  }
  const s3 = client()
  expect(await all(encryptObjects({ client: s3, bucket: Bucket }))).toMatchObject([{ action: "changed" }])
  expect(Buffer.from(await stored("busy")).toString()).toBe("new 2")
  expect(actions(await all(encryptObjects({ client: s3, bucket: Bucket })))).toEqual(["busy: encrypted"])
  expect(Buffer.from(await read(s3, "busy")).toString()).toBe("new 2")
})

test("noncurrent versions are named, those included that the migration leaves", async () => {
  const { put, client, keepVersions, s3: plain } = await scene()
  await keepVersions()
  await put("v", "one")
  await put("v", "two")
  const counter = migrationCounter()
  const outcomes = await all(encryptObjects({ client: client(), bucket: Bucket }))
  for (const outcome of outcomes) counter.add(outcome)
  const { Versions = [] } = await plain.send(new ListObjectVersionsCommand({ Bucket }))
  const [, second, first] = Versions.map(({ VersionId }) => VersionId)
  expect(outcomes).toMatchObject([
    { key: "v", action: "encrypted", leftVersionId: second },
    { key: "v", action: "noncurrent", versionId: first },
  ])
  expect(counter.summary()).toMatchObject({ objects: { encrypted: 1, noncurrent: 1 }, size: 3, noncurrent: 2 })
})

test("what cannot be read fails alone", async () => {
  const { put, client } = await scene()
  await put("1-archived", "x", { StorageClass: "GLACIER" })
  await put("2-ssec", "x", { SSECustomerAlgorithm: "AES256", SSECustomerKey: "k".repeat(32) })
  await put("3-plain", "x")
  const outcomes = await all(encryptObjects({ client: client(), bucket: Bucket }))
  expect(actions(outcomes)).toEqual(["1-archived: failed", "2-ssec: failed", "3-plain: encrypted"])
})

test("an abort ends it with its reason", async () => {
  const { put, client } = await scene()
  for (let i = 0; i < 5; i++) await put(String(i), "x")
  const controller = new AbortController()
  const migration = encryptObjects({ client: client(), bucket: Bucket, signal: controller.signal, concurrency: 1 })
  const work = async () => {
    for await (const _outcome of migration) controller.abort(new Error("enough"))
  }
  expect((await errorOf(work)).message).toBe("enough")
})

test("the choice of the call is the encryption", async () => {
  const { put, client, kms, newArn, s3: plain } = await scene()
  await put("plain", "x")
  const s3 = client({ kms: kms.client() })
  await all(encryptObjects({ client: s3, bucket: Bucket, encryption: { kmsKeyId: newArn } }))
  const { Metadata } = await plain.send(new GetObjectCommand({ Bucket, Key: "plain" }))
  expect(Metadata!["envelope-key"]).toBe(newArn)
})
