import { truncated } from "../core/index.ts"
import { IV_LENGTH, open, type Suite } from "../crypto/index.ts"
import { type BodyAad, bodyAad, FINAL_FRAME, FINAL_HEAD, type FrameKind, readU32 } from "../format/index.ts"
import { type FrameParts, type FrameShape, readFrameHead } from "./read.ts"
import { frameOffset, layoutOfBody } from "./sizes.ts"

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
 * Finds where a body in memory ends, by structure alone, before anything is decrypted.
 *
 * @param signed whether a footer of unknown length follows; without one the sizes say at once where the final frame is
 * @throws EnvelopeError `TruncatedMessage`, `MalformedMessage`
 */
export function scanBody(message: Uint8Array, bodyAt: number, shape: FrameShape, signed: boolean): BodyScan {
  return (signed ? undefined : bodyBySize(message, bodyAt, shape)) ?? walkBody(message, bodyAt, shape)
}

/** @returns undefined when no final frame stands where the size puts it: walking then tells what is wrong */
function bodyBySize(
  message: Uint8Array,
  bodyAt: number,
  { contentType, frameLength }: FrameShape,
): BodyScan | undefined {
  const layout = contentType === "framed" ? layoutOfBody(message.length - bodyAt, frameLength) : undefined
  if (layout === undefined) return undefined
  const { regularFrames, finalLength } = layout
  const at = bodyAt + frameOffset(regularFrames, frameLength)
  const isFinal = readU32(message, at) === FINAL_FRAME && readU32(message, at + FINAL_HEAD - 4) === finalLength
  if (!isFinal || readU32(message, at + 4) !== regularFrames + 1) return undefined
  return {
    plaintextLength: regularFrames * frameLength + finalLength,
    frameCount: regularFrames + 1,
    end: message.length,
  }
}

function walkBody(message: Uint8Array, bodyAt: number, shape: FrameShape): BodyScan {
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
export function nextFrame(message: Uint8Array, at: number, sequenceNumber: number, shape: FrameShape): FrameParts {
  const frame = readFrameHead(message, at, sequenceNumber, shape, Number.MAX_SAFE_INTEGER, "none")
  if (typeof frame === "number" || frame.end > message.length) {
    throw truncated(`the message ends within frame ${sequenceNumber}`)
  }
  return frame
}
