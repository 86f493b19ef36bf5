import {
  type CopyObjectCommandInput,
  type CopyObjectCommandOutput,
  HeadObjectCommand,
  type HeadObjectCommandOutput,
} from "@aws-sdk/client-s3"
import { type Call, pick, send, sendAs } from "./call.ts"
import { type CopySource, sourceCall } from "./copy.ts"
import { envelopePlace, withoutEnvelope } from "./s3ec/index.ts"
import { s3ecCall } from "./target.ts"

/** S3: larger objects are not copied by one request. */
const MAX_COPY = 5 * 1024 ** 3

/**
 * OBJ-2.7: a copy within S3, for an object of the S3 Encryption Client whose wrapped key is in its metadata and whose
 * context is the same there: the object reads at its new place as it did at the old one.
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
  const target = { ...call, own: pick(own, ["encryptionContext", "objectContext"]) }
  if (!sameContext(s3ecCall(from).encryptionContext, s3ecCall(target).encryptionContext)) return undefined
  const head = await send<HeadObjectCommandOutput>(call, new HeadObjectCommand(from.input))
  if (envelopePlace(head.Metadata) !== "metadata" || (head.ContentLength ?? 0) > MAX_COPY) return undefined
  const envelope = envelopeOnly(head.Metadata!)
  return sendAs(call, {
    ...input,
    // What was looked at is what is copied.
    ...(input.CopySourceIfMatch === undefined && head.ETag !== undefined && { CopySourceIfMatch: head.ETag }),
    ...(input.MetadataDirective === "REPLACE" && { Metadata: { ...withoutEnvelope(input.Metadata), ...envelope } }),
  })
}

function envelopeOnly(metadata: Record<string, string>): Record<string, string> {
  const rest = withoutEnvelope(metadata)
  return Object.fromEntries(Object.entries(metadata).filter(([name]) => !Object.hasOwn(rest, name)))
}

function sameContext(a: object = {}, b: object = {}): boolean {
  const sorted = (context: object) => JSON.stringify(Object.entries(context).sort(([x], [y]) => (x < y ? -1 : 1)))
  return sorted(a) === sorted(b)
}
