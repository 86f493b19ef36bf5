import { EnvelopeError, malformed, truncated } from "../core/index.ts"
import { wipe } from "../crypto/index.ts"
import { decodeHeader, readU16 } from "../format/index.ts"
import { byteQueue, type FrameOpener, type FrameParts, frameOpener, readFrameHead, takeTurn } from "../framing/index.ts"
import { type MessageHeader, toMessageHeader } from "./header-info.ts"
import { type OpenedRead, openRead, type ReadPlan } from "./open.ts"
import { deferred, type Processor } from "./processor.ts"

interface Underway extends OpenedRead {
  readonly opener: FrameOpener
}

/** Where in the message the next byte belongs. */
type State = "header" | "body" | "footer" | "done"

/**
 * Decrypts chunks of one message; every yielded piece is the plaintext of frames whose tags verified.
 *
 * @param signed what to do with a signed message, whose frames leave before the signature is checked
 */
export function decryptor(plan: ReadPlan, signed: "refuse" | "verify-at-end"): Processor {
  const { limits } = plan
  const queue = byteQueue()
  const header = deferred<MessageHeader>()
  let state: State = "header"
  let underway: Underway | undefined
  let closed = false
  /** Bytes that must be in the queue before another attempt makes sense. */
  let needed = 1
  let sequenceNumber = 1
  /** The final frame's plaintext, until the signature verified. */
  let held: Uint8Array | undefined

  /** @returns whether there is now a header */
  const readHeader = async (): Promise<boolean> => {
    const available = Math.min(queue.length, limits.maxHeaderLength + 1)
    const decoded = decodeHeader(queue.peek(available), limits)
    if (typeof decoded === "number") {
      needed = decoded
      return false
    }
    // MSG-7.3
    if (decoded.suite.signed && signed === "refuse") throw signedRefused()
    queue.take(decoded.length)
    const opened = await openRead(plan, decoded)
    underway = { ...opened, opener: frameOpener(decoded.suite, opened.key, decoded.messageId) }
    if (closed) {
      wipe(opened.key)
      throw new EnvelopeError("Closed", "the stream was destroyed")
    }
    state = "body"
    needed = 1
    header.resolve(toMessageHeader(decoded, true))
    return true
  }

  /** @returns the plaintext of the next frame; undefined when bytes are missing or it must be held */
  const readFrame = ({ header: shape, key, opener, verifier }: Underway): Uint8Array | undefined => {
    const head = queue.peek(Math.min(queue.length, 24))
    const limit = limits.maxUnauthenticatedBytes
    const frame = readFrameHead(head, 0, sequenceNumber, shape, limit, "maxUnauthenticatedBytes")
    needed = typeof frame === "number" ? frame : frame.end
    if (queue.length < needed) return undefined
    const bytes = queue.take(needed)
    verifier?.update(bytes)
    const plaintext = opener.open(bytes, frame as FrameParts)
    sequenceNumber++
    needed = 1
    if ((frame as FrameParts).kind === "regular") return plaintext
    wipe(key)
    state = verifier === undefined ? "done" : "footer"
    if (verifier === undefined) return plaintext
    held = plaintext
    return undefined
  }

  /** @returns the held final frame once the signature verified */
  const readFooter = ({ verifier, header: { suite } }: Underway): Uint8Array | undefined => {
    needed = 2
    if (queue.length < needed) return undefined
    const length = readU16(queue.peek(2), 0)
    if (length > suite.signature!.maxSignatureLength) throw malformed("the signature is longer than its suite allows")
    needed = 2 + length
    if (queue.length < needed) return undefined
    verifier!.finish(queue.take(needed).subarray(2))
    state = "done"
    needed = 1
    const released = held
    held = undefined
    return released
  }

  /** @returns the next piece of plaintext; undefined when more bytes are needed or the message is at its end */
  const next = (current: Underway): Uint8Array | undefined => {
    while (queue.length >= needed && state !== "done") {
      const piece = state === "body" ? readFrame(current) : readFooter(current)
      if (piece !== undefined) return piece
    }
    if (state === "done" && queue.length > 0) throw malformed("bytes follow the end of the message")
    return undefined
  }

  return {
    header: header.promise,
    async *write(chunk) {
      queue.push(chunk)
      if (queue.length < needed) return
      if (underway === undefined && !(await readHeader())) return
      for (;;) {
        const piece = next(underway!)
        if (piece === undefined) return
        if (piece.length === 0) continue
        yield piece
        const turn = takeTurn(piece.length)
        if (turn !== undefined) await turn
      }
    },
    // biome-ignore lint/correctness/useYield: everything was yielded as it was read; what is left is to check the end.
    async *end() {
      if (state === "done") return
      const where = { header: "its header", body: `frame ${sequenceNumber}`, footer: "its signature" }[state]
      throw truncated(`the message ends within ${where}`)
    },
    close(error) {
      closed = true
      wipe(underway?.key, held)
      queue.clear()
      header.reject(error ?? new EnvelopeError("Closed", "the stream was destroyed"))
    },
  }
}

const signedRefused = (): EnvelopeError =>
  new EnvelopeError(
    "SignedMessage",
    'the message is signed, and a stream releases frames before the signature is checked: use decrypt(), or allow it with signed: "verify-at-end" and discard the output on error',
  )
