import type { Readable } from "node:stream"
import { GetObjectCommand, PutObjectCommand, type S3Client } from "@aws-sdk/client-s3"
import type { Listed } from "../audit/index.ts"
import { nodeBody } from "../bodies.ts"
import type { EncryptionChoice } from "../choices.ts"
import { type Described, describeObject, tagsOf } from "./kept.ts"
import { lookNow } from "./look-now.ts"
import type { MigratedObject } from "./outcome.ts"
import { type MigrationOptions, migrate } from "./run.ts"

export interface EncryptObjectsOptions extends MigrationOptions {
  /** How to encrypt, as in a call of the client. Default: what the client would do for a new object of this key. */
  readonly encryption?: EncryptionChoice
}

/**
 * Brings the objects of a bucket or prefix that are not yet encrypted by a client under the envelope, in their places:
 * each is read, encrypted and written on the condition that nobody wrote it meanwhile. Metadata, headers, tags, storage
 * class, SSE and retention stay; ACLs do not. Markers of folders stay as they are.
 *
 * Where the bucket keeps versions, the plaintext stays as a noncurrent version until it is deleted.
 *
 * @throws TypeError, RangeError; what S3 says about the bucket, while what it says about an object is in its outcome
 */
export async function* encryptObjects(options: EncryptObjectsOptions): AsyncGenerator<MigratedObject> {
  const { bucket, prefix = "" } = options
  yield* migrate(options, { operation: "encrypt", bucket, prefix }, (listed) => encryptOne(listed, options))
}

// --- internal ---

async function encryptOne(listed: Listed, options: EncryptObjectsOptions): Promise<MigratedObject | undefined> {
  const { client, dryRun = false, signal } = options
  const { bucket, key } = listed
  const now = await lookNow(listed, client, signal)
  if (now === undefined) return undefined
  const { seen, outcome } = now
  const { format, size, problem } = seen.object
  if (format === "unknown") return { ...outcome, action: "failed", error: new Error(problem) }
  if (format === "instruction-file" || seen.object.encrypted) {
    return { ...outcome, action: "skipped", reason: `it is ${format} already` }
  }
  if (size === 0 && key.endsWith("/")) return { ...outcome, action: "skipped", reason: "it marks a folder" }
  if (dryRun) return { ...outcome, action: "encrypted" }
  const described = await describeObject(client.ciphertext, { bucket, key, etag: seen.etag }, signal)
  await encryptInPlace(listed, described, options)
  const { versionId } = described
  const left = versionId === undefined || versionId === "null" ? {} : { leftVersionId: versionId }
  return { ...outcome, size: described.size, action: "encrypted", ...left }
}

async function encryptInPlace(listed: Listed, described: Described, options: EncryptObjectsOptions): Promise<void> {
  const { client, encryption, onBytes, signal } = options
  const { kept, metadata, tagCount, etag, size } = described
  const Tagging = tagCount > 0 ? await tagsOf(client.ciphertext, listed, signal) : undefined
  const body = await readWhole(client.ciphertext, listed, described, signal)
  if (onBytes !== undefined) body.on("data", (chunk: Uint8Array) => onBytes(chunk.length))
  const command = new PutObjectCommand({
    Bucket: listed.bucket,
    Key: listed.key,
    Body: body,
    ContentLength: size,
    Metadata: { ...metadata },
    ...kept,
    ...(Tagging !== undefined && { Tagging }),
    IfMatch: etag,
  })
  try {
    await client.send(command, { ...(encryption && { encryption }), ...(signal && { abortSignal: signal }) })
  } finally {
    body.destroy()
  }
}

async function readWhole(
  client: S3Client,
  { bucket, key }: Listed,
  { etag }: Described,
  signal: AbortSignal | undefined,
): Promise<Readable> {
  const command = new GetObjectCommand({ Bucket: bucket, Key: key, IfMatch: etag })
  const { Body } = await client.send(command, signal && { abortSignal: signal })
  return nodeBody(Body)
}
