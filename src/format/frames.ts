import { allocate, utf8 } from "../core/index.ts"
import { IV_LENGTH, TAG_LENGTH } from "../crypto/index.ts"
import { writeU32, writeU64 } from "./integers.ts"

/** Stands where a regular frame has its sequence number (specification: data-format/message-body, "Final Frame"). */
export const FINAL_FRAME = 0xffffffff
/** Sequence numbers run from 1 to this. */
export const MAX_FRAMES = 0xffffffff
/** Bytes before the ciphertext of a regular frame: sequence number, iv. */
export const REGULAR_HEAD = 4 + IV_LENGTH
/** Bytes before the ciphertext of the final frame: marker, sequence number, iv, length. */
export const FINAL_HEAD = 4 + 4 + IV_LENGTH + 4
/** Bytes before the ciphertext of a non-framed body: iv, length. */
export const NON_FRAMED_HEAD = IV_LENGTH + 8
/** Bytes that a regular and a final frame add to their plaintext. */
export const REGULAR_OVERHEAD = REGULAR_HEAD + TAG_LENGTH
export const FINAL_OVERHEAD = FINAL_HEAD + TAG_LENGTH
/** The longest non-framed plaintext, in bytes: one GCM invocation (NIST SP 800-38D, section 5.2.1.1). */
export const MAX_NON_FRAMED = 2 ** 36 - 32

export type FrameKind = "regular" | "final" | "non-framed"

const kindStrings: Record<FrameKind, Uint8Array> = {
  regular: /* @__PURE__ */ utf8("AWSKMSEncryptionClient Frame"),
  final: /* @__PURE__ */ utf8("AWSKMSEncryptionClient Final Frame"),
  "non-framed": /* @__PURE__ */ utf8("AWSKMSEncryptionClient Single Block"),
}

/** MSG-6.6: the additional authenticated data of one frame after another (specification: data-format/message-body-aad). */
export interface BodyAad {
  /** The bytes stay valid until the next call. @param length bytes of plaintext in the frame */
  at(sequenceNumber: number, length: number): Uint8Array
}

export function bodyAad(messageId: Uint8Array, kind: FrameKind): BodyAad {
  const text = kindStrings[kind]
  const fixed = messageId.length + text.length
  const aad = allocate(fixed + 4 + 8)
  aad.set(messageId)
  aad.set(text, messageId.length)
  return {
    at(sequenceNumber, length) {
      writeU32(aad, fixed, sequenceNumber)
      writeU64(aad, fixed + 4, length)
      return aad
    },
  }
}

/** MSG-6.5: the iv of a frame we write is its sequence number, padded: unique, as the key serves one message. */
export function frameIv(sequenceNumber: number): Uint8Array {
  const iv = allocate(IV_LENGTH)
  writeU32(iv, IV_LENGTH - 4, sequenceNumber)
  return iv
}

/** MSG-6.1: writes sequence number and iv. */
export function writeRegularHead(out: Uint8Array, at: number, sequenceNumber: number): void {
  writeU32(out, at, sequenceNumber)
  out.set(frameIv(sequenceNumber), at + 4)
}

/** MSG-6.2: writes marker, sequence number, iv and length. */
export function writeFinalHead(out: Uint8Array, at: number, sequenceNumber: number, length: number): void {
  writeU32(out, at, FINAL_FRAME)
  writeU32(out, at + 4, sequenceNumber)
  out.set(frameIv(sequenceNumber), at + 8)
  writeU32(out, at + 8 + IV_LENGTH, length)
}
