import { GetObjectCommand, HeadObjectCommand, type S3Client } from "@aws-sdk/client-s3"
import { EnvelopeError, fromUtf8 } from "../../core/index.ts"
import { suiteName } from "../../crypto/index.ts"
import { BUCKET_KEY_NAMESPACE, parseKeyArn } from "../../keyrings/index.ts"
import { type Inspected, inspect, type MessageWrappedKey } from "../../message/index.ts"
import {
  envelopePlace,
  findEnvelope,
  instructionFileKey,
  MAX_INSTRUCTION_FILE_LENGTH,
  type ObjectEnvelope,
  parseInstructionFile,
} from "../s3ec/index.ts"
import {
  type AuditedFormat,
  type AuditedKey,
  type AuditedObject,
  isEncryptedFormat,
  type ServerSideEncryption,
} from "./entry.ts"
import type { Listed } from "./listed.ts"

/** What an object says about itself, and the wrapped key where a KMS could be asked about it. */
export interface Seen {
  readonly object: AuditedObject
  /** With quotes, of the very bytes that were looked at. */
  readonly etag?: string
  readonly envelope?: ObjectEnvelope
  /** The header of a message, not authenticated. */
  readonly message?: Inspected
  readonly metadata?: Readonly<Record<string, string>>
}

export interface LookOptions {
  readonly client: S3Client
  readonly signal?: AbortSignal | undefined
}

/** Bytes of the first request: more than most headers of messages. A header may be longer and takes another one. */
const FIRST = 16 * 1024
const LONGEST_HEADER = 1024 * 1024
/** As wide as the format: an object is what it is, whatever a reader's limits say. */
const LIMITS = {
  maxHeaderLength: LONGEST_HEADER,
  maxWrappedKeys: 65_535,
  maxContextLength: 65_535,
  maxFrameLength: 2 ** 32 - 1,
}
const ARCHIVED = ["GLACIER", "DEEP_ARCHIVE"]

/**
 * OBJ-10.1: looks at an object without any key: one GET of its beginning, which brings its metadata along; for what looks like
 * plaintext one more for an instruction file.
 *
 * @returns undefined for an object that is gone meanwhile
 */
export async function look(listed: Listed, options: LookOptions): Promise<Seen | undefined> {
  try {
    const beginning = await fetchBeginning(listed, options)
    const { head, metadata } = beginning
    const { ETag } = head
    return { ...(await tell(listed, beginning, options)), metadata, ...(ETag !== undefined && { etag: ETag }) }
  } catch (error) {
    options.signal?.throwIfAborted()
    if (isMissing(error)) return undefined
    const isCustomerKey = isCustomerKeyMissing(error as Error)
    const serverSide = isCustomerKey ? "SSE-C" : (listed.serverSide ?? "unknown")
    const problem = isCustomerKey ? "S3 reads it with its customer-provided key only" : problemOf(error)
    return { object: { ...base(listed), size: listed.size ?? 0, format: "unknown", keys: [], serverSide, problem } }
  }
}

// --- internal ---

interface Beginning {
  readonly bytes: Uint8Array
  /** Bytes of the whole object. */
  readonly size: number
  readonly metadata: Readonly<Record<string, string>>
  readonly head: HeadFields
  /** Set where only metadata could be had. */
  readonly archived?: true
}

interface HeadFields {
  readonly ETag?: string | undefined
  readonly ServerSideEncryption?: string | undefined
  readonly SSEKMSKeyId?: string | undefined
  readonly SSECustomerAlgorithm?: string | undefined
  readonly StorageClass?: string | undefined
  readonly LastModified?: Date | undefined
  readonly Metadata?: Record<string, string> | undefined
  readonly ContentLength?: number | undefined
  readonly ContentRange?: string | undefined
}

const target = ({ bucket, key, versionId }: Listed) => ({
  Bucket: bucket,
  Key: key,
  ...(versionId !== undefined && { VersionId: versionId }),
})

async function fetchBeginning(listed: Listed, options: LookOptions, length = FIRST): Promise<Beginning> {
  if (ARCHIVED.includes(listed.storageClass ?? "")) return headOnly(listed, options, true)
  try {
    const command = new GetObjectCommand({ ...target(listed), Range: `bytes=0-${length - 1}` })
    const output = await options.client.send(command, abortOf(options))
    const bytes = await output.Body!.transformToByteArray()
    const whole = /\/(\d+)$/.exec(output.ContentRange ?? "")?.[1]
    const size = whole === undefined ? (output.ContentLength ?? bytes.length) : Number(whole)
    return { bytes, size, metadata: output.Metadata ?? {}, head: output }
  } catch (error) {
    const { name } = error as Error
    // OBJ-10.3. No byte satisfies a range of an object without any.
    if (name === "InvalidRange") return headOnly(listed, options, false)
    if (name === "InvalidObjectState") return headOnly(listed, options, true)
    throw error
  }
}

async function headOnly(listed: Listed, options: LookOptions, archived: boolean): Promise<Beginning> {
  const head = await options.client.send(new HeadObjectCommand(target(listed)), abortOf(options))
  const size = head.ContentLength ?? 0
  const metadata = head.Metadata ?? {}
  return { bytes: new Uint8Array(0), size, metadata, head, ...(archived && { archived }) }
}

const abortOf = ({ signal }: LookOptions) => (signal === undefined ? {} : { abortSignal: signal })

async function tell(listed: Listed, beginning: Beginning, options: LookOptions): Promise<Seen> {
  const { size, head, archived } = beginning
  const facts = { ...base(listed), ...headFacts(head), size }
  const plain = (format: AuditedFormat, problem?: string): Seen => {
    const encrypted = isEncryptedFormat(format)
    const found = { format, keys: [], ...(encrypted !== undefined && { encrypted }), ...(problem && { problem }) }
    return { object: { ...facts, ...found } }
  }
  if (size === 0) return plain("empty")
  const message = archived ? undefined : await messageOf(listed, beginning, options)
  if (message !== undefined) {
    return { object: { ...facts, ...messageFacts(message, size) }, message }
  }
  if (isInstructionFile(listed.key, beginning)) return plain("instruction-file")
  try {
    const envelope = await findEnvelope(beginning.metadata, () => fetchInstructionFile(listed, beginning, options))
    if (envelope !== undefined) return { object: { ...facts, ...envelopeFacts(envelope) }, envelope }
  } catch (error) {
    if (!(error instanceof EnvelopeError)) throw error
    return plain("unknown", error.message)
  }
  return archived ? plain("unknown", "it is archived, and its metadata do not tell") : plain("plaintext")
}

/** The header of the message that the object is; undefined when it is none. */
async function messageOf(listed: Listed, beginning: Beginning, options: LookOptions): Promise<Inspected | undefined> {
  const { bytes, size } = beginning
  try {
    return inspect(bytes, { ...LIMITS, messageLength: size })
  } catch (error) {
    if (!(error instanceof EnvelopeError) || error.code !== "TruncatedMessage") return undefined
    if (bytes.length >= Math.min(size, LONGEST_HEADER)) return undefined
    return messageOf(listed, await fetchBeginning(listed, options, LONGEST_HEADER), options)
  }
}

function messageFacts(message: Inspected, size: number) {
  const { suiteId, wrappedKeys, contentType, signed, plaintextLength } = message
  const isWhole = signed || contentType === "non-framed" || plaintextLength !== undefined
  return {
    format: "message",
    encrypted: true,
    suite: suiteName(suiteId),
    keys: wrappedKeys.map(messageKey),
    wrappedKeyIn: "message",
    ...(!isWhole && { problem: `no message of this header has ${size} bytes: it was cut or lengthened` }),
  } as const
}

function messageKey({ providerId, providerInfo, keyArn }: MessageWrappedKey): AuditedKey {
  if (keyArn !== undefined) return { keyArn, wrappedBy: "kms" }
  if (providerId !== BUCKET_KEY_NAMESPACE) return { wrappedBy: providerId }
  // OBJ-7.4: the ARN of the KMS key stands before the number sign.
  const name = providerInfo.subarray(0, Math.max(0, providerInfo.indexOf(0x23)))
  const arn = fromUtf8(name) ?? ""
  return parseKeyArn(arn) === undefined ? { wrappedBy: "bucket-key" } : { keyArn: arn, wrappedBy: "bucket-key" }
}

function envelopeFacts({ format, suiteId, wrapAlgorithm, description, location }: ObjectEnvelope) {
  const isKms = wrapAlgorithm.startsWith("kms")
  const named = isKms ? (description.kms_cmk_id ?? "") : ""
  const key = {
    ...(parseKeyArn(named) !== undefined && { keyArn: named }),
    wrappedBy: isKms ? "kms" : wrapAlgorithm,
  }
  return {
    format: `s3ec-${format.toLowerCase() as "v1" | "v2" | "v3"}`,
    encrypted: true,
    suite: suiteName(suiteId),
    keys: [key],
    wrappedKeyIn: location,
  } as const
}

const isInstructionFile = (key: string, { bytes, size }: Beginning): boolean =>
  key.endsWith(instructionFileKey("")) &&
  bytes.length >= size &&
  ["not-in-metadata", "v3-instruction-file"].some((place) => holdsEnvelope(bytes, place))

function holdsEnvelope(bytes: Uint8Array, place: string): boolean {
  try {
    parseInstructionFile(bytes, place as "not-in-metadata" | "v3-instruction-file")
    return true
  } catch {
    return false
  }
}

/** OBJ-10.2 @returns undefined where there is none, or where a file of that name beside plaintext is something else */
async function fetchInstructionFile(
  listed: Listed,
  { metadata }: Beginning,
  options: LookOptions,
): Promise<Uint8Array | undefined> {
  const Range = `bytes=0-${MAX_INSTRUCTION_FILE_LENGTH}`
  const file = { Bucket: listed.bucket, Key: instructionFileKey(listed.key), Range }
  try {
    const { Body } = await options.client.send(new GetObjectCommand(file), abortOf(options))
    const bytes = await Body!.transformToByteArray()
    const place = envelopePlace(metadata)
    return place === "not-in-metadata" && !holdsEnvelope(bytes, place) ? undefined : bytes
  } catch (error) {
    if (isMissing(error) || (error as Error).name === "InvalidRange") return undefined
    throw error
  }
}

const base = ({ bucket, key, versionId, isLatest, lastModified, storageClass }: Listed) => ({
  kind: "object" as const,
  bucket,
  key,
  ...(versionId !== undefined && { versionId }),
  isLatest,
  ...(lastModified !== undefined && { lastModified }),
  storageClass: storageClass ?? "STANDARD",
})

const SERVER_SIDE: Readonly<Record<string, ServerSideEncryption>> = {
  AES256: "SSE-S3",
  "aws:kms": "SSE-KMS",
  "aws:kms:dsse": "DSSE-KMS",
}

function headFacts({ ServerSideEncryption, SSEKMSKeyId, StorageClass, LastModified }: HeadFields) {
  const serverSide: ServerSideEncryption =
    ServerSideEncryption === undefined ? "none" : (SERVER_SIDE[ServerSideEncryption] ?? "unknown")
  return {
    serverSide,
    ...(SSEKMSKeyId !== undefined && { serverSideKeyId: SSEKMSKeyId }),
    ...(StorageClass !== undefined && { storageClass: StorageClass }),
    ...(LastModified !== undefined && { lastModified: LastModified }),
  }
}

const isMissing = (error: unknown): boolean =>
  ["NoSuchKey", "NotFound", "NoSuchVersion"].includes((error as Error).name)

/** S3 has no code of its own for it. */
const isCustomerKeyMissing = ({ name, message }: Error): boolean =>
  name === "InvalidRequest" && /server side encryption/i.test(message)

function problemOf(error: unknown): string {
  const { name, message, $metadata } = error as Error & { $metadata?: unknown }
  // Anything that S3 did not say itself, such as a network that fails, ends the audit instead of colouring it.
  if ($metadata === undefined) throw error
  return message === "" || message === "UnknownError" ? name : `${name}: ${message}`
}
