import {
  constants,
  createDecipheriv,
  createPrivateKey,
  generateKeyPair,
  type KeyObject,
  privateDecrypt,
} from "node:crypto"
import { promisify } from "node:util"
import { wipe } from "../crypto/index.ts"
import type { Key } from "./keys.ts"
import type { Vault } from "./vault.ts"

export const TOKEN_VALID_MS = 86_400_000

/** How material may be wrapped: OAEP with this hash, of the material itself or of an AES key that wraps it (RFC 5649). */
export const wrappingAlgorithms = {
  RSAES_OAEP_SHA_1: { id: 1, hash: "sha1", wrapsAesKey: false },
  RSAES_OAEP_SHA_256: { id: 2, hash: "sha256", wrapsAesKey: false },
  RSA_AES_KEY_WRAP_SHA_1: { id: 3, hash: "sha1", wrapsAesKey: true },
  RSA_AES_KEY_WRAP_SHA_256: { id: 4, hash: "sha256", wrapsAesKey: true },
} as const

export type WrappingAlgorithm = keyof typeof wrappingAlgorithms

export const modulusLengths = { RSA_2048: 2048, RSA_3072: 3072, RSA_4096: 4096 } as const

export interface WrappingKeyPair {
  /** DER, SubjectPublicKeyInfo. */
  readonly publicKey: Uint8Array
  /** DER, PKCS #8; whoever has it overwrites it. */
  readonly privateKey: Uint8Array
}

/** Takes from a tenth of a second to several seconds, off the main thread. */
export async function generateWrappingKeyPair(modulusLength: number): Promise<WrappingKeyPair> {
  return promisify(generateKeyPair)("rsa", {
    modulusLength,
    publicKeyEncoding: { type: "spki", format: "der" },
    privateKeyEncoding: { type: "pkcs8", format: "der" },
  })
}

export interface ImportToken {
  readonly validTo: number
  readonly algorithm: WrappingAlgorithm
  readonly privateKey: KeyObject
}

// KMS-2.4: a token opens for the copy of the key that it was made for.
const purpose = ({ scope, keyId }: Key): string => `import/${scope.accountId}/${scope.region}/${keyId}`

const HEADER_LENGTH = 9

/** KMS-2.4: the token is the private key, sealed: nothing has to be kept for those who never come back. */
export function sealToken(
  vault: Vault,
  key: Key,
  validTo: number,
  algorithm: WrappingAlgorithm,
  privateKey: Uint8Array,
): Uint8Array {
  const token = Buffer.alloc(HEADER_LENGTH + privateKey.length)
  token.writeBigUInt64BE(BigInt(validTo))
  token[8] = wrappingAlgorithms[algorithm].id
  token.set(privateKey, HEADER_LENGTH)
  try {
    return Uint8Array.from(Buffer.from(vault.seal(purpose(key), token), "base64url"))
  } finally {
    wipe(token)
  }
}

/** @returns `undefined` for what is no token of this key */
export function openToken(vault: Vault, key: Key, sealed: Uint8Array): ImportToken | undefined {
  const text = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.length).toString("base64url")
  const token = vault.open(purpose(key), text)
  if (token === undefined) return undefined
  try {
    const names = Object.keys(wrappingAlgorithms) as WrappingAlgorithm[]
    const algorithm = names.find((name) => wrappingAlgorithms[name].id === token[8])!
    const der = Buffer.from(token.buffer, token.byteOffset + HEADER_LENGTH, token.length - HEADER_LENGTH)
    const validTo = Number(new DataView(token.buffer, token.byteOffset).getBigUint64(0))
    return { validTo, algorithm, privateKey: createPrivateKey({ key: der, format: "der", type: "pkcs8" }) }
  } finally {
    wipe(token)
  }
}

/** @returns the material, which the caller overwrites; `undefined` when it does not unwrap */
export function unwrapMaterial({ algorithm, privateKey }: ImportToken, wrapped: Uint8Array): Uint8Array | undefined {
  const { hash, wrapsAesKey } = wrappingAlgorithms[algorithm]
  const decrypt = (bytes: Uint8Array): Uint8Array =>
    privateDecrypt({ key: privateKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: hash }, bytes)
  try {
    if (!wrapsAesKey) return decrypt(wrapped)
    const length = privateKey.asymmetricKeyDetails!.modulusLength! / 8
    const aesKey = decrypt(wrapped.subarray(0, length))
    try {
      return unwrapAes(aesKey, wrapped.subarray(length))
    } finally {
      wipe(aesKey)
    }
  } catch {
    return undefined
  }
}

/** The initial value of AES key wrap with padding (RFC 5649, section 3). */
export const ALTERNATIVE_IV = Uint8Array.of(0xa6, 0x59, 0x59, 0xa6)

function unwrapAes(aesKey: Uint8Array, wrapped: Uint8Array): Uint8Array {
  const decipher = createDecipheriv(`id-aes${aesKey.length * 8}-wrap-pad`, aesKey, ALTERNATIVE_IV)
  const material = decipher.update(wrapped)
  decipher.final()
  return material
}
