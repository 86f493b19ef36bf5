/**
 * What an object is:
 *
 * - `message`: one whole AWS Encryption SDK message;
 * - `s3ec-v1`, `-v2`, `-v3`: an object of the Amazon S3 Encryption Client, by the version of its format;
 * - `instruction-file`: holds the wrapped key of such an object, and no data;
 * - `plaintext`: none of these; `empty`: no bytes at all, so that there is nothing to encrypt;
 * - `unknown`: it could not be read; `problem` says why.
 */
export type AuditedFormat =
  | "message"
  | "s3ec-v1"
  | "s3ec-v2"
  | "s3ec-v3"
  | "instruction-file"
  | "plaintext"
  | "empty"
  | "unknown"

/** How S3 itself encrypts the object, beneath all that. `none` is possible for old objects only. */
export type ServerSideEncryption = "none" | "SSE-S3" | "SSE-KMS" | "DSSE-KMS" | "SSE-C" | "unknown"

/** A key that wraps the object's data key, as the object itself says. */
export interface AuditedKey {
  /** The ARN of the KMS key, where the object names it. Objects of the S3 Encryption Client do not. */
  readonly keyArn?: string
  /**
   * Who wrapped the data key: `kms`; `bucket-key`, a bucket key that `keyArn` wraps; or a raw key, by the namespace of
   * a message or the wrapping algorithm of an S3 Encryption Client object.
   */
  readonly wrappedBy: string
}

export interface AuditedObject {
  readonly kind: "object"
  readonly bucket: string
  readonly key: string
  /** In buckets that keep versions. */
  readonly versionId?: string
  /** False for noncurrent versions, which are looked at with `versions: true`. */
  readonly isLatest: boolean
  /** Bytes as stored. */
  readonly size: number
  readonly lastModified?: Date
  readonly storageClass: string
  readonly format: AuditedFormat
  /** Whether its data is encrypted by the client; undefined for `instruction-file`, `empty` and `unknown`. */
  readonly encrypted?: boolean
  /** For instance `0x0478` (messages) or `0x0073` (S3 Encryption Client). */
  readonly suite?: string
  readonly keys: readonly AuditedKey[]
  readonly wrappedKeyIn?: "message" | "metadata" | "instruction-file"
  readonly serverSide: ServerSideEncryption
  /** The ARN or id of the KMS key that S3 uses. */
  readonly serverSideKeyId?: string
  /** With the option `underKey`: whether that key is needed to read the object, on either layer. */
  readonly underKey?: "yes" | "no" | "unknown"
  /** What kept the audit from telling, or what is wrong with the object. */
  readonly problem?: string
}

/** A multipart upload that was neither completed nor aborted: its parts are stored and paid for. */
export interface AuditedUpload {
  readonly kind: "upload"
  readonly bucket: string
  readonly key: string
  readonly uploadId: string
  readonly initiated?: Date
  readonly parts: number
  /** Bytes of the parts. */
  readonly size: number
}

export type AuditEntry = AuditedObject | AuditedUpload

export const isEncryptedFormat = (format: AuditedFormat): boolean | undefined =>
  format === "plaintext" ? false : format === "message" || format.startsWith("s3ec") ? true : undefined
