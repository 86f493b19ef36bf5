import { type EncryptionContext, EnvelopeError, limitExceeded, traced } from "../core/index.ts"
import { wipe } from "../crypto/index.ts"
import type { Header, Limits } from "../format/index.ts"
import { type BodyJob, frameOffset, openRun } from "../framing/index.ts"
import { type MessageHeader, toMessageHeader } from "./header-info.ts"
import type { LastFrame, ReadExactly } from "./locate.ts"
import { decryptTrace, planRead, startVerifier } from "./open.ts"
import { exactReader, type OpenedAt, openAt } from "./open-at.ts"
import type { DecryptOptions } from "./options.ts"
import { fromBytes, type RandomAccessSource } from "./source.ts"

export interface OpenMessageOptions extends DecryptOptions {
  /**
   * Range reads of a signed message check its frames, not its signature, which covers the whole. `verify-first`
   * (default) refuses reads until `verify()` succeeded; `skip-signature` reads without it: whoever could decrypt the
   * message could then have forged what is read.
   */
  readonly signed?: "verify-first" | "skip-signature"
}

/** An open message. Close it: it holds the message's key. */
export interface MessageHandle extends AsyncDisposable {
  readonly header: MessageHeader
  /** All authenticated pairs: those the header stores and those only required. */
  readonly encryptionContext: EncryptionContext
  /** Bytes of plaintext, authenticated by the final frame. */
  readonly plaintextLength: number
  /**
   * Reads plaintext from `start` (default 0) up to but not including `end` (default `plaintextLength`), fetching only
   * the frames that hold it. Calls may overlap.
   *
   * @throws RangeError for a range outside the plaintext
   * @throws EnvelopeError `TamperedMessage`, `TruncatedMessage`, `SignedMessage`, `LimitExceeded` above
   *   `maxMessageLength` bytes, `Closed`
   */
  read(start?: number, end?: number, options?: { signal?: AbortSignal }): Promise<Uint8Array>
  /**
   * Reads the whole message once and checks its signature; for unsigned messages it returns at once. It vouches for the
   * bytes it read: a source that changes afterwards is caught by the frames' tags only.
   *
   * @throws EnvelopeError `TamperedMessage`, `TruncatedMessage`, `Closed`
   */
  verify(options?: { signal?: AbortSignal }): Promise<void>
  /** Overwrites the key and closes the source. */
  close(): Promise<void>
}

/** Regular frames are fetched in runs of about this many bytes. */
const RUN_LENGTH = 4 * 1024 * 1024

/**
 * Opens a message for authenticated reads at any place. Reads the header and the final frame; asks the keyring once.
 *
 * @param source the bytes of one whole message, or where to read them; closed with the handle, and on failure
 * @throws what `decrypt` throws
 */
export async function openMessage(
  source: RandomAccessSource | Uint8Array,
  options: OpenMessageOptions,
): Promise<MessageHandle> {
  const from = source instanceof Uint8Array ? fromBytes(source) : source
  try {
    const { signed = "verify-first" } = options
    if (signed !== "verify-first" && signed !== "skip-signature") {
      throw new TypeError('signed must be "verify-first" or "skip-signature"')
    }
    const plan = planRead(options)
    return await traced(
      "decrypt",
      () => decryptTrace(plan, "openMessage"),
      async (trace) => handle(from, plan.limits, await openAt(from, plan, trace), signed),
    )
  } catch (error) {
    await from.close?.()
    throw error
  }
}

function handle(
  source: RandomAccessSource,
  limits: Limits,
  { opened: { header, encryptionContext, key }, last }: OpenedAt,
  signed: string,
): MessageHandle {
  let readable = !header.suite.signed || signed === "skip-signature"
  let verified = !header.suite.signed
  let closed = false
  const checkOpen = () => {
    if (closed) throw new EnvelopeError("Closed", "the message is closed")
  }
  const reader = (signal: AbortSignal | undefined): ReadExactly => {
    const read = exactReader(source, signal)
    return async (offset, length) => {
      checkOpen()
      const bytes = await read(offset, length)
      checkOpen()
      return bytes
    }
  }
  const close = async () => {
    if (closed) return
    closed = true
    wipe(key, last.plaintext)
    await source.close?.()
  }

  return {
    header: toMessageHeader(header, true),
    encryptionContext,
    plaintextLength: last.plaintextLength,
    async read(start = 0, end = last.plaintextLength, { signal } = {}) {
      checkOpen()
      if (!readable) throw signatureFirst()
      checkRange(start, end, last.plaintextLength, limits)
      const job = { suite: header.suite, key, messageId: header.messageId, shape: header, signal }
      try {
        return await readRange(job, header.length, last, start, end, reader(signal))
      } catch (error) {
        // Closing overwrites the key, under which no tag verifies then.
        checkOpen()
        throw error
      }
    },
    async verify({ signal } = {}) {
      checkOpen()
      if (!verified) await verifySignature(header, last.bodyEnd, source.size, reader(signal))
      verified = true
      readable = true
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}

/** MSG-7.4 */
const signatureFirst = (): EnvelopeError =>
  new EnvelopeError(
    "SignedMessage",
    'the message is signed: call verify() first, or open it with signed: "skip-signature" to read without that check',
  )

function checkRange(start: number, end: number, plaintextLength: number, limits: Limits): void {
  if (!Number.isSafeInteger(start) || !Number.isSafeInteger(end) || start < 0 || start > end || end > plaintextLength) {
    throw new RangeError(`the range ${start} to ${end} is not within the plaintext of ${plaintextLength} bytes`)
  }
  if (end - start > limits.maxMessageLength) {
    throw limitExceeded("the range, in bytes,", end - start, limits.maxMessageLength, "maxMessageLength")
  }
}

/** Fetches and opens the regular frames that hold the range; the last frame's plaintext is there already. */
async function readRange(
  job: BodyJob,
  bodyAt: number,
  last: LastFrame,
  start: number,
  end: number,
  read: ReadExactly,
): Promise<Uint8Array> {
  const { frameLength } = job.shape
  const plaintext = new Uint8Array(end - start)
  const put = (piece: Uint8Array, pieceStart: number) => {
    const from = Math.max(start, pieceStart)
    const to = Math.min(end, pieceStart + piece.length)
    if (from < to) plaintext.set(piece.subarray(from - pieceStart, to - pieceStart), from - start)
  }
  if (start < end) {
    const framesPerRun = Math.max(1, Math.floor(RUN_LENGTH / frameLength))
    const stop = Math.min(last.regularFrames, Math.ceil(end / frameLength))
    for (let index = Math.floor(start / frameLength); index < stop; index += framesPerRun) {
      const count = Math.min(framesPerRun, stop - index)
      const bytes = await read(bodyAt + frameOffset(index, frameLength), frameOffset(count, frameLength))
      await openRun(job, bytes, index, count, (i, piece) => put(piece, i * frameLength))
    }
  }
  put(last.plaintext, last.regularFrames * frameLength)
  return plaintext
}

async function verifySignature(header: Header, bodyEnd: number, size: number, read: ReadExactly): Promise<void> {
  const verifier = startVerifier(header)!
  for (let at = header.length; at < bodyEnd; at += RUN_LENGTH) {
    verifier.update(await read(at, Math.min(RUN_LENGTH, bodyEnd - at)))
  }
  verifier.finish((await read(bodyEnd, size - bodyEnd)).subarray(2))
}
