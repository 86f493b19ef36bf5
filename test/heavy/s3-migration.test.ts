import {
  CreateBucketCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { kmsDiscoveryKeyring, kmsKeyring } from "../../src/index.ts"
import { LocalKms, verifyDelivery } from "../../src/local-kms/index.ts"
import {
  auditCounter,
  auditObjects,
  EncryptedS3Client,
  encryptObjects,
  logDestination,
  type MigratedObject,
  rewrapObjects,
} from "../../src/s3/index.ts"
import { planS3ec, s3ecKmsKey, sealObject, withEnvelope } from "../../src/s3/s3ec/index.ts"
import { createKey, sendTo } from "../local-kms/helpers.ts"
import { pattern } from "../support/keys.ts"
import { moto, type RealS3, versitygw } from "../support/real-s3.ts"

const MIB = 1024 * 1024
const Bucket = "migrated"

/** What the audit and the migrations do over the small server, over servers that others wrote. */
for (const kind of [versitygw, moto]) {
  const how = kind.isInstalled ? "" : ` (skipped: ${kind.how})`
  describe.skipIf(!kind.isInstalled)(`migration and audit over ${kind.name}${how}`, () => {
    const kms = LocalKms.inMemory()
    const send = sendTo(kms.directClient())
    let server: RealS3
    let s3: S3Client
    let client: EncryptedS3Client
    let oldArn: string
    let newArn: string
    beforeAll(async () => {
      server = await kind.start()
      s3 = server.client()
      oldArn = (await createKey(send)).arn
      newArn = (await createKey(send)).arn
      const { name, wrap } = kmsKeyring({ client: kms.client(), generatorKeyId: oldArn })
      const { unwrap } = kmsDiscoveryKeyring({ client: kms.client(), allowAnyAccount: true })
      const key = s3ecKmsKey({ client: kms.client(), keyId: newArn })
      client = new EncryptedS3Client({ client: s3, keyring: { name, wrap, unwrap }, s3ec: { key } })
      await s3.send(new CreateBucketCommand({ Bucket }))
      const VersioningConfiguration = { Status: "Enabled" } as const
      await s3.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration }))
    })
    afterAll(async () => {
      client?.close()
      await server?.close()
      await kms.close()
    })

    const read = async (Key: string) => {
      const { Body, ...output } = await client.send(new GetObjectCommand({ Bucket, Key }))
      return { ...output, bytes: await Body!.transformToByteArray() }
    }
    const all = async (migration: AsyncIterable<MigratedObject>) => {
      const outcomes: string[] = []
      for await (const { key, action, error } of migration) {
        outcomes.push(`${key}: ${action}${error === undefined ? "" : ` ${error.name}: ${error.message}`}`)
      }
      return outcomes
    }
    const summary = async (options = {}) => {
      const counter = auditCounter()
      for await (const entry of auditObjects({ client: s3, bucket: Bucket, ...options })) counter.add(entry)
      return counter.summary()
    }

    test("plaintext comes under the envelope, large and small", async () => {
      const put = (Key: string, Body: Uint8Array) =>
        s3.send(
          new PutObjectCommand({ Bucket, Key, Body, ContentType: "text/x", Metadata: { mine: "1" }, Tagging: "a=b" }),
        )
      await put("a/small", pattern(1000))
      await put("b/large", pattern(20 * MIB))
      expect(await all(encryptObjects({ client, bucket: Bucket }))).toEqual([
        "a/small: encrypted",
        "b/large: encrypted",
      ])
      const { bytes, ContentType, Metadata } = await read("b/large")
      expect(Buffer.compare(bytes, pattern(20 * MIB))).toBe(0)
      expect([ContentType, Metadata]).toMatchObject(["text/x", { mine: "1" }])
      const { TagSet } = await s3.send(new GetObjectTaggingCommand({ Bucket, Key: "a/small" }))
      expect(TagSet).toEqual([{ Key: "a", Value: "b" }])
      expect(await summary()).toMatchObject({
        formats: { message: { objects: 2 } },
        keys: { [oldArn]: { objects: 2 } },
      })
      // The plaintext is in the versions still, and the audit says so.
      expect(await summary({ versions: true })).toMatchObject({ formats: { plaintext: { objects: 2 } } })
    })

    test("objects move to another key: in place, in parts, and by streaming", async () => {
      const plan = planS3ec({ key: s3ecKmsKey({ client: kms.client(), keyId: oldArn }) })
      for (const [Key, size] of [
        ["c/s3ec", 1000],
        ["d/s3ec-large", 12 * MIB],
      ] as const) {
        const sealed = await sealObject(plan, pattern(size))
        const Metadata = withEnvelope({ mine: "1" }, sealed)
        await s3.send(new PutObjectCommand({ Bucket, Key, Body: sealed.body, Metadata, Tagging: "a=b" }))
      }
      const { ETag } = await s3.send(new HeadObjectCommand({ Bucket, Key: "c/s3ec" }))
      const rewrap = (more = {}) =>
        all(
          rewrapObjects({
            client,
            kms: kms.client(),
            bucket: Bucket,
            toKeyId: newArn,
            maxCopyBytes: 5 * MIB,
            versions: false,
            ...more,
          }),
        )
      expect(await rewrap({ dryRun: true })).toEqual([
        "a/small: reencrypted",
        "b/large: reencrypted",
        "c/s3ec: rewrapped",
        "d/s3ec-large: rewrapped",
      ])
      expect(await rewrap()).toEqual([
        "a/small: reencrypted",
        "b/large: reencrypted",
        "c/s3ec: rewrapped",
        "d/s3ec-large: rewrapped",
      ])
      expect((await s3.send(new HeadObjectCommand({ Bucket, Key: "c/s3ec" }))).ETag).toBe(ETag)
      const { TagSet } = await s3.send(new GetObjectTaggingCommand({ Bucket, Key: "d/s3ec-large" }))
      expect(TagSet).toEqual([{ Key: "a", Value: "b" }])
      await send("DisableKey", { KeyId: oldArn })
      for (const [key, size] of [
        ["a/small", 1000],
        ["b/large", 20 * MIB],
        ["c/s3ec", 1000],
        ["d/s3ec-large", 12 * MIB],
      ] as const) {
        expect(Buffer.compare((await read(key)).bytes, pattern(size)), key).toBe(0)
      }
      expect(await summary({ underKey: { keyArn: newArn, kms: kms.client() } })).toMatchObject({
        underKey: { yes: 4, no: 0, unknown: 0 },
      })
      expect((await rewrap()).every((outcome) => outcome.endsWith(": skipped"))).toBe(true)
    })

    test("the audit trail is delivered and verified", async () => {
      const { name, wrap } = kmsKeyring({ client: kms.client(), generatorKeyId: newArn })
      const { unwrap } = kmsDiscoveryKeyring({ client: kms.client(), allowAnyAccount: true })
      await using logs = new EncryptedS3Client({ client: s3, keyring: { name, wrap, unwrap } })
      const destination = logDestination({ client: logs, bucket: Bucket, prefix: "trail/" })
      const { events } = await kms.deliverAudit(destination)
      const report = await verifyDelivery(destination, await kms.auditPublicKey())
      expect(report).toMatchObject({ valid: true, events, problems: [] })
    })
  })
}
