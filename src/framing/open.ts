import { allocateUnfilled, truncated } from "../core/index.ts"
import { IV_LENGTH, open, type Suite } from "../crypto/index.ts"
import { type BodyAad, bodyAad, type FrameKind } from "../format/index.ts"
import { type FrameParts, type FrameShape, readFrameHead } from "./read.ts"

/** Opens single frames of one message, in any order. */
export interface FrameOpener {
  /**
   * @param bytes what the offsets of `frame` count from
   * @returns the plaintext, after the tag verified, in memory of its own
   * @throws EnvelopeError `TamperedMessage`
   */
  open(bytes: Uint8Array, frame: FrameParts): Uint8Array
}

export function frameOpener(suite: Suite, key: Uint8Array, messageId: Uint8Array): FrameOpener {
  const aads: Partial<Record<FrameKind, BodyAad>> = {}
  return {
    open(bytes, { kind, sequenceNumber, ivAt, dataAt, dataLength, end }) {
      aads[kind] ??= bodyAad(messageId, kind)
      const aad = aads[kind].at(sequenceNumber, dataLength)
      const dataEnd = dataAt + dataLength
      const iv = bytes.subarray(ivAt, ivAt + IV_LENGTH)
      return open(suite, key, iv, aad, bytes.subarray(dataAt, dataEnd), bytes.subarray(dataEnd, end))
    },
  }
}

/** Where a body in memory ends, and what it holds, checked by structure alone. */
export interface BodyScan {
  readonly plaintextLength: number
  readonly frameCount: number
  /** Where the footer, or the end of the message, must be. */
  readonly end: number
}

/**
 * Walks the frame heads of a message in memory before anything is decrypted.
 *
 * @throws EnvelopeError `TruncatedMessage`, `MalformedMessage`
 */
export function scanBody(message: Uint8Array, bodyAt: number, shape: FrameShape): BodyScan {
  let at = bodyAt
  let plaintextLength = 0
  for (let sequenceNumber = 1; ; sequenceNumber++) {
    const frame = nextFrame(message, at, sequenceNumber, shape)
    at = frame.end
    plaintextLength += frame.dataLength
    if (frame.kind !== "regular") return { plaintextLength, frameCount: sequenceNumber, end: at }
  }
}

/** The frame at `at`, which must stand in `message` whole. @throws EnvelopeError `TruncatedMessage`, `MalformedMessage` */
function nextFrame(message: Uint8Array, at: number, sequenceNumber: number, shape: FrameShape): FrameParts {
  const frame = readFrameHead(message, at, sequenceNumber, shape, Number.MAX_SAFE_INTEGER, "none")
  if (typeof frame === "number" || frame.end > message.length) {
    throw truncated(`the message ends within frame ${sequenceNumber}`)
  }
  return frame
}

/** As in `encrypt`: small results are allocated after their frames were opened, which reuses warm memory. */
const ALLOCATE_LATE = 32 * 1024 * 1024
const RUN_LENGTH = 8 * 1024 * 1024

/**
 * Opens a whole body that `scanBody` measured.
 *
 * @returns the plaintext in memory of its own, after every tag verified
 * @throws EnvelopeError `TamperedMessage`
 */
export function openBody(
  opener: FrameOpener,
  message: Uint8Array,
  bodyAt: number,
  shape: FrameShape,
  scan: BodyScan,
): Uint8Array {
  if (scan.frameCount === 1) return opener.open(message, nextFrame(message, bodyAt, 1, shape))
  const runLength = scan.plaintextLength <= ALLOCATE_LATE ? Number.POSITIVE_INFINITY : RUN_LENGTH
  let plaintext: Uint8Array | undefined
  let filled = 0
  let pieces: Uint8Array[] = []
  let waiting = 0
  const place = () => {
    plaintext ??= allocateUnfilled(scan.plaintextLength)
    for (const piece of pieces) {
      plaintext.set(piece, filled)
      filled += piece.length
    }
    pieces = []
    waiting = 0
  }
  let at = bodyAt
  for (let sequenceNumber = 1; sequenceNumber <= scan.frameCount; sequenceNumber++) {
    const frame = nextFrame(message, at, sequenceNumber, shape)
    pieces.push(opener.open(message, frame))
    at = frame.end
    waiting += frame.dataLength
    if (waiting >= runLength) place()
  }
  place()
  return plaintext!
}
