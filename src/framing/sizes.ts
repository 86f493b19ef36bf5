import { EnvelopeError } from "../core/index.ts"
import { FINAL_OVERHEAD, MAX_FRAMES, REGULAR_OVERHEAD } from "../format/index.ts"

/** How a plaintext is cut: regular frames of the frame length, then one final frame that holds the rest. */
export interface FrameLayout {
  readonly regularFrames: number
  /** Bytes of plaintext in the final frame, 0 only for an empty plaintext or in messages of other writers. */
  readonly finalLength: number
}

/** MSG-6.3. @throws EnvelopeError `LimitExceeded` when there would be more than 2^32 - 1 frames */
export function layoutOfPlaintext(plaintextLength: number, frameLength: number): FrameLayout {
  const regularFrames = plaintextLength === 0 ? 0 : Math.ceil(plaintextLength / frameLength) - 1
  if (regularFrames >= MAX_FRAMES) throw tooManyFrames(frameLength)
  return { regularFrames, finalLength: plaintextLength - regularFrames * frameLength }
}

export const tooManyFrames = (frameLength: number): EnvelopeError =>
  new EnvelopeError(
    "LimitExceeded",
    `the plaintext needs more than 2^32 - 1 frames of ${frameLength} bytes (option frameLength)`,
  )

/** Bytes of a framed body. */
export const bodyLengthOf = ({ regularFrames, finalLength }: FrameLayout, frameLength: number): number =>
  regularFrames * (frameLength + REGULAR_OVERHEAD) + finalLength + FINAL_OVERHEAD

/**
 * The one layout that fills a framed body of this length, which nothing authenticates yet.
 *
 * @returns undefined when no layout does: the body was cut or has bytes too many
 */
export function layoutOfBody(bodyLength: number, frameLength: number): FrameLayout | undefined {
  const rest = bodyLength - FINAL_OVERHEAD
  if (rest < 0) return undefined
  const regularFrames = Math.floor(rest / (frameLength + REGULAR_OVERHEAD))
  const finalLength = rest - regularFrames * (frameLength + REGULAR_OVERHEAD)
  return finalLength <= frameLength && regularFrames < MAX_FRAMES ? { regularFrames, finalLength } : undefined
}

/** Where the frame with this number (from 0) starts, counted from the start of the body. */
export const frameOffset = (index: number, frameLength: number): number => index * (frameLength + REGULAR_OVERHEAD)
