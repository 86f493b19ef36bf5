import { limitExceeded, malformed } from "../core/index.ts"
import { IV_LENGTH, TAG_LENGTH } from "../crypto/index.ts"
import {
  FINAL_FRAME,
  FINAL_HEAD,
  type FrameKind,
  MAX_NON_FRAMED,
  NON_FRAMED_HEAD,
  REGULAR_HEAD,
  readU32,
  readU64,
} from "../format/index.ts"

/** One frame as it stands in the bytes; offsets count from the start of what was read. */
export interface FrameParts {
  readonly kind: FrameKind
  readonly sequenceNumber: number
  readonly ivAt: number
  readonly dataAt: number
  /** Bytes of plaintext and of ciphertext. */
  readonly dataLength: number
  /** Where the tag ends. */
  readonly end: number
}

/** What a reader of frames knows about the message. */
export interface FrameShape {
  readonly contentType: "framed" | "non-framed"
  readonly frameLength: number
}

/**
 * Reads the head of the next frame and checks it against the place where it stands.
 *
 * @param bytes the frame starts at `at`
 * @param expected the sequence number that must come next
 * @param maxDataLength bytes of one frame that the caller is ready to hold
 * @param limitName the option behind `maxDataLength`
 * @returns the frame, whose end may lie beyond `bytes`; or how many bytes from `at` the head needs
 * @throws EnvelopeError `MalformedMessage`, `LimitExceeded`
 */
export function readFrameHead(
  bytes: Uint8Array,
  at: number,
  expected: number,
  shape: FrameShape,
  maxDataLength: number,
  limitName: string,
): FrameParts | number {
  const available = bytes.length - at
  if (shape.contentType === "non-framed") return readNonFramedHead(bytes, at, maxDataLength, limitName)
  if (available < 4) return 4
  const first = readU32(bytes, at)
  // A regular frame with this number cannot be told from a final one, and the final one must come last anyway.
  if (first !== FINAL_FRAME) {
    checkSequence(first, expected)
    return parts("regular", expected, at + 4, REGULAR_HEAD, at, shape.frameLength, maxDataLength, limitName)
  }
  if (available < FINAL_HEAD) return FINAL_HEAD
  checkSequence(readU32(bytes, at + 4), expected)
  const dataLength = readU32(bytes, at + 8 + IV_LENGTH)
  if (dataLength > shape.frameLength) throw malformed("the final frame is longer than the frame length")
  return parts("final", expected, at + 8, FINAL_HEAD, at, dataLength, maxDataLength, limitName)
}

/** MSG-6.7 */
function readNonFramedHead(
  bytes: Uint8Array,
  at: number,
  maxDataLength: number,
  limitName: string,
): FrameParts | number {
  if (bytes.length - at < NON_FRAMED_HEAD) return NON_FRAMED_HEAD
  const length = readU64(bytes, at + IV_LENGTH)
  if (length > BigInt(MAX_NON_FRAMED)) throw malformed("the non-framed body is longer than 2^36 - 32 bytes")
  return parts("non-framed", 1, at, NON_FRAMED_HEAD, at, Number(length), maxDataLength, limitName)
}

/** MSG-6.4 */
function checkSequence(found: number, expected: number): void {
  if (found !== expected) throw malformed(`frame ${expected} is missing: sequence number ${found} stands in its place`)
}

function parts(
  kind: FrameKind,
  sequenceNumber: number,
  ivAt: number,
  head: number,
  at: number,
  dataLength: number,
  maxDataLength: number,
  limitName: string,
): FrameParts {
  if (dataLength > maxDataLength) {
    throw limitExceeded("the data behind one authentication tag, in bytes,", dataLength, maxDataLength, limitName)
  }
  const dataAt = at + head
  return { kind, sequenceNumber, ivAt, dataAt, dataLength, end: dataAt + dataLength + TAG_LENGTH }
}
