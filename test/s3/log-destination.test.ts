import { S3Client } from "@aws-sdk/client-s3"
import { expect, test } from "vitest"
import { kmsKeyring } from "../../src/index.ts"
import { verifyDelivery } from "../../src/local-kms/index.ts"
import { auditObjects, EncryptedS3Client, type LogDestination, logDestination } from "../../src/s3/index.ts"
import { createKey, memoryKms } from "../local-kms/helpers.ts"
import { codeOf } from "../support/errors.ts"
import { startS3Server } from "../support/s3-server/index.ts"

const bucket = "logs"

async function trail() {
  const server = await startS3Server({ buckets: [bucket] })
  const { kms, send } = memoryKms()
  const { arn } = await createKey(send)
  const keyring = kmsKeyring({ client: kms.client(), generatorKeyId: arn })
  // The SDK would notice changes by checksums, which whoever changes an object can change as well.
  const plain = server.client({ responseChecksumValidation: "WHEN_REQUIRED" })
  const client = new EncryptedS3Client({ client: plain, keyring })
  const destination = logDestination({ client, bucket, prefix: "trail/" })
  const close = async () => {
    client.close()
    await kms.close()
    await server.close()
  }
  return { server, kms, destination, [Symbol.asyncDispose]: close }
}

async function namesOf(destination: LogDestination): Promise<string[]> {
  const names = []
  for await (const name of destination.list()) names.push(name)
  return names
}

test("the audit trail of the embedded KMS goes into a bucket, encrypted itself, and verifies there", async () => {
  await using made = await trail()
  const { server, kms, destination } = made
  const first = await kms.deliverAudit(destination)
  expect(first).toMatchObject({ logFiles: 1, digestFiles: 1 })
  const again = await kms.deliverAudit(destination)
  // What encrypting the log files cost is in the trail as well.
  expect(again.events).toBeGreaterThan(0)
  const publicKey = await kms.auditPublicKey()
  const report = await verifyDelivery(destination, publicKey)
  expect(report).toMatchObject({ valid: true, digestFiles: 2, events: first.events + again.events })
  for await (const entry of auditObjects({ client: server.client(), bucket })) {
    expect(entry).toMatchObject({ key: expect.stringMatching(/^trail\/AWSLogs\//), format: "message" })
  }
  const digest = (await namesOf(destination)).find((name) => name.includes("Digest"))
  expect(server.stored(bucket, `trail/${digest}`).metadata).toMatchObject({
    signature: expect.stringMatching(/^[0-9a-f]{512}$/),
    "signature-algorithm": "SHA256withRSA",
  })
})

test("a changed file is refused, a missing one shows, and so does an exchanged signature", async () => {
  await using made = await trail()
  const { server, kms, destination } = made
  await kms.deliverAudit(destination)
  const publicKey = await kms.auditPublicKey()
  const names = await namesOf(destination)
  const digest = names.find((name) => name.includes("Digest"))!
  const log = names.find((name) => name.endsWith(".gz") && name !== digest)!
  const { metadata } = server.stored(bucket, `trail/${digest}`)
  server.edit(bucket, `trail/${digest}`, () => ({ metadata: { ...metadata, signature: "00".repeat(256) } }))
  expect(await verifyDelivery(destination, publicKey)).toMatchObject({ valid: false })
  server.edit(bucket, `trail/${digest}`, () => ({ metadata }))
  await server.tamper(bucket, `trail/${log}`, (bytes) =>
    bytes.map((byte, i) => (i === bytes.length - 20 ? byte ^ 1 : byte)),
  )
  expect(await codeOf(() => verifyDelivery(destination, publicKey))).toBe("TamperedMessage")
  expect(() => logDestination({ client: new S3Client({}), bucket: "" })).toThrow(TypeError)
})
