import { CreateKeyCommand, type KMSClient } from "@aws-sdk/client-kms"
import {
  GetObjectCommand,
  type GetObjectCommandInput,
  PutObjectCommand,
  type PutObjectCommandInput,
} from "@aws-sdk/client-s3"
import { type Keyring, kmsKeyring } from "../../src/index.ts"
import { LocalKms } from "../../src/local-kms/index.ts"
import { EncryptedS3Client, type EncryptedS3ClientOptions, type SendOptions } from "../../src/s3/index.ts"
import { type Recorder, recorder } from "../keyrings/kms-world.ts"
import { type S3Server, startS3Server } from "../support/s3-server/index.ts"

export const Bucket = "reports"
export const FRAME = 1024

/** An S3 server, an embedded KMS with one key, and encrypted clients over both. */
export interface S3World extends AsyncDisposable {
  readonly server: S3Server
  readonly kms: LocalKms
  readonly admin: KMSClient
  readonly keyArn: string
  /** What the clients ask of KMS. */
  readonly calls: Recorder
  readonly keyring: Keyring
  /** Small frames and parts, so that small objects have many. */
  client(options?: Partial<EncryptedS3ClientOptions>): EncryptedS3Client
  kmsOperations(): string[]
}

export async function createS3World(buckets: readonly string[] = [Bucket, "other"]): Promise<S3World> {
  const server = await startS3Server({ buckets, minPartSize: 4 * FRAME })
  const kms = LocalKms.inMemory()
  const admin = kms.client()
  const keyArn = (await admin.send(new CreateKeyCommand({}))).KeyMetadata!.Arn!
  const calls = recorder(admin)
  const keyring = kmsKeyring({ client: calls, generatorKeyId: keyArn })
  const clients: EncryptedS3Client[] = []
  return {
    server,
    kms,
    admin,
    keyArn,
    calls,
    keyring,
    client(options = {}) {
      const sizes = { frameLength: FRAME, partSize: 8 * FRAME, multipartThreshold: 16 * FRAME }
      const client = new EncryptedS3Client({ client: server.client(), keyring, ...sizes, ...options })
      clients.push(client)
      return client
    },
    kmsOperations: () => calls.sent.map(({ operation }) => operation),
    async [Symbol.asyncDispose]() {
      for (const client of clients) client.close()
      await server.close()
      await kms.close()
    },
  }
}

export type Body = PutObjectCommandInput["Body"]

export const put = (
  s3: EncryptedS3Client,
  Key: string,
  Body: NonNullable<Body>,
  input: Partial<PutObjectCommandInput> = {},
  options?: SendOptions,
) => s3.send(new PutObjectCommand({ Bucket, Key, Body, ...input }), options)

export async function get(
  s3: EncryptedS3Client,
  Key: string,
  input: Partial<GetObjectCommandInput> = {},
  options?: SendOptions,
) {
  const output = await s3.send(new GetObjectCommand({ Bucket, Key, ...input }), options)
  return { ...output, output, bytes: await output.Body!.transformToByteArray() }
}

/** The plaintext of a Range. */
export const read = async (s3: EncryptedS3Client, Key: string, Range: string, options?: SendOptions) =>
  (await get(s3, Key, { Range }, options)).bytes
