import { S3Client } from "@aws-sdk/client-s3"
import type { Keyring } from "../core/index.ts"
import {
  type AuditedObject,
  EncryptedS3Client,
  type EncryptedS3ClientOptions,
  s3ecKmsDiscoveryKey,
  s3ecKmsKey,
} from "../s3/index.ts"
import { contextOptions } from "./context.ts"
import { CliError, isErrno, orUsageError, usageError } from "./failures.ts"
import { encryptionKeyring, keyArn, readingKeyring } from "./keys.ts"
import { type Kms, openKms } from "./kms.ts"
import { kmsAddress } from "./kms-address.ts"
import type { CommonOptions } from "./options.ts"
import { formatS3Place, parseS3Object, type S3Place } from "./s3-place.ts"
import { readRules, ruleOf } from "./s3-rules.ts"

export interface S3Options extends CommonOptions {
  readonly endpoint?: string
  readonly region?: string
}

/** How objects are written and read. */
export interface ObjectOptions extends S3Options {
  readonly key?: string[]
  readonly account?: string[]
  readonly context?: string[]
  readonly objectContext?: "arn" | "none"
  readonly boundTo?: string
  readonly bucketKey?: boolean
  readonly parallel?: number
  readonly format?: "message" | "s3ec"
  readonly allowPlaintext?: boolean
}

/** @throws CliError `usage` */
function openS3({ endpoint, region }: S3Options): S3Client {
  // What the SDK has to say about old versions of Node is for developers.
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= "true"
  const { AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, AWS_REGION } = process.env
  if (endpoint !== undefined && !/^https?:\/\//.test(endpoint)) {
    throw usageError(`'${endpoint}' is no address`, "--endpoint takes an http:// or https:// address")
  }
  // Other servers than AWS seldom have a host name for each bucket.
  const isElsewhere = endpoint !== undefined || Boolean(AWS_ENDPOINT_URL_S3 || AWS_ENDPOINT_URL)
  const place = region ?? (isElsewhere ? (AWS_REGION ?? "us-east-1") : undefined)
  return new S3Client({
    ...(endpoint !== undefined && { endpoint }),
    ...(place !== undefined && { region: place }),
    forcePathStyle: isElsewhere,
  })
}

/** Runs work with S3 alone. */
export async function withS3<T>(options: S3Options, work: (s3: S3Client) => Promise<T>): Promise<T> {
  const s3 = openS3(options)
  try {
    return await orUsageError(() => work(s3))
  } catch (error) {
    throw s3Error(error)
  } finally {
    s3.destroy()
  }
}

export interface ObjectSession {
  readonly s3: S3Client
  readonly kms: Kms
  readonly client: EncryptedS3Client
}

export interface SessionKeys {
  /** Which KMS keys the objects to be read name; undefined when nothing is read. */
  readonly reads?: readonly string[]
  /** Where an object is written, if one is. */
  readonly writes?: S3Place
}

/** Runs work with S3, a KMS and an encrypting client over both. */
export async function withObjects<T>(
  options: ObjectOptions,
  keys: (s3: S3Client) => Promise<SessionKeys>,
  work: (session: ObjectSession) => Promise<T>,
): Promise<T> {
  return withS3(options, async (s3) => {
    const wanted = await keys(s3)
    const kms = await openKms(kmsAddress(options.kms))
    try {
      const client = new EncryptedS3Client(await clientOptions(s3, kms, options, wanted))
      try {
        return await work({ s3, kms, client })
      } finally {
        client.close()
      }
    } finally {
      await kms.close()
    }
  })
}

/** What `send` takes beside the SDK's own options. */
export const sendOptions = ({ context, boundTo }: ObjectOptions) => ({
  ...contextOptions(context),
  ...(boundTo !== undefined && { boundTo: parseS3Object(boundTo) }),
})

export const keyArnsOf = ({ keys }: Pick<AuditedObject, "keys">): string[] => keys.flatMap(({ keyArn }) => keyArn ?? [])

export const noSuchObject = (place: S3Place): CliError =>
  new CliError("s3Refused", `there is no object ${formatS3Place(place)}`, {
    hint: "envelope s3 ls shows what there is",
  })

// --- internal ---

const BUCKET_KEY = { maxAgeSeconds: 300 }

async function clientOptions(
  client: S3Client,
  kms: Kms,
  options: ObjectOptions,
  { reads, writes }: SessionKeys,
): Promise<EncryptedS3ClientOptions> {
  const { key, account, objectContext, parallel, bucketKey, format, allowPlaintext } = options
  const rules = key === undefined ? await readRules() : []
  const hasRule = writes !== undefined && ruleOf(rules, writes) !== undefined
  const writer = writes === undefined || hasRule ? undefined : await encryptionKeyring(kms, key)
  const given = reads === undefined ? {} : writes === undefined ? { key, account } : { account }
  const reader = reads === undefined ? undefined : await readingKeyring(kms, reads, given)
  const keyring = joined(writer, reader)
  const { service } = kms
  const ecKey = await s3ecKey(kms, options, writes !== undefined && !hasRule)
  return {
    client,
    kms: (region) => kms.client(`arn:aws:kms:${region}:`),
    ...(keyring && { keyring }),
    ...(service && { service: service.s3, onBehalfOf: service.accountRoot }),
    ...(rules.length > 0 && { defaultEncryption: rules, allowUnencrypted: rules.some((rule) => rule.encryption.off) }),
    ...((bucketKey || rules.some((rule) => rule.encryption.bucketKey)) && { bucketKey: BUCKET_KEY }),
    ...(objectContext !== undefined && { objectContext }),
    ...(parallel !== undefined && { maxConcurrentParts: parallel }),
    ...(format !== undefined && { format }),
    ...(allowPlaintext && { readFormats: "mixed" as const }),
    s3ec: { key: ecKey, commitmentPolicy: "RequireEncryptAllowDecrypt" },
    readCache: { maxAgeSeconds: 300 },
  }
}

/** The S3 Encryption Client's way to wrap: one KMS key. */
async function s3ecKey(kms: Kms, { key, format }: ObjectOptions, writes: boolean) {
  const [first] = key ?? []
  if (first === undefined && !(writes && format === "s3ec")) return s3ecKmsDiscoveryKey({ client: kms.client() })
  const keyId = await keyArn(kms, first ?? process.env.ENVELOPE_KEY ?? "alias/default")
  return s3ecKmsKey({ client: kms.client(keyId), keyId })
}

/** Wraps as one keyring does, and unwraps as another. */
function joined(writer: Keyring | undefined, reader: Keyring | undefined): Keyring | undefined {
  if (writer === undefined || reader === undefined) return writer ?? reader
  const { name, wrap } = writer
  return { name, wrap: (request) => wrap.call(writer, request), unwrap: (request) => reader.unwrap(request) }
}

/** An error of S3 as its own class of failure: those of KMS come as errors of this library. */
function s3Error(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof CliError) return error
  if (isOfS3(error)) {
    const { name, message } = error
    const detail = message === "" || message === "UnknownError" || message === name ? "" : `: ${message}`
    const hint = hints[name]
    if (unreachable.includes(name)) return new CliError("s3Unreachable", `S3: ${name}${detail}`, { hint, cause: error })
    return new CliError("s3Refused", `S3 refused: ${name}${detail}`, { hint, cause: error })
  }
  const isNetwork =
    isErrno(error) && error.syscall !== undefined && ["connect", "getaddrinfo", "read"].includes(error.syscall)
  if (isNetwork && error.path === undefined) {
    const hint = "check the network and the address of S3 (--endpoint)"
    return new CliError("s3Unreachable", `S3 cannot be reached: ${error.message}`, { hint, cause: error })
  }
  return error
}

const unreachable = [
  "CredentialsProviderError",
  "TokenProviderError",
  "ExpiredToken",
  "TimeoutError",
  "InvalidAccessKeyId",
]

const hints: Readonly<Record<string, string>> = {
  CredentialsProviderError: "the AWS SDK found no credentials: set AWS_PROFILE, or run aws configure",
  TokenProviderError: "the AWS SDK found no credentials: run aws sso login",
  ExpiredToken: "the AWS credentials have expired: get new ones",
  InvalidAccessKeyId: "S3 does not know these credentials",
  SignatureDoesNotMatch: "check the secret access key and the clock",
  NoSuchBucket: "envelope s3 ls shows the buckets",
  NoSuchKey: "envelope s3 ls shows what there is",
  PreconditionFailed: "the object exists already, or was written meanwhile",
}

/** By the names of its classes: a program may hold two copies of the SDK. */
function isOfS3(error: Error): boolean {
  for (let at: object | null = error; at !== null; at = Object.getPrototypeOf(at) as object | null) {
    const { name } = at.constructor
    if (name === "S3ServiceException" || name === "CredentialsProviderError") return true
  }
  return ["TimeoutError", "TokenProviderError"].includes(error.name)
}
