import {
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  type PutObjectCommandInput,
  type S3Client,
} from "@aws-sdk/client-s3"
import { onTestFinished } from "vitest"
import { kmsDiscoveryKeyring, kmsKeyring } from "../../../src/index.ts"
import type { LocalKms } from "../../../src/local-kms/index.ts"
import { EncryptedS3Client, type EncryptedS3ClientOptions, type MigratedObject } from "../../../src/s3/index.ts"
import { planS3ec, s3ecKmsKey, sealObject, withEnvelope } from "../../../src/s3/s3ec/index.ts"
import { createKey, memoryKms } from "../../local-kms/helpers.ts"
import { type S3Server, startS3Server } from "../../support/s3-server/index.ts"

export const Bucket = "migrated"

export interface Scene {
  readonly server: S3Server
  readonly s3: S3Client
  readonly kms: LocalKms
  readonly oldArn: string
  readonly newArn: string
  /** Calls of an operation that the KMS answered. */
  calls(operation: string): Promise<number>
  client(options?: Partial<EncryptedS3ClientOptions>): EncryptedS3Client
  put(Key: string, Body: NonNullable<PutObjectCommandInput["Body"]>, more?: object): Promise<{ ETag?: string }>
  /** An object as the S3 Encryption Client writes it, under the old key. */
  putS3ec(Key: string, body: Uint8Array, more?: object, instructionFile?: boolean): Promise<void>
  head(Key: string): Promise<Record<string, unknown> & { Metadata?: Record<string, string> }>
  tags(Key: string): Promise<Record<string, string>>
  stored(Key: string): Promise<Uint8Array>
  keepVersions(): Promise<void>
}

export async function scene(minPartSize?: number): Promise<Scene> {
  const server = await startS3Server({ buckets: [Bucket], ...(minPartSize !== undefined && { minPartSize }) })
  const s3 = server.client()
  const { kms, send } = memoryKms()
  onTestFinished(async () => {
    await server.close()
    await kms.close()
  })
  const [oldArn, newArn] = [(await createKey(send)).arn, (await createKey(send)).arn]
  const put = (Key: string, Body: NonNullable<PutObjectCommandInput["Body"]>, more = {}) =>
    s3.send(new PutObjectCommand({ Bucket, Key, Body, ...more })) as Promise<{ ETag?: string }>
  return {
    server,
    s3,
    kms,
    oldArn,
    newArn,
    calls: async (eventName) => (await kms.events({ eventName })).length,
    client(options = {}) {
      const generator = kmsKeyring({ client: kms.client(), generatorKeyId: oldArn })
      const discovery = kmsDiscoveryKeyring({ client: kms.client(), allowAnyAccount: true })
      const keyring = { ...generator, unwrap: discovery.unwrap }
      const client = new EncryptedS3Client({ client: s3, keyring, ...options })
      onTestFinished(() => client.close())
      return client
    },
    put,
    async putS3ec(Key, body, more = {}, instructionFile = false) {
      const plan = planS3ec({ key: s3ecKmsKey({ client: kms.client(), keyId: oldArn }), instructionFile })
      const sealed = await sealObject(plan, body, { encryptionContext: { dept: "x" } })
      const { Metadata, ...rest } = more as { Metadata?: Record<string, string> }
      await put(Key, sealed.body, { ...rest, Metadata: withEnvelope(Metadata, sealed) })
      if (sealed.instructionFile !== undefined) await put(`${Key}.instruction`, sealed.instructionFile)
    },
    head: async (Key) => (await s3.send(new HeadObjectCommand({ Bucket, Key }))) as never,
    async tags(Key) {
      const { TagSet = [] } = await s3.send(new GetObjectTaggingCommand({ Bucket, Key }))
      return Object.fromEntries(TagSet.map((tag) => [tag.Key!, tag.Value!]))
    },
    async stored(Key) {
      const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key }))
      return Body!.transformToByteArray()
    },
    async keepVersions() {
      const VersioningConfiguration = { Status: "Enabled" } as const
      await s3.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration }))
    },
  }
}

export async function read(client: S3Client, Key: string): Promise<Uint8Array> {
  const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }))
  return Body!.transformToByteArray()
}

export async function all(migration: AsyncIterable<MigratedObject>): Promise<MigratedObject[]> {
  const outcomes = []
  for await (const outcome of migration) outcomes.push(outcome)
  return outcomes
}

/** `key: action` of each. */
export const actions = (outcomes: readonly MigratedObject[]): string[] =>
  outcomes.map(({ key, action }) => `${key}: ${action}`)
