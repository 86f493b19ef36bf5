import {
  type CopyObjectCommandInput,
  type CopyObjectCommandOutput,
  HeadObjectCommand,
  type HeadObjectCommandOutput,
} from "@aws-sdk/client-s3"
import type { EncryptionContext } from "../core/index.ts"
import { type Call, pick, send, sendAs } from "./call.ts"
import { type CopySource, HEADERS, sourceCall } from "./copy.ts"
import { findS3ec, type S3ecObject } from "./read-s3ec.ts"
import {
  checkStoredContext,
  envelopePlace,
  type WrittenEnvelope,
  withEnvelope,
  withoutEnvelope,
  withRewrappedKey,
  writeEnvelope,
} from "./s3ec/index.ts"
import { s3ecCall } from "./target.ts"

/** S3: larger objects are not copied by one request. */
const MAX_COPY = 5 * 1024 ** 3

/**
 * OBJ-2.7: a copy within S3, for an object of the S3 Encryption Client whose wrapped key is in its metadata. Where the
 * new place asks for another encryption context, KMS wraps the data key anew (ReEncrypt).
 *
 * @returns undefined for every other object, which is read and written again
 */
export async function copyWithinS3(
  call: Call<CopyObjectCommandInput>,
  source: CopySource,
): Promise<CopyObjectCommandOutput | undefined> {
  const { input, own, session } = call
  if ((own.format ?? session.settings.format) !== "s3ec" || own.encryption !== undefined) return undefined
  const from = sourceCall(call, source)
  const head = await send<HeadObjectCommandOutput>(call, new HeadObjectCommand(from.input))
  if (envelopePlace(head.Metadata) !== "metadata" || (head.ContentLength ?? 0) > MAX_COPY) return undefined
  const object = await findS3ec(from, head.Metadata)
  if (object === undefined) return undefined
  const expected = s3ecCall(from).encryptionContext ?? {}
  checkStoredContext(object.envelope, expected)
  const written = await envelopeAtTarget(call, object, expected)
  if (written === undefined) return undefined
  const replace = input.MetadataDirective === "REPLACE"
  const described = replace ? input : { ...pick(head, HEADERS), Metadata: withoutEnvelope(head.Metadata) }
  return sendAs(call, {
    ...input,
    ...pick(described, [...HEADERS, "Metadata"]),
    MetadataDirective: "REPLACE",
    Metadata: withEnvelope(described.Metadata, written),
    // What was looked at is what is copied.
    ...(input.CopySourceIfMatch === undefined && head.ETag !== undefined && { CopySourceIfMatch: head.ETag }),
  } as CopyObjectCommandInput)
}

/** @returns undefined where only reading and writing leads to another context */
async function envelopeAtTarget(
  call: Call<CopyObjectCommandInput>,
  { plan, envelope }: S3ecObject,
  context: EncryptionContext,
): Promise<WrittenEnvelope | undefined> {
  const target = { ...call, own: pick(call.own, ["encryptionContext", "objectContext"]) }
  const { encryptionContext = {} } = s3ecCall(target)
  if (sameContext(context, encryptionContext)) return writeEnvelope(envelope)
  const rewrapped = await plan.key.rewrap?.(envelope, encryptionContext, call.signal)
  return rewrapped && withRewrappedKey(envelope, rewrapped)
}

function sameContext(a: object, b: object): boolean {
  const sorted = (context: object) => JSON.stringify(Object.entries(context).sort(([x], [y]) => (x < y ? -1 : 1)))
  return sorted(a) === sorted(b)
}
