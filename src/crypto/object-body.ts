import { type CipherGCM, createCipheriv, createDecipheriv, type DecipherGCM } from "node:crypto"
import { allocate, copyBytes, tampered } from "../core/index.ts"
import { IV_LENGTH, TAG_LENGTH } from "./suites.ts"

const BLOCK_LENGTH = 16

/** One continuous cipher stream over a whole object, however it is cut into chunks. Call `finish` once, at the end. */
export interface BodyCipher {
  /** The bytes that this chunk makes available, in memory of their own. */
  update(chunk: Uint8Array): Uint8Array
  finish(): Uint8Array
}

/** AES-256-GCM; `finish` gives the tag. */
export function sealBody(key: Uint8Array, iv: Uint8Array, aad: Uint8Array): BodyCipher {
  const cipher: CipherGCM = createCipheriv("aes-256-gcm", key, iv, { authTagLength: TAG_LENGTH })
  if (aad.length > 0) cipher.setAAD(aad)
  return {
    update: (chunk) => cipher.update(chunk),
    finish() {
      cipher.final()
      return cipher.getAuthTag()
    },
  }
}

/** AES-256-GCM without its tag: the caller holds the last 16 bytes back. What `update` gives is not authentic before `finish`. */
export interface AuthenticatedOpener {
  update(chunk: Uint8Array): Uint8Array
  /** @throws EnvelopeError `TamperedMessage` */
  finish(tag: Uint8Array): void
}

export function openBody(key: Uint8Array, iv: Uint8Array, aad: Uint8Array): AuthenticatedOpener {
  const decipher: DecipherGCM = createDecipheriv("aes-256-gcm", key, iv, { authTagLength: TAG_LENGTH })
  if (aad.length > 0) decipher.setAAD(aad)
  return {
    update: (chunk) => decipher.update(chunk),
    finish(tag) {
      decipher.setAuthTag(tag)
      attempt(() => decipher.final())
    },
  }
}

/** AES-256-CBC with PKCS #7 padding, which authenticates nothing. */
export function openCbcBody(key: Uint8Array, iv: Uint8Array): BodyCipher {
  const decipher = createDecipheriv("aes-256-cbc", key, iv)
  return { update: (chunk) => decipher.update(chunk), finish: () => attempt(() => decipher.final()) }
}

/**
 * CSE-5.1: the plaintext of a part of an AES-256-GCM ciphertext, unauthenticated: GCM encrypts with AES-CTR from counter 2 on
 * (NIST SP 800-38D, section 7.1).
 *
 * @param iv 12 bytes
 * @param offset of `ciphertext` in the whole; a multiple of 16 bytes, below 2^36
 */
export function openUnauthenticated(
  key: Uint8Array,
  iv: Uint8Array,
  offset: number,
  ciphertext: Uint8Array,
): Uint8Array {
  const counterBlock = allocate(BLOCK_LENGTH)
  counterBlock.set(iv)
  new DataView(counterBlock.buffer).setUint32(IV_LENGTH, 2 + offset / BLOCK_LENGTH)
  return copyBytes(createDecipheriv("aes-256-ctr", key, counterBlock).update(ciphertext))
}

/** CSE-7.3 */
function attempt<T>(work: () => T): T {
  try {
    return work()
  } catch {
    throw tampered()
  }
}
