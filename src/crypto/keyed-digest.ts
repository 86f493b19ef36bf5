import { createHmac } from "node:crypto"
import { randomBytes } from "./random.ts"
import { constantTimeEqual, wipe } from "./wipe.ts"

/** Tells later whether bytes are those seen before, without keeping them or anything that gives them away. */
export interface Fingerprints {
  /** HMAC-SHA256 (RFC 2104) of the bytes under a random key of its own. */
  of(bytes: Uint8Array): Uint8Array
  same(a: Uint8Array, b: Uint8Array): boolean
  /** Overwrites the key. */
  close(): void
}

export function fingerprints(): Fingerprints {
  const key = randomBytes(32)
  return {
    of: (bytes) => createHmac("sha256", key).update(bytes).digest(),
    same: constantTimeEqual,
    close: () => wipe(key),
  }
}
