import { createCipheriv, createDecipheriv, createHmac, hkdfSync } from "node:crypto"
import { utf8 } from "../core/index.ts"
import { randomBytes, wipe } from "../crypto/index.ts"

/** Seals key material at rest and authenticates the audit trail; `close()` overwrites the keys. */
export interface Vault {
  /** @param purpose bound as additional data: a sealed value opens under the same purpose only */
  seal(purpose: string, secret: Uint8Array): string
  /** @returns the secret, owned by the caller; `undefined` when it is damaged, moved, or sealed under another root key */
  open(purpose: string, sealed: string): Uint8Array | undefined
  /** AUD-1.2: HMAC-SHA256 of the text's UTF-8 under a key of its own, as base64url (43 characters) */
  mac(text: string): string
  close(): void
}

const IV_LENGTH = 12
const TAG_LENGTH = 16

/**
 * KMS-3.3: AES-256-GCM with a random IV under HKDF-SHA256 (RFC 5869) of the root key; base64url of IV, ciphertext, tag.
 *
 * @param rootKey 32 bytes, overwritten
 */
export function createVault(rootKey: Uint8Array, storeId: string): Vault {
  const key = new Uint8Array(hkdfSync("sha256", rootKey, utf8(storeId), "kms-envelope local-kms at rest", 32))
  const macKey = new Uint8Array(hkdfSync("sha256", rootKey, utf8(storeId), "kms-envelope local-kms audit trail", 32))
  wipe(rootKey)
  let closed = false
  return {
    seal(purpose, secret) {
      if (closed) throw new Error("the vault is closed")
      const sealed = Buffer.alloc(IV_LENGTH + secret.length + TAG_LENGTH)
      const iv = randomBytes(IV_LENGTH)
      const cipher = createCipheriv("aes-256-gcm", key, iv)
      cipher.setAAD(utf8(purpose))
      sealed.set(iv)
      sealed.set(cipher.update(secret), IV_LENGTH)
      cipher.final()
      sealed.set(cipher.getAuthTag(), IV_LENGTH + secret.length)
      return sealed.toString("base64url")
    },
    open(purpose, text) {
      if (closed) throw new Error("the vault is closed")
      const sealed = Buffer.from(text, "base64url")
      if (sealed.length < IV_LENGTH + TAG_LENGTH) return undefined
      const decipher = createDecipheriv("aes-256-gcm", key, sealed.subarray(0, IV_LENGTH), {
        authTagLength: TAG_LENGTH,
      })
      decipher.setAAD(utf8(purpose))
      decipher.setAuthTag(sealed.subarray(sealed.length - TAG_LENGTH))
      const secret = decipher.update(sealed.subarray(IV_LENGTH, sealed.length - TAG_LENGTH))
      try {
        decipher.final()
      } catch {
        wipe(secret)
        return undefined
      }
      return new Uint8Array(secret.buffer, secret.byteOffset, secret.length)
    },
    mac(text) {
      if (closed) throw new Error("the vault is closed")
      return createHmac("sha256", macKey).update(text).digest("base64url")
    },
    close() {
      closed = true
      wipe(key)
      wipe(macKey)
    },
  }
}

/** A root key for a store in memory, which nobody needs to find again. */
export const temporaryVault = (): Vault => createVault(randomBytes(32), "memory")
