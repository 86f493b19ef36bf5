import { kmsDiscoveryKeyring, kmsKeyring } from "../keyrings/index.ts"
import type { LocalKms } from "../local-kms/index.ts"
import { EncryptedS3Client, type LogDestination, logDestination } from "../s3/index.ts"
import { parseS3Place } from "./s3-place.ts"
import { type S3Options, withS3 } from "./s3-session.ts"

export interface LogBucketOptions extends S3Options {
  /** Of the embedded KMS: what the files are encrypted under. */
  readonly encryptKey?: string
}

/** Runs work with a bucket as the place of delivered log files, which the embedded KMS encrypts itself. */
export const withLogBucket = <T>(
  kms: LocalKms,
  place: string,
  options: LogBucketOptions,
  work: (destination: LogDestination) => Promise<T>,
): Promise<T> =>
  withS3(options, async (s3) => {
    const { bucket, key: prefix } = parseS3Place(place)
    const client = kms.directClient()
    const { name, wrap } = kmsKeyring({
      client,
      generatorKeyId: await keyArn(kms, options.encryptKey ?? "alias/default"),
    })
    const { unwrap } = kmsDiscoveryKeyring({ client, allowAnyAccount: true })
    await using encrypted = new EncryptedS3Client({ client: s3, keyring: { name, wrap, unwrap } })
    return await work(logDestination({ client: encrypted, bucket, prefix }))
  })

// --- internal ---

async function keyArn(kms: LocalKms, keyId: string): Promise<string> {
  const command = { input: { KeyId: keyId }, constructor: { name: "DescribeKeyCommand" } }
  const { KeyMetadata } = (await kms.directClient().send(command)) as { KeyMetadata: { Arn: string } }
  return KeyMetadata.Arn
}
