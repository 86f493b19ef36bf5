import type { S3Client } from "@aws-sdk/client-s3"
import type { CommitmentPolicy, EncryptionContext, Keyring } from "../core/index.ts"
import type { BucketKeyKeyringOptions, KmsClientSource } from "../keyrings/index.ts"
import { checkRules, type EncryptionChoice, type EncryptionRule, type KmsService } from "./choices.ts"
import { checkObjectContext, type ObjectContext, type ObjectPlace } from "./context.ts"
import { planS3ec, type S3ecOptions, type S3ecPlan } from "./s3ec/index.ts"

export type WriteFormat = "message" | "s3ec"

/** What an object may be, to be read. */
export type ReadFormat = "message" | "s3ec-v3" | "s3ec-v2" | "s3ec-v1" | "plaintext"

export interface EncryptedS3ClientOptions {
  /** Sends every request. Its credentials, Region, endpoint and retries hold; `close()` leaves it open. */
  readonly client: S3Client
  /** Encrypts where no rule of `defaultEncryption` and no `encryption` of the call says otherwise, and decrypts. */
  readonly keyring?: Keyring
  /** Bucket keys for `keyring`, and for every choice with `bucketKey: true`. Default: none. */
  readonly bucketKey?: Omit<BucketKeyKeyringOptions, "bucketArn">
  /** The KMS of choices with `kmsKeyId`. */
  readonly kms?: KmsClientSource
  /** `kms.service("s3")` of an embedded KMS, for AWS owned and AWS managed keys. */
  readonly service?: KmsService
  /** The ARN of the principal for whom `service` uses `alias/aws/s3`: the root of the account, a user or a role. */
  readonly onBehalfOf?: string
  /** Rules by bucket and prefix. Default: none. */
  readonly defaultEncryption?: readonly EncryptionRule[]
  /** Allows the choice `off`. Default false. */
  readonly allowUnencrypted?: boolean
  /**
   * What the encryption context says about an object's place. `arn` (default for `message`): the pair `aws:s3:arn`, so
   * that an object that was moved is refused. `none` (default for `s3ec`, so that the official clients read it): nothing.
   * Or pairs of the caller's making.
   */
  readonly objectContext?: ObjectContext
  /** Pairs for every object, written and expected. Default: none. */
  readonly encryptionContext?: EncryptionContext
  /**
   * What is read. Default: `message` and `s3ec-v3`, and `s3ec-v2` and `s3ec-v1` where the options of `s3ec` allow to read
   * those. `"mixed"`: these and plaintext, for migrations: whoever may write to the bucket can then replace an encrypted
   * object with a plaintext one.
   */
  readonly readFormats?: "mixed" | readonly ReadFormat[]
  /**
   * What is written. `message` (default): a message of the AWS Encryption SDK. `s3ec`: an object of the Amazon S3
   * Encryption Client, format V3 or, by the commitment policy of `s3ec`, V2.
   */
  readonly format?: WriteFormat
  /** Objects of the Amazon S3 Encryption Client, to read and write them. Default: they are not read. */
  readonly s3ec?: S3ecOptions
  /** Bytes of plaintext in a part of a large object; a multiple of `frameLength`, default 8,388,608 (8 MiB). S3 takes 5 MiB at least. */
  readonly partSize?: number
  /** Parts on their way at a time, each held in memory; default 4. Fewer where the parts of a long stream grow. */
  readonly maxConcurrentParts?: number
  /** Bytes of plaintext up to which an object goes up as one request; default twice `partSize`. */
  readonly multipartThreshold?: number
  /** Bytes of plaintext in a frame; default 262,144 (256 KiB). */
  readonly frameLength?: number
  /** Signed messages, for readers who must not be able to forge. They do not go up in parallel parts. Default false. */
  readonly signed?: boolean
  /** Default `RequireEncryptRequireDecrypt`. */
  readonly commitmentPolicy?: CommitmentPolicy
  /** Bytes of a signed object that is held back until its signature verified; default 67,108,864 (64 MiB). */
  readonly bufferSize?: number
  /** Authenticate the total of `ContentRange` for ranges that do not reach it: one more request. Default false. */
  readonly authenticateTotal?: boolean
  /** Keep headers and keys of objects whose ranges were read, so that the next range costs one request and no KMS call. Default: no. */
  readonly readCache?: { readonly maxAgeSeconds: number; readonly capacity?: number }
  /** The partition in ARNs of objects. Default `aws`. */
  readonly partition?: string
}

/** Options of this library beside the SDK's own, in the second argument of `send`. */
export interface EncryptionSendOptions {
  /**
   * How the object is encrypted; overrides `defaultEncryption`. On reading, `customerKey` is the only key that is tried, and
   * another choice comes before the keys that the client is configured with.
   */
  readonly encryption?: EncryptionChoice
  /** For copies: `encryption` of the source. */
  readonly copySourceEncryption?: EncryptionChoice
  /** Where the object was when it was written, to read replicas, renamed and restored objects. For copies: the source. */
  readonly boundTo?: ObjectPlace
  /** Overrides the client's, for writing. */
  readonly format?: WriteFormat
  /** Overrides the client's. */
  readonly objectContext?: ObjectContext
  /** More pairs for this object, written or expected. */
  readonly encryptionContext?: EncryptionContext
  /** Overrides the client's. */
  readonly authenticateTotal?: boolean
}

const OWN_OPTIONS: readonly (keyof EncryptionSendOptions)[] = [
  "encryption",
  "copySourceEncryption",
  "boundTo",
  "format",
  "objectContext",
  "encryptionContext",
  "authenticateTotal",
]

/** Parts the options of `send` into ours and the SDK's. */
export function splitOptions<O extends object>(
  options: (O & EncryptionSendOptions) | undefined,
): {
  own: EncryptionSendOptions
  http: O | undefined
} {
  if (options === undefined) return { own: {}, http: undefined }
  const own: Record<string, unknown> = {}
  const http: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(options)) {
    const target = OWN_OPTIONS.includes(name as keyof EncryptionSendOptions) ? own : http
    if (value !== undefined) target[name] = value
  }
  return { own, http: http as O }
}

export type Settings = Readonly<
  Required<
    Omit<
      EncryptedS3ClientOptions,
      | "keyring"
      | "bucketKey"
      | "kms"
      | "service"
      | "onBehalfOf"
      | "readCache"
      | "readFormats"
      | "commitmentPolicy"
      | "s3ec"
    >
  > &
    Pick<
      EncryptedS3ClientOptions,
      "keyring" | "bucketKey" | "kms" | "service" | "onBehalfOf" | "readCache" | "commitmentPolicy"
    > & {
      readFormats: ReadonlySet<ReadFormat>
      s3ecPlan: S3ecPlan | undefined
      /** What `objectContext` is for the format s3ec. */
      s3ecContext: ObjectContext
    }
>

const FRAME_LENGTH = 256 * 1024
const PART_SIZE = 8 * 1024 * 1024
const BUFFER_SIZE = 64 * 1024 * 1024
const ALL_FORMATS: readonly ReadFormat[] = ["message", "s3ec-v3", "s3ec-v2", "s3ec-v1", "plaintext"]

/** @throws TypeError, RangeError */
export function resolveSettings(options: EncryptedS3ClientOptions): Settings {
  if (typeof options?.client?.send !== "function") throw new TypeError("client must be an S3Client of the AWS SDK")
  const { frameLength = FRAME_LENGTH, signed = false, allowUnencrypted = false, authenticateTotal = false } = options
  const partSize = options.partSize ?? Math.ceil(PART_SIZE / frameLength) * frameLength
  checkLength("frameLength", frameLength, 1, 0xffffffff)
  checkLength("partSize", partSize, 1, 5 * 1024 ** 3)
  if (partSize % frameLength !== 0) {
    throw new RangeError(`partSize must be a multiple of frameLength, ${frameLength} bytes`)
  }
  const multipartThreshold = options.multipartThreshold ?? 2 * partSize
  checkLength("multipartThreshold", multipartThreshold, 0, 5 * 1024 ** 3)
  const { maxConcurrentParts = 4, bufferSize = BUFFER_SIZE } = options
  checkLength("maxConcurrentParts", maxConcurrentParts, 1, 1000)
  checkLength("bufferSize", bufferSize, 0, 2 ** 36)
  return {
    ...options,
    defaultEncryption: checkRules(options.defaultEncryption ?? []),
    allowUnencrypted,
    objectContext: checkObjectContext(options.objectContext),
    encryptionContext: { ...options.encryptionContext },
    readFormats: readFormatsOf(options),
    format: checkFormat(options),
    s3ecPlan: options.s3ec && planS3ec(options.s3ec),
    s3ecContext: options.objectContext ?? "none",
    partSize,
    maxConcurrentParts,
    multipartThreshold,
    frameLength,
    signed,
    bufferSize,
    authenticateTotal,
    partition: options.partition ?? "aws",
  }
}

function checkLength(name: string, value: number, least: number, most: number): void {
  if (!Number.isSafeInteger(value) || value < least || value > most) {
    throw new RangeError(`${name} must be a whole number from ${least} to ${most}`)
  }
}

function checkFormat({ format = "message", s3ec }: EncryptedS3ClientOptions): WriteFormat {
  if (format !== "message" && format !== "s3ec") throw new TypeError('format must be "message" or "s3ec"')
  if (format === "s3ec" && s3ec === undefined)
    throw new TypeError("the format s3ec needs the option s3ec, with its key")
  return format
}

function readFormatsOf({ readFormats, s3ec }: EncryptedS3ClientOptions): ReadonlySet<ReadFormat> {
  if (readFormats === undefined) return new Set(defaultFormats(s3ec))
  if (readFormats === "mixed") return new Set([...defaultFormats(s3ec), "plaintext"])
  const known = (format: ReadFormat) => ALL_FORMATS.includes(format)
  if (!Array.isArray(readFormats) || readFormats.length === 0 || !readFormats.every(known)) {
    throw new TypeError(`readFormats must be "mixed" or an array of ${ALL_FORMATS.join(", ")}`)
  }
  return new Set(readFormats)
}

/** OBJ-9.1 */
function* defaultFormats(s3ec: S3ecOptions | undefined): Generator<ReadFormat> {
  yield "message"
  yield "s3ec-v3"
  const { commitmentPolicy = "RequireEncryptRequireDecrypt", legacyWrapping, unauthenticatedCbc } = s3ec ?? {}
  if (commitmentPolicy === "RequireEncryptRequireDecrypt") return
  yield "s3ec-v2"
  if (legacyWrapping || unauthenticatedCbc) yield "s3ec-v1"
}
