import {
  allocateUnfilled,
  type EncryptionContext,
  fromUtf8,
  limitExceeded,
  type MaybePromise,
  malformed,
  traced,
  truncated,
  viewBytes,
} from "../core/index.ts"
import { wipe } from "../crypto/index.ts"
import { decodeHeader, type Header, readU16 } from "../format/index.ts"
import { AT_ONCE, type BodyJob, openBody, openLargeBody, scanBody } from "../framing/index.ts"
import { type MessageHeader, toMessageHeader } from "./header-info.ts"
import { decryptTrace, noteHeader, type OpenedRead, openRead, planRead } from "./open.ts"
import type { DecryptOptions } from "./options.ts"
import { refuseOverlap } from "./overlap.ts"
import { updateInSlices } from "./slices.ts"

export interface Decrypted {
  /** In memory of its own. */
  readonly plaintext: Uint8Array
  /** The plaintext as UTF-8. @throws TypeError when it is not UTF-8 */
  text(): string
  /** All authenticated pairs: those the header stores and those only required. */
  readonly encryptionContext: EncryptionContext
  readonly header: MessageHeader
}

/**
 * Decrypts a message in memory. Nothing is released before every tag and, in signed messages, the signature verified.
 * Above 1 MiB the work is done in slices, so that the event loop stays free; do not change the
 * message before the promise settles.
 *
 * @param message one whole message, at most `maxMessageLength` bytes (2 GiB)
 * @throws TypeError, RangeError for options that contradict themselves
 * @throws EnvelopeError `MalformedMessage`, `UnsupportedFormat`, `TruncatedMessage`, `LimitExceeded`,
 *   `CommitmentPolicy`, `ContextMismatch`, `NoMatchingKey`, `UnwrapFailed`, `KmsError`, `TamperedMessage`, `Closed`
 */
export async function decrypt(message: ArrayBufferView | ArrayBuffer, options: DecryptOptions): Promise<Decrypted> {
  return decryptTo(messageBytes(message), undefined, options)
}

/**
 * `decrypt` into memory that the caller owns and can use again.
 *
 * @param target at least as long as the plaintext; must not overlap the message. After a failure it holds zeros where
 *   plaintext may have been
 * @returns as `decrypt`, with `plaintext` the part of `target` that holds it
 * @throws RangeError when `target` is too short; TypeError when it overlaps the message; what `decrypt` throws
 */
export async function decryptInto(
  message: ArrayBufferView | ArrayBuffer,
  target: Uint8Array,
  options: DecryptOptions,
): Promise<Decrypted> {
  const bytes = messageBytes(message)
  refuseOverlap(bytes, target)
  return decryptTo(bytes, target, options)
}

function messageBytes(message: ArrayBufferView | ArrayBuffer): Uint8Array {
  if (typeof message === "string") throw new TypeError("message must be bytes: decode a base64 text first")
  return viewBytes(message, "message")
}

function decryptTo(
  message: Uint8Array,
  target: Uint8Array | undefined,
  options: DecryptOptions,
): MaybePromise<Decrypted> {
  const plan = planRead(options)
  const { limits, signal } = plan
  if (message.length > limits.maxMessageLength) {
    throw limitExceeded("the message, in bytes,", message.length, limits.maxMessageLength, "maxMessageLength")
  }
  return traced(
    "decrypt",
    () => decryptTrace(plan, target === undefined ? "decrypt" : "decryptInto"),
    (trace) => {
      const header = decodeHeader(message, limits)
      if (typeof header === "number") throw truncated("the message ends within its header")
      noteHeader(trace, header)
      const note = (decrypted: Decrypted) => {
        if (trace !== undefined) trace.plaintextLength = decrypted.plaintext.length
        return decrypted
      }
      const finish = (opened: OpenedRead) => {
        const decrypted = openMessageBody(opened, message, target, signal)
        return decrypted instanceof Promise ? decrypted.then(note) : note(decrypted)
      }
      const opened = openRead(plan, header)
      return opened instanceof Promise ? opened.then(finish) : finish(opened)
    },
  )
}

function openMessageBody(
  opened: OpenedRead,
  message: Uint8Array,
  target: Uint8Array | undefined,
  signal: AbortSignal | undefined,
): MaybePromise<Decrypted> {
  const { header, encryptionContext, key, verifier } = opened
  const { suite, messageId } = header
  const job: BodyJob = { suite, key, messageId, shape: header, signal }
  let out: Uint8Array | undefined
  const fail = (error: unknown): never => {
    wipe(key, out)
    throw error
  }
  const succeed = (plaintext: Uint8Array) => {
    wipe(key)
    return decryptedFrom(plaintext, encryptionContext, header)
  }
  try {
    const scan = scanBody(message, header.length, header, verifier !== undefined)
    out = target && partOf(target, scan.plaintextLength)
    if (verifier === undefined) checkEnd(message, scan.end)
    const footer = verifier && findFooter(message, header, scan.end)
    // MSG-7.2: the signature comes before anything is released.
    if (scan.plaintextLength <= AT_ONCE || header.contentType === "non-framed") {
      verifier?.update(footer!.signed)
      verifier?.finish(footer!.signature)
      return succeed(openBody(job, scan, message, header.length, out))
    }
    const large = out ?? allocateUnfilled(scan.plaintextLength)
    out = large
    const work = async () => {
      if (verifier !== undefined) await updateInSlices(verifier, footer!.signed, signal)
      verifier?.finish(footer!.signature)
      await openLargeBody(job, scan, message, header.length, large)
      return large
    }
    return work().then(succeed, fail)
  } catch (error) {
    return fail(error)
  }
}

/** `text` needs no `this`, so that callers can destructure the result. */
function decryptedFrom(plaintext: Uint8Array, encryptionContext: EncryptionContext, header: Header): Decrypted {
  return {
    plaintext,
    encryptionContext,
    header: toMessageHeader(header, true),
    text: () => {
      const text = fromUtf8(plaintext)
      if (text === undefined) throw new TypeError("the plaintext is not UTF-8: use plaintext instead of text()")
      return text
    },
  }
}

/** MSG-1.1: nothing follows a message. */
function checkEnd(message: Uint8Array, end: number): void {
  if (end !== message.length) throw malformed(`${message.length - end} bytes follow the end of the message`)
}

/** What follows the body of a signed message. */
interface Footer {
  /** The body, which the verifier has yet to see. */
  readonly signed: Uint8Array
  readonly signature: Uint8Array
}

function findFooter(message: Uint8Array, header: Header, at: number): Footer {
  if (message.length < at + 2) throw truncated("the message ends before its signature")
  const end = at + 2 + readU16(message, at)
  if (message.length < end) throw truncated("the message ends within its signature")
  checkEnd(message, end)
  return { signed: message.subarray(header.length, at), signature: message.subarray(at + 2, end) }
}

function partOf(target: Uint8Array, length: number): Uint8Array {
  if (target.length >= length) return target.subarray(0, length)
  throw new RangeError(`the target has ${target.length} bytes, and the plaintext needs ${length}`)
}
