/** Who is compared: this library and the official SDK with the same wrapping key, suite and encryption context. */
import {
  AlgorithmSuiteIdentifier,
  buildDecrypt,
  buildEncrypt,
  getLocalCryptographicMaterialsCache,
  NodeCachingMaterialsManager,
  RawAesKeyringNode,
  RawAesWrappingSuiteIdentifier,
} from "@aws-crypto/client-node"
import { cachingKeyring, rawAesKeyring } from "kms-envelope"
import { compare, KiB, MiB } from "./harness.mjs"

export const NAMESPACE = "bench"
export const KEY_NAME = "key"
export const wrappingKey = new Uint8Array(32).fill(7)
export const encryptionContext = { tenant: "42", purpose: "bench" }

export const keyring = rawAesKeyring({ keyNamespace: NAMESPACE, keyName: KEY_NAME, wrappingKey })
export const cached = cachingKeyring(keyring, { maxAgeSeconds: 3600, decrypt: true })

export const suiteId = AlgorithmSuiteIdentifier.ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY
export const signedSuiteId = AlgorithmSuiteIdentifier.ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY_ECDSA_P384
export const official = { ...buildEncrypt(), ...buildDecrypt() }
export const officialKeyring = new RawAesKeyringNode({
  keyNamespace: NAMESPACE,
  keyName: KEY_NAME,
  unencryptedMasterKey: wrappingKey.slice(),
  wrappingSuite: RawAesWrappingSuiteIdentifier.AES256_GCM_IV12_TAG16_NO_PADDING,
})
export const officialCache = new NodeCachingMaterialsManager({
  backingMaterials: officialKeyring,
  cache: getLocalCryptographicMaterialsCache(1000),
  maxAge: 3_600_000,
})

/** The frame length that the official SDK takes by itself. */
export const OFFICIAL_DEFAULT = 4 * KiB

/** @returns a message as the official SDK writes it */
export const officialEncrypt = async (plaintext, frameLength, keys = officialKeyring) => {
  const options = { suiteId, encryptionContext, frameLength, plaintextLength: plaintext.length }
  return (await official.encrypt(keys, plaintext, options)).result
}

export const officialName = (frameLength) =>
  frameLength === OFFICIAL_DEFAULT ? "official, its frames of 4 KiB" : "official, best frames"

/** The official SDK's fastest frame length for a plaintext of this size, found by trying. */
export async function bestFrameLength(plaintext) {
  const lengths = [64 * KiB, 256 * KiB, MiB, 4 * MiB]
  const candidates = lengths.map((length) => ({
    name: String(length),
    run: () => officialEncrypt(plaintext, length),
  }))
  const results = await compare(candidates, { rounds: 3, milliseconds: 60 })
  return Number(results.sort((a, b) => b.median - a.median)[0].name)
}
