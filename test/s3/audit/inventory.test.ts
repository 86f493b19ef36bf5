import { createHash } from "node:crypto"
import { gzipSync } from "node:zlib"
import { PutObjectCommand, type S3Client } from "@aws-sdk/client-s3"
import fc from "fast-check"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { encrypt } from "../../../src/index.ts"
import { csvRows } from "../../../src/s3/audit/csv.ts"
import { auditObjects } from "../../../src/s3/index.ts"
import { codeOf, errorOf } from "../../support/errors.ts"
import { aesKeyring } from "../../support/keys.ts"
import { type S3Server, startS3Server } from "../../support/s3-server/index.ts"

const manifestKey = "reports/source/daily/2026-11-24T00-00Z/manifest.json"
const fileSchema =
  "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate, StorageClass, EncryptionStatus"

let server: S3Server
let s3: S3Client
beforeEach(async () => {
  server = await startS3Server({ buckets: ["source", "reports"] })
  s3 = server.client()
})
afterEach(() => server.close())

const put = (Bucket: string, Key: string, Body: string | Uint8Array) =>
  s3.send(new PutObjectCommand({ Bucket, Key, Body }))

const row = (key: string, more: Partial<Record<string, string>> = {}) => {
  const fields = { version: "", latest: "true", marker: "false", size: "5", class: "STANDARD", sse: "SSE-S3", ...more }
  const { version, latest, marker, size } = fields
  const values = ["source", key, version, latest, marker, size, "2026-11-23T10:00:00.000Z", fields.class, fields.sse]
  return `${values.map((value) => `"${value}"`).join(",")}\n`
}

async function putReport(csv: string, manifest = {}): Promise<void> {
  const file = gzipSync(csv)
  const MD5checksum = createHash("md5").update(file).digest("hex")
  await put("reports", "reports/data/1.csv.gz", file)
  const files = [{ key: "reports/data/1.csv.gz", size: file.length, MD5checksum }]
  const whole = { sourceBucket: "source", fileFormat: "CSV", fileSchema, files, ...manifest }
  await put("reports", manifestKey, JSON.stringify(whole))
}

const audit = async (options = {}) => {
  const inventory = { bucket: "reports", manifestKey }
  const entries = []
  for await (const entry of auditObjects({ client: s3, bucket: "source", inventory, ...options })) entries.push(entry)
  return entries
}

describe("an S3 Inventory", () => {
  // OBJ-10.5
  test("takes the place of the listing", async () => {
    await put("source", "a b+ü", await encrypt("x", { keyring: aesKeyring() }))
    await put("source", 'say "no"', "plain")
    await put("source", "other/x", "plain")
    await put("source", "later", "not in the report")
    await putReport(row("a+b%2B%C3%BC") + row("say+%22no%22") + row("gone") + row("other/x"))
    expect(await audit()).toMatchObject([
      { key: "a b+ü", format: "message", encrypted: true },
      { key: 'say "no"', format: "plaintext", encrypted: false },
      { key: "other/x", format: "plaintext" },
    ])
    expect(await audit({ prefix: "other/" })).toMatchObject([{ key: "other/x" }])
    expect(server.count("ListObjectsV2")).toBe(0)
  })

  test("names delete markers and noncurrent versions, which are left out", async () => {
    await put("source", "v", "plain")
    await putReport(row("v", { version: "null" }) + row("v", { latest: "false" }) + row("v", { marker: "true" }))
    expect(await audit()).toMatchObject([{ key: "v", versionId: "null" }])
  })

  test("says how S3 encrypts what cannot be read", async () => {
    await put("source", "secret", "plain")
    await putReport(row("secret", { sse: "DSSE-KMS" }))
    server.intervene = ({ key }) => (key === "secret" ? { status: 403, code: "AccessDenied" } : undefined)
    expect(await audit()).toMatchObject([{ format: "unknown", serverSide: "DSSE-KMS", size: 5 }])
  })

  test("is refused where it is damaged, of another kind, or of another bucket", async () => {
    await putReport(row("x"), { fileFormat: "Parquet" })
    expect(await codeOf(() => audit())).toBe("UnsupportedFormat")
    await putReport(row("x").replace('"STANDARD",', ""))
    expect(await codeOf(() => audit())).toBe("MalformedMessage")
    await putReport('"unclosed')
    expect(await codeOf(() => audit())).toBe("MalformedMessage")
    await putReport(row("x"))
    await put("reports", "reports/data/1.csv.gz", gzipSync(row("y")))
    expect(await codeOf(() => audit())).toBe("TamperedMessage")
    await put("reports", "plain.csv", row("x"))
    await putReport(row("x"), { files: [{ key: "plain.csv" }] })
    expect(await codeOf(() => audit())).toBe("MalformedMessage")
    await put("reports", manifestKey, "[]")
    expect(await codeOf(() => audit())).toBe("MalformedMessage")
    await putReport(row("x"))
    expect(await errorOf(() => audit({ bucket: "reports" }))).toBeInstanceOf(TypeError)
  })
})

test("CSV reads back what was written, however it is cut", async () => {
  const field = fc.string({ unit: fc.constantFrom(...'ab,"\n\rü𝄞 ') })
  const rows = fc.array(fc.array(field, { minLength: 2, maxLength: 4 }), { maxLength: 5 })
  await fc.assert(
    fc.asyncProperty(rows, fc.integer({ min: 1, max: 7 }), async (expected, size) => {
      const quote = (text: string) => `"${text.replaceAll('"', '""')}"`
      const text = [...expected.map((one) => `${one.map(quote).join(",")}\r\n`).join("")]
      const pieces = async function* () {
        for (let i = 0; i < text.length; i += size) yield text.slice(i, i + size).join("")
      }
      const read = []
      for await (const one of csvRows(pieces())) read.push(one)
      expect(read).toEqual(expected)
    }),
  )
})
