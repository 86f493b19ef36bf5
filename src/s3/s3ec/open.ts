import type { Readable } from "node:stream"
import { allocateUnfilled, concatBytes, limitExceeded, truncated, viewBytes } from "../../core/index.ts"
import { openBody, openCbcBody, TAG_LENGTH, wipe } from "../../crypto/index.ts"
import { type ContentKey, checkReadable, obtainContentKey, type S3ecCallOptions } from "./content-key.ts"
import type { ObjectEnvelope } from "./envelope.ts"
import { heldBack } from "./held-back.ts"
import { MAX_PLAINTEXT_LENGTH, type S3ecPlan } from "./plan.ts"
import { type ByteSource, destroySource, readableOf, toSource } from "./readable.ts"

/** Bytes of plaintext of an object of so many bytes; undefined for AES-CBC, whose padding only its end tells. */
export function plaintextLengthOf(envelope: ObjectEnvelope, objectLength: number): number | undefined {
  return envelope.suiteId === 0x70 ? undefined : Math.max(0, objectLength - TAG_LENGTH)
}

/**
 * The plaintext of an object held in memory, whose tag verified.
 *
 * @throws EnvelopeError `TamperedMessage`, `TruncatedMessage`, and what `unwrapDataKey` throws
 */
export async function openObject(
  plan: S3ecPlan,
  envelope: ObjectEnvelope,
  body: Uint8Array,
  options: S3ecCallOptions = {},
): Promise<Uint8Array> {
  checkReadable(plan, envelope)
  checkObjectLength(envelope, body.length)
  const opener = await beginOpening(plan, envelope, options)
  const parts: Uint8Array[] = []
  try {
    parts.push(opener.update(body))
    parts.push(opener.finish())
    if (parts[1]!.length === 0) return parts.shift()!
    return concatBytes(parts)
  } finally {
    // After success what is left here is empty, or was copied.
    wipe(...parts)
  }
}

/**
 * An object's plaintext as a stream, which gives nothing out before the tag verified, unless the options say otherwise.
 * The source is destroyed with the stream.
 *
 * @param objectLength bytes of the object, where known: an object that is too large is then refused before any is read
 * @throws EnvelopeError `LimitExceeded`, `TruncatedMessage`, and what `unwrapDataKey` throws; later errors destroy the stream
 */
export async function openedStream(
  plan: S3ecPlan,
  envelope: ObjectEnvelope,
  source: ByteSource,
  options: S3ecCallOptions & { readonly objectLength?: number } = {},
): Promise<Readable> {
  const { objectLength, signal } = options
  const chunks = toSource(source)
  try {
    checkReadable(plan, envelope)
    if (objectLength !== undefined) {
      checkObjectLength(envelope, objectLength)
      checkBuffer(plan, objectLength - (envelope.suiteId === 0x70 ? 0 : TAG_LENGTH))
    }
    const opener = await beginOpening(plan, envelope, options)
    const plaintext = openPieces(opener, chunks, objectLength)
    const pieces = plan.release.when === "at-once" ? plaintext : heldBack(plaintext, plan.release, signal)
    return readableOf(pieces, chunks, signal)
  } catch (error) {
    destroySource(chunks)
    throw error
  }
}

// --- internal ---

function checkObjectLength({ suiteId }: ObjectEnvelope, length: number): void {
  const least = suiteId === 0x70 ? 16 : TAG_LENGTH
  if (length < least) throw truncated(`the object is ${length} bytes, and no encrypted one is below ${least}`)
  // CSE-2.6
  if (suiteId !== 0x70 && length - TAG_LENGTH > MAX_PLAINTEXT_LENGTH) {
    throw limitExceeded("the object's plaintext, in bytes,", length - TAG_LENGTH, MAX_PLAINTEXT_LENGTH, "none")
  }
}

/** CSE-8.1 */
function checkBuffer({ release }: S3ecPlan, length: number): void {
  if (release.when === "verified" && release.spool === undefined && length > release.bufferSize) {
    throw limitExceeded("the object's plaintext, in bytes,", length, release.bufferSize, "bufferSize, or spool")
  }
}

/** The cipher of one object; its key is overwritten as soon as OpenSSL has its copy. */
interface Opener {
  /** Plaintext that is not authentic yet. */
  update(chunk: Uint8Array): Uint8Array
  /** The rest. @throws EnvelopeError `TamperedMessage`, `TruncatedMessage` */
  finish(): Uint8Array
}

async function beginOpening(plan: S3ecPlan, envelope: ObjectEnvelope, options: S3ecCallOptions): Promise<Opener> {
  const content = await obtainContentKey(plan, envelope, options)
  try {
    return content.suiteId === 0x70 ? openCbcBody(content.key, content.iv) : authenticatedOpener(content)
  } finally {
    wipe(content.key)
  }
}

const EMPTY = new Uint8Array(0)

/** CSE-2.1: the last 16 bytes are the tag, and only the end tells which those are. */
function authenticatedOpener({ key, iv, aad }: ContentKey): Opener {
  const decipher = openBody(key, iv, aad)
  let tail: Uint8Array = EMPTY
  let length = 0
  return {
    update(chunk) {
      const surplus = tail.length + chunk.length - TAG_LENGTH
      if (surplus <= 0) {
        tail = concatBytes([tail, chunk])
        return EMPTY
      }
      length += surplus
      if (length > MAX_PLAINTEXT_LENGTH) {
        throw limitExceeded("the object's plaintext, in bytes,", length, MAX_PLAINTEXT_LENGTH, "none")
      }
      const fromTail = tail.subarray(0, surplus)
      const first = fromTail.length > 0 ? decipher.update(fromTail) : EMPTY
      const fromChunk = chunk.length - Math.min(chunk.length, TAG_LENGTH)
      const second = decipher.update(chunk.subarray(0, Math.max(0, surplus - fromTail.length)))
      tail = concatBytes([tail.subarray(fromTail.length), chunk.subarray(fromChunk)])
      return join(first, second)
    },
    finish() {
      if (tail.length < TAG_LENGTH) throw truncated("the object ends before its tag")
      decipher.finish(tail)
      return EMPTY
    },
  }
}

function join(first: Uint8Array, second: Uint8Array): Uint8Array {
  if (first.length === 0) return second
  const all = allocateUnfilled(first.length + second.length)
  all.set(first)
  all.set(second, first.length)
  wipe(first, second)
  return all
}

/** Ends in an error when the object is not authentic. */
async function* openPieces(opener: Opener, source: ByteSource, objectLength: number | undefined) {
  let received = 0
  for await (const given of source) {
    const chunk = viewBytes(given, "chunk")
    received += chunk.length
    const piece = opener.update(chunk)
    if (piece.length > 0) yield piece
  }
  if (objectLength !== undefined && received < objectLength) {
    throw truncated(`the object ended after ${received} of ${objectLength} bytes`)
  }
  const rest = opener.finish()
  if (rest.length > 0) yield rest
}
