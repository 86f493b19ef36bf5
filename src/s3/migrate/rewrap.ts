import { CopyObjectCommand, PutObjectCommand } from "@aws-sdk/client-s3"
import { type EncryptionContext, EnvelopeError, type KmsClient } from "../../core/index.ts"
import { callKms, checkClient, kmsKeyring, parseKeyArn, parseKeyIdentifier } from "../../keyrings/index.ts"
import { type Listed, type Seen, underKeyTeller } from "../audit/index.ts"
import { ARN_KEY } from "../context.ts"
import {
  INSTRUCTION_FILE_METADATA,
  instructionFileKey,
  type ObjectEnvelope,
  type RewrappedKey,
  rewrapDataKey,
  withEnvelope,
  withoutEnvelope,
  withRewrappedKey,
} from "../s3ec/index.ts"
import { copyInPlace, MAX_COPY } from "./copy-in-place.ts"
import { type Described, describeObject } from "./kept.ts"
import { lookNow, type Outcome } from "./look-now.ts"
import type { MigratedObject } from "./outcome.ts"
import { type MigrationOptions, migrate } from "./run.ts"

export interface RewrapObjectsOptions extends MigrationOptions {
  /** Sends ReEncrypt, GenerateDataKey and DescribeKey. */
  readonly kms: KmsClient
  /** The KMS key to move to: its ARN, its id or an alias. */
  readonly toKeyId: string
  /** Only objects under this key, by its ARN. Default: all that are under another key than the new one. */
  readonly fromKeyArn?: string
  /** Messages get a bucket key, which needs the client's option `bucketKey`. Default: they do when the client has that. */
  readonly bucketKey?: boolean
  /** Bytes of an object above which it is copied in parts; default and most 5,368,709,120 (5 GiB), S3's limit. */
  readonly maxCopyBytes?: number
}

/**
 * Moves the objects of a bucket or prefix to another KMS key.
 *
 * - Objects of the S3 Encryption Client in place: one ReEncrypt for each distinct wrapped key, and a copy within S3 that
 *   replaces the metadata (or a new instruction file). No byte of the object travels, and no data key leaves KMS.
 * - Messages by reading and writing them again, as a stream under a new data key: their header is authenticated under the
 *   data key, and cannot be exchanged without giving away forgeries. The client's keyring must be able to decrypt them.
 *
 * Every write is on the condition that nobody wrote the object meanwhile. Metadata, headers, tags, storage class, SSE and
 * retention stay; ACLs do not. Noncurrent versions stay under the old key, and are named.
 *
 * @throws TypeError, RangeError; `KmsError` for a key that DescribeKey does not know; what S3 says about the bucket, while
 *   what it says about an object is in its outcome
 */
export async function* rewrapObjects(options: RewrapObjectsOptions): AsyncGenerator<MigratedObject> {
  const { kms, bucket, prefix = "", fromKeyArn, maxCopyBytes = MAX_COPY } = options
  checkClient(kms, "kms")
  if (fromKeyArn !== undefined && parseKeyArn(fromKeyArn) === undefined) {
    throw new TypeError("fromKeyArn must be the ARN of a KMS key")
  }
  if (!(maxCopyBytes >= 5 * 1024 ** 2 && maxCopyBytes <= MAX_COPY)) {
    throw new RangeError(`maxCopyBytes must be from 5 MiB to ${MAX_COPY}`)
  }
  const toKeyArn = await resolveKey(options)
  const job = {
    operation: "rewrap",
    bucket,
    prefix,
    toKeyArn,
    ...(fromKeyArn !== undefined && { fromKeyArn }),
  } as const
  const state: State = {
    options,
    toKeyArn,
    encryption: {
      keyring: kmsKeyring({ client: kms, generatorKeyId: toKeyArn }),
      ...(options.bucketKey !== undefined && { bucketKey: options.bucketKey }),
    },
    rewrapped: sharedRewraps(options, toKeyArn),
    isUnder: underKeyTeller({ keyArn: toKeyArn, kms }),
  }
  yield* migrate(options, job, (listed) => rewrapOne(listed, state))
}

// --- internal ---

interface State {
  readonly options: RewrapObjectsOptions
  readonly toKeyArn: string
  /** One object for the whole migration, so that bucket keys are shared. */
  readonly encryption: { readonly keyring: ReturnType<typeof kmsKeyring>; readonly bucketKey?: boolean }
  readonly rewrapped: (envelope: ObjectEnvelope) => Promise<RewrappedKey>
  readonly isUnder: ReturnType<typeof underKeyTeller>
}

async function resolveKey({ kms, toKeyId, signal }: RewrapObjectsOptions): Promise<string> {
  const keyId = parseKeyIdentifier(toKeyId, "toKeyId").text
  if (parseKeyArn(keyId) !== undefined) return keyId
  const { KeyMetadata } = await callKms("DescribeKey", kms, { KeyId: keyId }, { keyId, ...(signal && { signal }) })
  if (parseKeyArn(KeyMetadata?.Arn ?? "") !== undefined) return KeyMetadata!.Arn!
  throw new EnvelopeError("KmsError", `the KMS client answered DescribeKey of ${keyId} with no key ARN`)
}

/** Wrapped keys of which the result is kept: an object of the S3 Encryption Client has one to itself, or shares it. */
const MOST_SHARED = 10_000

function sharedRewraps({ kms, fromKeyArn }: RewrapObjectsOptions, toKeyArn: string): State["rewrapped"] {
  const results = new Map<string, Promise<RewrappedKey>>()
  return (envelope) => {
    const context = JSON.stringify(Object.entries(envelope.description).sort())
    const id = `${Buffer.from(envelope.wrappedKey).toString("base64")} ${context}`
    const known = results.get(id)
    if (known !== undefined) return known
    const sourceKeyId = fromKeyArn === undefined ? {} : { sourceKeyId: fromKeyArn }
    const result = rewrapDataKey(envelope, { client: kms, keyId: toKeyArn, ...sourceKeyId })
    results.set(id, result)
    // A failure is not kept: another object may have more luck.
    result.catch(() => results.delete(id))
    if (results.size > MOST_SHARED) results.delete(results.keys().next().value!)
    return result
  }
}

async function rewrapOne(listed: Listed, state: State): Promise<MigratedObject | undefined> {
  const { client, signal } = state.options
  const now = await lookNow(listed, client, signal)
  if (now === undefined) return undefined
  const { seen, outcome } = now
  const { format, problem } = seen.object
  if (format === "unknown") return { ...outcome, action: "failed", error: new Error(problem) }
  if (seen.object.encrypted !== true) {
    const reason = format === "instruction-file" ? "it goes with its object" : "it is not encrypted"
    return { ...outcome, action: "skipped", reason }
  }
  return format === "message" ? rewrapMessage(seen, outcome, state) : rewrapS3ec(seen, outcome, state)
}

async function rewrapMessage({ object, message, etag }: Seen, outcome: Outcome, state: State): Promise<MigratedObject> {
  const { client, fromKeyArn, dryRun, onBytes, signal } = state.options
  const arns = object.keys.map(({ keyArn }) => keyArn)
  if (arns.every((arn) => arn === state.toKeyArn)) return { ...outcome, action: "skipped", reason: ALREADY }
  if (fromKeyArn !== undefined && !arns.includes(fromKeyArn)) {
    return { ...outcome, action: "skipped", reason: "it is under another key" }
  }
  if (dryRun) return { ...outcome, action: "reencrypted" }
  const { bucket, key } = outcome
  const described = await describeObject(client.ciphertext, { bucket, key, etag }, signal)
  const command = new CopyObjectCommand({
    Bucket: bucket,
    Key: key,
    CopySource: `${bucket}/${key.split("/").map(encodeURIComponent).join("/")}`,
    CopySourceIfMatch: described.etag,
    IfMatch: described.etag,
    MetadataDirective: "COPY",
    ...described.kept,
  })
  const { encryption } = state
  const own = { encryption, encryptionContext: callersPairs(message?.encryptionContext) }
  await client.send(command, { ...own, ...(signal && { abortSignal: signal }) })
  onBytes?.(described.size)
  return { ...outcome, action: "reencrypted", ...left(described) }
}

/** OBJ-11.5: the pairs that the object had beside those that say where it is, which the client adds. */
const callersPairs = (context: EncryptionContext = {}): EncryptionContext =>
  Object.fromEntries(Object.entries(context).filter(([name]) => name !== ARN_KEY && !name.startsWith("aws-crypto-")))

const ALREADY = "it is under the new key already"

async function rewrapS3ec(seen: Seen, outcome: Outcome, state: State): Promise<MigratedObject> {
  const { client, dryRun, signal } = state.options
  const envelope = seen.envelope!
  if (!envelope.wrapAlgorithm.startsWith("kms")) {
    const reason = `its data key is wrapped by ${envelope.wrapAlgorithm}, not by KMS`
    return { ...outcome, action: "skipped", reason }
  }
  if (dryRun) return wouldRewrap(seen, outcome, state)
  const { bucket, key: objectKey } = outcome
  const described = await describeObject(client.ciphertext, { bucket, key: objectKey, etag: seen.etag }, signal)
  let key: RewrappedKey
  try {
    key = await state.rewrapped(envelope)
  } catch (error) {
    if ((error as Error).name !== "IncorrectKeyException") throw error
    return { ...outcome, action: "skipped", reason: "it is under another key" }
  }
  if (key.sourceKeyArn !== undefined && key.sourceKeyArn === key.keyArn) {
    return { ...outcome, action: "skipped", reason: ALREADY }
  }
  if (envelope.location === "instruction-file") await replaceInstructionFile(envelope, key, outcome, state)
  else await replaceMetadata(envelope, key, outcome, described, state)
  return { ...outcome, action: "rewrapped", ...left(described) }
}

/** A dry run writes nothing, and asks KMS by dry runs alone. */
async function wouldRewrap({ object, envelope }: Seen, outcome: Outcome, state: State): Promise<MigratedObject> {
  const { kms, fromKeyArn } = state.options
  const { serverSideKeyId: _outer, ...own } = object
  const seen: Seen = { object: { ...own, serverSide: "none" }, ...(envelope && { envelope }) }
  if ((await state.isUnder(seen)) === "yes") return { ...outcome, action: "skipped", reason: ALREADY }
  if (fromKeyArn !== undefined && (await underKeyTeller({ keyArn: fromKeyArn, kms })(seen)) === "no") {
    return { ...outcome, action: "skipped", reason: "it is under another key" }
  }
  return { ...outcome, action: "rewrapped" }
}

async function replaceMetadata(
  envelope: ObjectEnvelope,
  rewrapped: RewrappedKey,
  { bucket, key }: Outcome,
  described: Described,
  { options }: State,
): Promise<void> {
  const metadata = withEnvelope(withoutEnvelope(described.metadata), withRewrappedKey(envelope, rewrapped))
  const { client, maxCopyBytes: maxCopy = MAX_COPY, signal } = options
  await copyInPlace({ client: client.ciphertext, bucket, key, described, metadata, maxCopy, signal })
}

async function replaceInstructionFile(
  envelope: ObjectEnvelope,
  rewrapped: RewrappedKey,
  { bucket, key }: Outcome,
  { options }: State,
): Promise<void> {
  const { client, signal } = options
  const place = { bucket, key: instructionFileKey(key) }
  const { kept, metadata, etag } = await describeObject(client.ciphertext, place, signal)
  const command = new PutObjectCommand({
    Bucket: bucket,
    Key: place.key,
    Body: withRewrappedKey(envelope, rewrapped).instructionFile!,
    Metadata: { ...INSTRUCTION_FILE_METADATA, ...metadata },
    ...kept,
    IfMatch: etag,
  })
  await client.ciphertext.send(command, signal && { abortSignal: signal })
}

const left = ({ versionId }: Described) =>
  versionId === undefined || versionId === "null" ? {} : { leftVersionId: versionId }
