import { GetObjectCommand, HeadObjectCommand, PutObjectCommand, type S3Client } from "@aws-sdk/client-s3"
import { EncryptedS3Client } from "./client.ts"
import type { ObjectPlace } from "./context.ts"
import {
  findEnvelope,
  INSTRUCTION_FILE_METADATA,
  instructionFileKey,
  type NewInstructionFileOptions,
  newInstructionFile,
  planS3ec,
  type S3ecOptions,
} from "./s3ec/index.ts"

export interface ReencryptInstructionFileOptions extends NewInstructionFileOptions {
  /** How the object is read now, and the suite it must have. */
  readonly s3ec: S3ecOptions
  /**
   * What follows the object's key in the key of the new file, for a reader with another key than yours. Default:
   * `.instruction`, which replaces the present file: nobody reads the object with the present key any more.
   */
  readonly suffix?: string
}

/**
 * Writes a new instruction file for an object of the Amazon S3 Encryption Client, in which another raw key wraps the data
 * key: to rotate a raw key without touching objects, or to share one object with whoever has another key. The object
 * itself is not read.
 *
 * Replacing fails with S3's `PreconditionFailed` when somebody else wrote the file in the meantime.
 *
 * @param client the SDK's, or an `EncryptedS3Client`
 * @returns the key of the new file
 * @throws TypeError for an object without instruction file, a key that is no raw key or has the same material
 * description, and under `enforceRotation` a new file that the present key opens
 * @throws EnvelopeError `CommitmentPolicy`, `ContextMismatch`, `TamperedMessage`, `UnwrapFailed`, and S3's errors
 */
export async function reencryptInstructionFile(
  client: S3Client,
  { bucket, key }: ObjectPlace,
  options: ReencryptInstructionFileOptions,
): Promise<string> {
  const { s3ec, suffix, signal } = options
  const plan = planS3ec(s3ec)
  const inner = client instanceof EncryptedS3Client ? client.ciphertext : client
  const http = signal ? { abortSignal: signal } : {}
  const { Metadata } = await inner.send(new HeadObjectCommand({ Bucket: bucket, Key: key }), http)
  const present = instructionFileKey(key, plan.instructionFileSuffix)
  let etag: string | undefined
  const envelope = await findEnvelope(Metadata, async () => {
    const { Body, ETag } = await inner.send(new GetObjectCommand({ Bucket: bucket, Key: present }), http)
    etag = ETag
    return Body!.transformToByteArray()
  })
  if (envelope === undefined) throw new TypeError("the object has no instruction file")
  const Body = await newInstructionFile(plan, envelope, options)
  const Key = instructionFileKey(key, suffix)
  const condition = Key === present && etag !== undefined ? { IfMatch: etag } : {}
  const input = { Bucket: bucket, Key, Body, Metadata: { ...INSTRUCTION_FILE_METADATA }, ...condition }
  await inner.send(new PutObjectCommand(input), http)
  return Key
}
