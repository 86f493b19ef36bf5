import { createCipheriv, createDecipheriv, createECDH, createHmac, hkdfSync } from "node:crypto"
import type { ReferenceSuite } from "./suites.ts"

export const u16 = (n: number): Buffer => Buffer.from([n >> 8, n & 255])
export const u32 = (n: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(n)
  return bytes
}
export const u64 = (n: number): Buffer => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(n))
  return bytes
}

/** Length and bytes of a field with a 16-bit length. */
export const field = (bytes: Uint8Array): Buffer => Buffer.concat([u16(bytes.length), bytes])

export interface ReferenceKeys {
  readonly key: Buffer
  readonly commitment: Buffer
}

export function referenceKeys(suite: ReferenceSuite, dataKey: Uint8Array, messageId: Uint8Array): ReferenceKeys {
  const length = suite.keyBits / 8
  const none = Buffer.alloc(0)
  if (suite.kdf === "none") return { key: Buffer.from(dataKey), commitment: none }
  if (suite.version === 1) {
    const info = Buffer.concat([u16(suite.id), messageId])
    return { key: Buffer.from(hkdfSync(suite.kdf, dataKey, none, info, length)), commitment: none }
  }
  const expand = (info: Buffer) => Buffer.from(hkdfSync("sha512", dataKey, messageId, info, 32))
  return {
    commitment: expand(Buffer.from("COMMITKEY")),
    key: expand(Buffer.concat([u16(suite.id), Buffer.from("DERIVEKEY")])),
  }
}

export function gcmSeal(key: Uint8Array, iv: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): Buffer {
  const cipher = createCipheriv(`aes-${key.length * 8}-gcm` as "aes-256-gcm", key, iv)
  cipher.setAAD(aad)
  return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()])
}

/** @param sealed ciphertext and tag */
export function gcmOpen(key: Uint8Array, iv: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Buffer {
  const split = sealed.length - 16
  const decipher = createDecipheriv(`aes-${key.length * 8}-gcm` as "aes-256-gcm", key, iv, { authTagLength: 16 })
  decipher.setAAD(aad)
  decipher.setAuthTag(sealed.subarray(split))
  return Buffer.concat([decipher.update(sealed.subarray(0, split)), decipher.final()])
}

/** A signing key from a scalar that the seed determines. */
export function signingKey(curve: "P-256" | "P-384", seed: string) {
  const name = curve === "P-256" ? "prime256v1" : "secp384r1"
  const bytes = curve === "P-256" ? 32 : 48
  const scalar = createHmac("sha512", "signing key").update(seed).digest().subarray(0, bytes)
  scalar[0] = 1
  const ecdh = createECDH(name)
  ecdh.setPrivateKey(scalar)
  const point = ecdh.getPublicKey()
  const jwk = {
    kty: "EC",
    crv: curve,
    d: scalar.toString("base64url"),
    x: point.subarray(1, 1 + bytes).toString("base64url"),
    y: point.subarray(1 + bytes).toString("base64url"),
  }
  return { jwk, publicKey: ecdh.getPublicKey("base64", "compressed") }
}

export const signatureHash = (curve: "P-256" | "P-384"): string => (curve === "P-256" ? "sha256" : "sha384")
