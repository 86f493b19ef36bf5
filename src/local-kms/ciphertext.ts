import { createCipheriv, createDecipheriv, createHash, createHmac } from "node:crypto"
import { allocate, compareBytes, concatBytes, type EncryptionContext, utf8 } from "../core/index.ts"
import { randomBytes, wipe } from "../crypto/index.ts"

/*
 * The ciphertext blob, KMS-1.1 (docs/spec/local-kms.md):
 *
 *   magic 6 | version 1 | key material id 32 | nonce 16 | IV 12 | zero 69 | ciphertext n | tag 16
 *
 * 152 bytes more than the plaintext, so that a wrapped 32-byte key takes 184 bytes, as with AWS.
 */

/** Spells LOCALKMS at the beginning of the blob's base64, where AWS's own blobs say AQICAH. */
const MAGIC = Buffer.from("LOCALKMS", "base64")
const VERSION = 1
const MATERIAL_ID_AT = 7
const NONCE_AT = 39
const IV_AT = 55
const ZERO_AT = 67
const HEADER_LENGTH = 136
const TAG_LENGTH = 16
const KDF_LABEL = utf8("kms-envelope local-kms message key")
const MATERIAL_ID_LABEL = utf8("kms-envelope local-kms key material id")

/** 64 hexadecimal digits, which follow from key id and material (KMS-2.1). */
export function keyMaterialId(keyId: string, material: Uint8Array): string {
  const id = utf8(keyId)
  return createHash("sha256").update(MATERIAL_ID_LABEL).update(u32(id.length)).update(id).update(material).digest("hex")
}

/**
 * KMS-1.4: encrypts under a key derived for this one message.
 *
 * @param material 32 bytes
 */
export function encryptBlob(
  material: Uint8Array,
  materialId: string,
  plaintext: Uint8Array,
  context: EncryptionContext,
): Uint8Array {
  const blob = allocate(HEADER_LENGTH + plaintext.length + TAG_LENGTH)
  blob.set(MAGIC)
  blob[MAGIC.length] = VERSION
  blob.set(Buffer.from(materialId, "hex"), MATERIAL_ID_AT)
  blob.set(randomBytes(ZERO_AT - NONCE_AT), NONCE_AT)
  const key = deriveMessageKey(material, blob.subarray(NONCE_AT, IV_AT))
  try {
    const cipher = createCipheriv("aes-256-gcm", key, blob.subarray(IV_AT, ZERO_AT))
    cipher.setAAD(additionalData(blob, context))
    blob.set(cipher.update(plaintext), HEADER_LENGTH)
    cipher.final()
    blob.set(cipher.getAuthTag(), HEADER_LENGTH + plaintext.length)
  } finally {
    wipe(key)
  }
  return blob
}

/** @returns the plaintext in memory of its own; `undefined` when material, context or any byte of the blob differ */
export function decryptBlob(
  material: Uint8Array,
  blob: Uint8Array,
  context: EncryptionContext,
): Uint8Array | undefined {
  const key = deriveMessageKey(material, blob.subarray(NONCE_AT, IV_AT))
  const decipher = createDecipheriv("aes-256-gcm", key, blob.subarray(IV_AT, ZERO_AT), { authTagLength: TAG_LENGTH })
  wipe(key)
  decipher.setAAD(additionalData(blob, context))
  decipher.setAuthTag(blob.subarray(blob.length - TAG_LENGTH))
  const plaintext = decipher.update(blob.subarray(HEADER_LENGTH, blob.length - TAG_LENGTH))
  try {
    decipher.final()
  } catch {
    wipe(plaintext)
    return undefined
  }
  return new Uint8Array(plaintext.buffer, plaintext.byteOffset, plaintext.length)
}

/** KMS-1.5: @returns the id of the material the blob is encrypted under; `undefined` when it is no blob of ours */
export function blobMaterialId(blob: Uint8Array): string | undefined {
  if (!isLocalCiphertext(blob) || blob[MAGIC.length] !== VERSION) return undefined
  if (blob.length <= HEADER_LENGTH + TAG_LENGTH) return undefined
  for (let at = ZERO_AT; at < HEADER_LENGTH; at++) if (blob[at] !== 0) return undefined
  return Buffer.from(blob.buffer, blob.byteOffset, blob.length).toString("hex", MATERIAL_ID_AT, NONCE_AT)
}

/**
 * Whether a ciphertext blob comes from an embedded KMS, of any version, rather than from AWS. Looks at the first bytes
 * only: it says nothing about whether the blob can be decrypted.
 */
export const isLocalCiphertext = (blob: Uint8Array): boolean =>
  blob.length > MAGIC.length && compareBytes(blob.subarray(0, MAGIC.length), MAGIC) === 0

/** KMS-1.2: NIST SP 800-108 KDF in counter mode with HMAC-SHA256; one block of 256 bits is the whole output. */
function deriveMessageKey(material: Uint8Array, nonce: Uint8Array): Uint8Array {
  return createHmac("sha256", material)
    .update(u32(1))
    .update(KDF_LABEL)
    .update(allocate(1))
    .update(nonce)
    .update(u32(256))
    .digest()
}

/** KMS-1.3: the header, then every pair, each text under its length, sorted by the UTF-8 bytes of the name. */
function additionalData(blob: Uint8Array, context: EncryptionContext): Uint8Array {
  const pairs = Object.entries(context).map(([key, value]) => [utf8(key), utf8(value)] as const)
  pairs.sort(([a], [b]) => compareBytes(a, b))
  const parts = [blob.subarray(0, HEADER_LENGTH)]
  for (const [key, value] of pairs) parts.push(u32(key.length), key, u32(value.length), value)
  return concatBytes(parts)
}

function u32(value: number): Uint8Array {
  const bytes = allocate(4)
  new DataView(bytes.buffer).setUint32(0, value)
  return bytes
}
