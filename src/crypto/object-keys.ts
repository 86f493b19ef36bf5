import { createHmac } from "node:crypto"
import { tampered, utf8 } from "../core/index.ts"
import { expand } from "./derive.ts"
import { constantTimeEqual, wipe } from "./wipe.ts"

/** Bytes of the message id and of the key commitment of an S3 Encryption Client object in format V3. */
export const OBJECT_ID_LENGTH = 28

// CSE-2.3: the suite id, then a name; and, as each output is shorter than a hash, the counter 1 of HKDF-Expand (RFC 5869).
const COMMIT_INFO = /* @__PURE__ */ utf8("\u0000\u0073COMMITKEY\u0001")
const DERIVE_INFO = /* @__PURE__ */ utf8("\u0000\u0073DERIVEKEY\u0001")

export interface ObjectKeys {
  /** 32 bytes; overwrite after use. */
  readonly encryptionKey: Uint8Array
  /** 28 public bytes. */
  readonly commitment: Uint8Array
}

/** The keys of a new object in suite 0x0073: HKDF-SHA512 of the data key with the message id as salt. */
export function deriveObjectKeys(dataKey: Uint8Array, messageId: Uint8Array): ObjectKeys {
  const pseudorandomKey = extract(dataKey, messageId)
  try {
    const commitment = expand("sha512", pseudorandomKey, COMMIT_INFO, OBJECT_ID_LENGTH)
    return { commitment, encryptionKey: expand("sha512", pseudorandomKey, DERIVE_INFO, 32) }
  } finally {
    wipe(pseudorandomKey)
  }
}

/**
 * CSE-2.4: the encryption key of an existing object, derived only once the commitment was compared, in constant time.
 *
 * @throws EnvelopeError `TamperedMessage` when the data key is not the one the object commits to
 */
export function openObjectKey(dataKey: Uint8Array, messageId: Uint8Array, commitment: Uint8Array): Uint8Array {
  const pseudorandomKey = extract(dataKey, messageId)
  try {
    const own = expand("sha512", pseudorandomKey, COMMIT_INFO, OBJECT_ID_LENGTH)
    if (!constantTimeEqual(own, commitment)) {
      wipe(own)
      throw tampered()
    }
    return expand("sha512", pseudorandomKey, DERIVE_INFO, 32)
  } finally {
    wipe(pseudorandomKey)
  }
}

const extract = (dataKey: Uint8Array, messageId: Uint8Array): Uint8Array =>
  createHmac("sha512", messageId).update(dataKey).digest()
