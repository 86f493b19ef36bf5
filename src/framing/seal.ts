import { free } from "../core/index.ts"
import { type SealedData, type Suite, seal, TAG_LENGTH } from "../crypto/index.ts"
import {
  type BodyAad,
  bodyAad,
  FINAL_HEAD,
  FINAL_OVERHEAD,
  frameIv,
  MAX_FRAMES,
  REGULAR_HEAD,
  REGULAR_OVERHEAD,
  writeFinalHead,
  writeRegularHead,
} from "../format/index.ts"
import { tooManyFrames } from "./sizes.ts"

/** A frame before it stands in the message. */
export interface SealedFrame extends SealedData {
  readonly sequenceNumber: number
  readonly final: boolean
}

/** Seals the frames of one message in order. */
export interface BodySealer {
  /** Seals the first `frameLength` bytes of `plaintext`. */
  regular(plaintext: Uint8Array): SealedFrame
  /** Seals the rest, at most one frame, and ends the body. */
  final(plaintext: Uint8Array): SealedFrame
}

/**
 * Specification: data-format/message-body. The iv of a frame is its sequence number, so one key must never seal two
 * bodies: the key is derived for one message id.
 *
 * @param firstSequenceNumber where to begin, when several sealers share a body
 */
export function bodySealer(
  suite: Suite,
  key: Uint8Array,
  messageId: Uint8Array,
  frameLength: number,
  firstSequenceNumber = 1,
): BodySealer {
  let sequenceNumber = firstSequenceNumber
  let regularAad: BodyAad | undefined
  const sealNext = (aad: BodyAad, plaintext: Uint8Array, final: boolean): SealedFrame => {
    const iv = frameIv(sequenceNumber)
    const { ciphertext, tag } = seal(suite, key, iv, aad.at(sequenceNumber, plaintext.length), plaintext)
    return { sequenceNumber: sequenceNumber++, final, ciphertext, tag }
  }
  return {
    regular(plaintext) {
      regularAad ??= bodyAad(messageId, "regular")
      // The last number is left for the final frame.
      if (sequenceNumber >= MAX_FRAMES) throw tooManyFrames(frameLength)
      return sealNext(regularAad, plaintext.subarray(0, frameLength), false)
    },
    final: (plaintext) => sealNext(bodyAad(messageId, "final"), plaintext, true),
  }
}

/** Bytes of a frame in the message. */
export const sealedLength = ({ final, ciphertext }: SealedFrame): number =>
  ciphertext.length + (final ? FINAL_OVERHEAD : REGULAR_OVERHEAD)

/** Writes a frame where it belongs, and frees its ciphertext. @returns where the next byte of `out` goes */
export function writeFrame(
  { sequenceNumber, final, ciphertext, tag }: SealedFrame,
  out: Uint8Array,
  at: number,
): number {
  if (final) writeFinalHead(out, at, sequenceNumber, ciphertext.length)
  else writeRegularHead(out, at, sequenceNumber)
  at += final ? FINAL_HEAD : REGULAR_HEAD
  out.set(ciphertext, at)
  at += ciphertext.length
  free(ciphertext)
  out.set(tag, at)
  return at + TAG_LENGTH
}

/** Seals `count` regular frames from the start of `plaintext` into `out` at `at`. @returns where the next byte goes */
export function sealFrames(
  sealer: BodySealer,
  frameLength: number,
  count: number,
  plaintext: Uint8Array,
  out: Uint8Array,
  at: number,
): number {
  for (let i = 0; i < count; i++) at = writeFrame(sealer.regular(plaintext.subarray(i * frameLength)), out, at)
  return at
}
