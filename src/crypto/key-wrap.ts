import { createDecipheriv } from "node:crypto"
import { concatBytes } from "../core/index.ts"
import { wipe } from "./wipe.ts"

const WRAP_IV = /* @__PURE__ */ new Uint8Array(8).fill(0xa6)

/** AES key unwrap (RFC 3394). @returns undefined when the check value is wrong */
export const unwrapAesKey = (wrappingKey: Uint8Array, wrapped: Uint8Array): Uint8Array | undefined =>
  decipherWhole(`id-aes${wrappingKey.length * 8}-wrap`, wrappingKey, WRAP_IV, wrapped)

/** A key under AES-ECB with PKCS #7 padding. @returns undefined when the padding is wrong */
export const unwrapEcbKey = (wrappingKey: Uint8Array, wrapped: Uint8Array): Uint8Array | undefined =>
  decipherWhole(`aes-${wrappingKey.length * 8}-ecb`, wrappingKey, null, wrapped)

function decipherWhole(
  algorithm: string,
  key: Uint8Array,
  iv: Uint8Array | null,
  wrapped: Uint8Array,
): Uint8Array | undefined {
  const parts: Uint8Array[] = []
  try {
    const decipher = createDecipheriv(algorithm, key, iv)
    parts.push(decipher.update(wrapped))
    parts.push(decipher.final())
    return concatBytes(parts)
  } catch {
    return undefined
  } finally {
    wipe(...parts)
  }
}
