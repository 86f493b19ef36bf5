import type { S3Client } from "@aws-sdk/client-s3"
import type { EncryptionContext } from "../../core/index.ts"
import type { AuditedObject } from "./entry.ts"
import { look } from "./look.ts"

export interface InspectObjectOptions {
  readonly client: S3Client
  readonly bucket: string
  readonly key: string
  /** Default: the current version. */
  readonly versionId?: string
  readonly signal?: AbortSignal
}

/** What one object says about itself. Nothing of it is authenticated. */
export interface InspectedObject extends AuditedObject {
  /** With quotes, of the bytes as stored. */
  readonly etag?: string
  /** User metadata without `x-amz-meta-`. */
  readonly metadata: Readonly<Record<string, string>>
  /** Bytes, where the format tells: see `inspect`. */
  readonly plaintextLength?: number
  /** The encryption context that a message stores, or that an S3 Encryption Client object stores for KMS. */
  readonly encryptionContext?: EncryptionContext
  /** Bytes of plaintext in a frame of a message. */
  readonly frameLength?: number
}

/**
 * Looks at one object without any key, as an audit does.
 *
 * @returns undefined where there is no such object
 */
export async function inspectObject(options: InspectObjectOptions): Promise<InspectedObject | undefined> {
  const { client, bucket, key, versionId, signal } = options
  const listed = { bucket, key, isLatest: true, ...(versionId !== undefined && { versionId }) }
  const seen = await look(listed, { client, signal })
  if (seen === undefined) return undefined
  const { object, etag, metadata = {}, message, envelope } = seen
  const isKms = envelope?.wrapAlgorithm.startsWith("kms") === true
  const encryptionContext = message?.encryptionContext ?? (isKms ? envelope?.description : undefined)
  // The body of an S3 Encryption Client object is the plaintext's length and a tag, but for CBC, which pads.
  const isGcm = envelope !== undefined && envelope.suiteId !== 0x70
  const plaintextLength = message?.plaintextLength ?? (isGcm ? object.size - 16 : undefined)
  return {
    ...object,
    ...(etag !== undefined && { etag }),
    metadata,
    ...(plaintextLength !== undefined && { plaintextLength }),
    ...(encryptionContext !== undefined && { encryptionContext }),
    ...(message !== undefined && { frameLength: message.frameLength }),
  }
}
