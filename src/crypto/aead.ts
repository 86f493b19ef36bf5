import { type CipherGCM, createCipheriv, createDecipheriv, type DecipherGCM } from "node:crypto"
import { tampered } from "../core/index.ts"
import { type Suite, TAG_LENGTH } from "./suites.ts"
import { wipe } from "./wipe.ts"

const TAG_OPTION = { authTagLength: TAG_LENGTH } as const

const cipherFor = (suite: Suite, key: Uint8Array, iv: Uint8Array): CipherGCM =>
  createCipheriv(suite.cipher, key, iv, TAG_OPTION)

const decipherFor = (suite: Suite, key: Uint8Array, iv: Uint8Array): DecipherGCM =>
  createDecipheriv(suite.cipher, key, iv, TAG_OPTION)

/** The tag over `aad` alone, as in the message header. */
export function authenticate(suite: Suite, key: Uint8Array, iv: Uint8Array, aad: readonly Uint8Array[]): Uint8Array {
  const cipher = cipherFor(suite, key, iv)
  for (const part of aad) if (part.length > 0) cipher.setAAD(part)
  cipher.final()
  return cipher.getAuthTag()
}

/** @throws EnvelopeError `TamperedMessage` */
export function verifyAuthentic(
  suite: Suite,
  key: Uint8Array,
  iv: Uint8Array,
  aad: readonly Uint8Array[],
  tag: Uint8Array,
): void {
  const decipher = decipherFor(suite, key, iv)
  for (const part of aad) if (part.length > 0) decipher.setAAD(part)
  decipher.setAuthTag(tag)
  try {
    decipher.final()
  } catch {
    throw tampered()
  }
}

export interface SealedData {
  /** As long as the plaintext. */
  readonly ciphertext: Uint8Array
  readonly tag: Uint8Array
}

export function seal(
  suite: Suite,
  key: Uint8Array,
  iv: Uint8Array,
  aad: Uint8Array,
  plaintext: Uint8Array,
): SealedData {
  const cipher = cipherFor(suite, key, iv)
  cipher.setAAD(aad)
  const ciphertext = cipher.update(plaintext)
  cipher.final()
  return { ciphertext, tag: cipher.getAuthTag() }
}

/**
 * The plaintext of one ciphertext, in memory of its own, released only after its tag verified (MSG-6.8).
 *
 * @throws EnvelopeError `TamperedMessage`
 */
export function open(
  suite: Suite,
  key: Uint8Array,
  iv: Uint8Array,
  aad: Uint8Array,
  ciphertext: Uint8Array,
  tag: Uint8Array,
): Uint8Array {
  const decipher = decipherFor(suite, key, iv)
  decipher.setAAD(aad)
  decipher.setAuthTag(tag)
  const plaintext = decipher.update(ciphertext)
  try {
    decipher.final()
  } catch {
    wipe(plaintext)
    throw tampered()
  }
  return plaintext
}
