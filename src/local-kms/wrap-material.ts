import { constants, createCipheriv, createPublicKey, publicEncrypt } from "node:crypto"
import { concatBytes } from "../core/index.ts"
import { randomBytes, wipe } from "../crypto/index.ts"
import { ALTERNATIVE_IV, type WrappingAlgorithm, wrappingAlgorithms } from "./import-token.ts"

/**
 * Wraps key material for ImportKeyMaterial, of this KMS or of AWS: OAEP of RFC 8017 under the public key, or of a fresh AES
 * key that wraps the material as RFC 5649 says.
 *
 * @param material stays as it is, the caller's to overwrite
 * @param publicKey what GetParametersForImport gave: SubjectPublicKeyInfo, DER
 * @param algorithm what GetParametersForImport was asked for
 * @throws Error of OpenSSL for a public key that is none, or material too long for it
 */
export function wrapKeyMaterial(
  material: Uint8Array,
  publicKey: Uint8Array,
  algorithm: WrappingAlgorithm = "RSAES_OAEP_SHA_256",
): Uint8Array {
  const { hash: oaepHash, wrapsAesKey } = wrappingAlgorithms[algorithm]
  const key = createPublicKey({ key: Buffer.from(publicKey), format: "der", type: "spki" })
  const oaep = (secret: Uint8Array): Uint8Array =>
    Uint8Array.from(publicEncrypt({ key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash }, secret))
  if (!wrapsAesKey) return oaep(material)
  const aesKey = randomBytes(32)
  try {
    const cipher = createCipheriv("id-aes256-wrap-pad", aesKey, ALTERNATIVE_IV)
    return concatBytes([oaep(aesKey), cipher.update(material), cipher.final()])
  } finally {
    wipe(aesKey)
  }
}
