import { createHmac, hkdfSync } from "node:crypto"

/** HKDF-SHA256 (RFC 5869), 32 bytes in memory of their own. */
export const hkdfSha256 = (key: Uint8Array, salt: Uint8Array, info: Uint8Array): Uint8Array =>
  new Uint8Array(hkdfSync("sha256", key, salt, info, 32))

export const hmacSha256 = (key: Uint8Array, bytes: Uint8Array): Uint8Array =>
  createHmac("sha256", key).update(bytes).digest()
