import type { Readable } from "node:stream"
import type { GetObjectCommandOutput, HeadObjectCommandOutput } from "@aws-sdk/client-s3"
import { EnvelopeError } from "../core/index.ts"
import { suiteName } from "../crypto/index.ts"
import type { Call } from "./call.ts"
import { fetchInstructionFile } from "./instruction.ts"
import { type ObjectEnvelope as EnvelopeInfo, withEnvelopeInfo } from "./metadata.ts"
import type { ReadFormat } from "./options.ts"
import { bytesBody, sdkBody } from "./output-body.ts"
import { type GetCall, plainOutput } from "./reading.ts"
import {
  checkRangeReadable,
  checkReadable,
  envelopePlace,
  findEnvelope,
  type ObjectEnvelope,
  openedStream,
  openObject,
  openRange,
  type PlaintextRange,
  plaintextLengthOf,
  rangeToFetch,
  type S3ecPlan,
} from "./s3ec/index.ts"
import { s3ecCall } from "./target.ts"

type Metadata = GetObjectCommandOutput["Metadata"]

/** Whether the metadata say that an object is one of the S3 Encryption Client. */
export const isS3ec = (metadata: Metadata): boolean => envelopePlace(metadata) !== "not-in-metadata"

/** An object whose envelope is found, and may be read. */
export interface S3ecObject {
  readonly plan: S3ecPlan
  readonly envelope: ObjectEnvelope
}

/**
 * OBJ-9.4: the envelope of an object, from its metadata or its instruction file.
 *
 * @returns undefined for an object without one
 * @throws EnvelopeError `UnsupportedFormat` for a format that is not to be read, `CommitmentPolicy`, `MalformedMessage`
 */
export async function findS3ec(call: Call, metadata: Metadata): Promise<S3ecObject | undefined> {
  const { settings } = call.session
  const plan = settings.s3ecPlan
  const place = envelopePlace(metadata)
  // The older formats may have nothing on the object that tells them from plaintext.
  if (place === "not-in-metadata" && !settings.readFormats.has("s3ec-v2")) return undefined
  if (plan === undefined) {
    if (place === "not-in-metadata") return undefined
    throw refused("the object is one of the Amazon S3 Encryption Client: to read it, give the client's option s3ec")
  }
  const envelope = await findEnvelope(metadata, () => fetchInstructionFile(call))
  if (envelope === undefined) return undefined
  const format = `s3ec-${envelope.format.toLowerCase()}` as ReadFormat
  if (!settings.readFormats.has(format))
    throw refused(`the object has the format ${format}, which readFormats does not name`)
  checkReadable(plan, envelope)
  return { plan, envelope }
}

const refused = (what: string): EnvelopeError => new EnvelopeError("UnsupportedFormat", what)

const infoOf = (
  { suiteId }: ObjectEnvelope,
  plaintextLength: number | undefined,
  authenticated: boolean,
): EnvelopeInfo => ({
  format: "s3ec",
  suite: suiteName(suiteId),
  ...(plaintextLength !== undefined && { plaintextLength }),
  plaintextLengthAuthenticated: authenticated,
  authenticated,
})

/** A whole object: nothing of it is released before its one tag verified, unless the options say otherwise. */
export async function openS3ec(
  call: GetCall,
  { plan, envelope }: S3ecObject,
  output: GetObjectCommandOutput,
  body: Uint8Array | Readable,
  size: number,
): Promise<GetObjectCommandOutput> {
  const options = s3ecCall(call)
  if (body instanceof Uint8Array) {
    const plaintext = await openObject(plan, envelope, body, options)
    const fields = { Body: bytesBody(plaintext), ContentLength: plaintext.length }
    return withEnvelopeInfo(plainOutput(output, fields), infoOf(envelope, plaintext.length, envelope.suiteId !== 0x70))
  }
  const stream = await openedStream(plan, envelope, body, { ...options, objectLength: size })
  const length = plaintextLengthOf(envelope, size)
  const fields = { Body: sdkBody(stream, length), ...(length !== undefined && { ContentLength: length }) }
  return withEnvelopeInfo(plainOutput(output, fields), infoOf(envelope, length, false))
}

/** Bytes of plaintext of an object whose ranges may be read. @throws EnvelopeError `UnsupportedFormat` */
export function rangeableLength({ plan, envelope }: S3ecObject, size: number): number {
  checkRangeReadable(plan, envelope)
  return plaintextLengthOf(envelope, size)!
}

/** A range, which nothing authenticates. @param fetch the object's bytes from `start` to `end` */
export async function openS3ecRange(
  call: GetCall,
  { plan, envelope }: S3ecObject,
  output: GetObjectCommandOutput,
  range: PlaintextRange,
  total: number,
  fetch: (start: number, end: number) => Promise<Uint8Array>,
): Promise<GetObjectCommandOutput> {
  const { start, end } = rangeToFetch(range)
  const bytes = await openRange(plan, envelope, range, await fetch(start, end), s3ecCall(call))
  const ContentRange = `bytes ${range.start}-${range.end - 1}/${total}`
  const fields = { Body: bytesBody(bytes), ContentLength: bytes.length, ContentRange }
  return withEnvelopeInfo(plainOutput(output, fields), infoOf(envelope, total, false))
}

/** HEAD: the length by the object's size, which nothing authenticates. @returns undefined for AES-CBC, whose padding hides it */
export async function describeS3ec(output: HeadObjectCommandOutput, size: number): Promise<EnvelopeInfo | undefined> {
  const place = envelopePlace(output.Metadata)
  if (place === "not-in-metadata") return undefined
  // What stays on the object beside an instruction file is of format V3.
  const envelope = place === "metadata" ? await findEnvelope(output.Metadata) : { suiteId: 0x73 as const }
  return infoOf(envelope as ObjectEnvelope, plaintextLengthOf(envelope as ObjectEnvelope, size), false)
}
