import { type Suite, sealInto } from "../crypto/index.ts"
import {
  type BodyAad,
  bodyAad,
  FINAL_HEAD,
  FINAL_OVERHEAD,
  MAX_FRAMES,
  REGULAR_HEAD,
  REGULAR_OVERHEAD,
  writeFinalHead,
  writeRegularHead,
} from "../format/index.ts"
import { tooManyFrames } from "./sizes.ts"

/** Seals the frames of one message in order. */
export interface BodySealer {
  /** Seals `count` regular frames from the start of `plaintext`. @returns where the next byte of `out` goes */
  regular(plaintext: Uint8Array, count: number, out: Uint8Array, at: number): number
  /** Seals the rest, at most one frame, and ends the body. @returns where the next byte of `out` goes */
  final(plaintext: Uint8Array, out: Uint8Array, at: number): number
}

/**
 * Specification: data-format/message-body. The iv of a frame is its sequence number, so one key must never seal two
 * bodies: the key is derived for one message id.
 */
export function bodySealer(suite: Suite, key: Uint8Array, messageId: Uint8Array, frameLength: number): BodySealer {
  let sequenceNumber = 1
  let regularAad: BodyAad | undefined
  return {
    regular(plaintext, count, out, at) {
      regularAad ??= bodyAad(messageId, "regular")
      for (let i = 0; i < count; i++) {
        // The last number is left for the final frame.
        if (sequenceNumber >= MAX_FRAMES) throw tooManyFrames(frameLength)
        const iv = writeRegularHead(out, at, sequenceNumber)
        const frame = plaintext.subarray(i * frameLength, (i + 1) * frameLength)
        sealInto(suite, key, iv, regularAad.at(sequenceNumber, frameLength), frame, out, at + REGULAR_HEAD)
        at += frameLength + REGULAR_OVERHEAD
        sequenceNumber++
      }
      return at
    },
    final(plaintext, out, at) {
      const iv = writeFinalHead(out, at, sequenceNumber, plaintext.length)
      const aad = bodyAad(messageId, "final").at(sequenceNumber, plaintext.length)
      sealInto(suite, key, iv, aad, plaintext, out, at + FINAL_HEAD)
      return at + plaintext.length + FINAL_OVERHEAD
    },
  }
}
