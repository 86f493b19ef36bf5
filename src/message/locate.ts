import { malformed, truncated } from "../core/index.ts"
import { FINAL_HEAD, type Header, type Limits, NON_FRAMED_HEAD, readU16 } from "../format/index.ts"
import { type FrameOpener, type FrameParts, frameOffset, layoutOfBody, readFrameHead } from "../framing/index.ts"

/** Reads exactly `length` bytes at `offset` of the message, or throws `TruncatedMessage`. */
export type ReadExactly = (offset: number, length: number) => Promise<Uint8Array>

/** What the last frame authenticates. */
export interface LastFrame {
  readonly plaintextLength: number
  readonly regularFrames: number
  /** Where the footer, or the end of the message, is. */
  readonly bodyEnd: number
  readonly plaintext: Uint8Array
}

/**
 * Finds and authenticates the frame that ends the body: only then is the length of the plaintext known (MSG-8.3).
 *
 * @throws EnvelopeError `TruncatedMessage`, `TamperedMessage`, `MalformedMessage`, `LimitExceeded`
 */
export async function openLastFrame(
  header: Header,
  opener: FrameOpener,
  size: number,
  limits: Limits,
  read: ReadExactly,
): Promise<LastFrame> {
  const ends = header.suite.signature === undefined ? [size] : await possibleBodyEnds(header, size, read)
  let failure: unknown = truncated("the message does not end with a final frame and a signature")
  for (const bodyEnd of ends) {
    try {
      return await openLastFrameBefore(bodyEnd, header, opener, limits, read)
    } catch (error) {
      failure = error
    }
  }
  throw failure
}

/**
 * Where the body of a signed message may end: its footer has no fixed length, so every length is tried that its two
 * length bytes and the DER length (X.690, section 8.1.3) confirm. Almost always there is one.
 */
async function possibleBodyEnds(header: Header, size: number, read: ReadExactly): Promise<number[]> {
  const longest = Math.min(2 + header.suite.signature!.maxSignatureLength, size - header.length)
  if (longest < 4) throw truncated("the message ends before its signature")
  const tail = await read(size - longest, longest)
  const ends: number[] = []
  for (let at = 0; at <= longest - 4; at++) {
    const length = longest - at - 2
    const isSignature = readU16(tail, at) === length && tail[at + 2] === 0x30 && tail[at + 3] === length - 2
    if (isSignature) ends.push(size - longest + at)
  }
  return ends
}

async function openLastFrameBefore(
  bodyEnd: number,
  header: Header,
  opener: FrameOpener,
  limits: Limits,
  read: ReadExactly,
): Promise<LastFrame> {
  const { regularFrames, offset } = placeOfLastFrame(bodyEnd, header)
  const headLength = header.contentType === "framed" ? FINAL_HEAD : NON_FRAMED_HEAD
  const head = await read(offset, Math.min(headLength, bodyEnd - offset))
  const limit = limits.maxUnauthenticatedBytes
  const frame = readFrameHead(head, 0, regularFrames + 1, header, limit, "maxUnauthenticatedBytes")
  if (typeof frame === "number" || frame.kind === "regular")
    throw truncated("the message does not end with a final frame")
  if (offset + frame.end > bodyEnd) throw truncated("the message ends within its final frame")
  if (offset + frame.end < bodyEnd) throw malformed("bytes follow the end of the message")
  const plaintext = opener.open(await read(offset, frame.end), frame as FrameParts)
  const plaintextLength = regularFrames * header.frameLength + frame.dataLength
  return { plaintextLength, regularFrames, bodyEnd, plaintext }
}

function placeOfLastFrame(bodyEnd: number, header: Header): { regularFrames: number; offset: number } {
  if (header.contentType === "non-framed") {
    if (bodyEnd - header.length < NON_FRAMED_HEAD) throw truncated("the message ends within its body")
    return { regularFrames: 0, offset: header.length }
  }
  const layout = layoutOfBody(bodyEnd - header.length, header.frameLength)
  if (layout === undefined)
    throw truncated("the message's size fits no number of frames: it was cut, or bytes follow its end")
  const { regularFrames } = layout
  return { regularFrames, offset: header.length + frameOffset(regularFrames, header.frameLength) }
}
