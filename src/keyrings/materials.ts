import {
  type DecryptionMaterials,
  type DecryptionMaterialsRequest,
  type EncryptionMaterials,
  EnvelopeError,
  type Keyring,
  type MaterialsRequest,
  type MaybePromise,
  type SigningKey,
  type SuiteInfo,
  type WrapResult,
} from "../core/index.ts"
import { findSuite, generateSigningKey, wipe } from "../crypto/index.ts"
import { PUBLIC_KEY, withPairs } from "../format/index.ts"

/**
 * What one encryption needs: a signing key for signed suites, then a data key bound to the context with its public half.
 * Specification: framework/default-cmm, "Get Encryption Materials".
 */
export function encryptionMaterials(keyring: Keyring, request: MaterialsRequest): MaybePromise<EncryptionMaterials> {
  if (keyring.materials !== undefined) return keyring.materials.encryption(request)
  const { suite, signal } = request
  const signature = findSuite(suite.id)?.signature
  const signingKey = signature && generateSigningKey(signature)
  const encryptionContext = signingKey
    ? withPairs(request.encryptionContext, { [PUBLIC_KEY]: signingKey.publicKey })
    : request.encryptionContext
  const finish = (result: WrapResult) => {
    checkWrapResult(keyring, suite, result)
    return toMaterials(result, encryptionContext, signingKey)
  }
  const result = keyring.wrap({ suite, encryptionContext, ...(signal && { signal }) })
  return result instanceof Promise ? result.then(finish) : finish(result)
}

function toMaterials(
  { dataKey, wrappedKeys }: WrapResult,
  encryptionContext: EncryptionMaterials["encryptionContext"],
  signingKey: SigningKey | undefined,
): EncryptionMaterials {
  const materials = { dataKey, wrappedKeys, encryptionContext, release: () => wipe(dataKey) }
  return signingKey ? { ...materials, signingKey } : materials
}

/** @throws EnvelopeError `WrapFailed`, and overwrites the key, for a wrong key length or no wrapped key */
export function checkWrapResult(keyring: Keyring, suite: SuiteInfo, { dataKey, wrappedKeys }: WrapResult): void {
  if (dataKey.length === suite.dataKeyLength && wrappedKeys.length > 0) return
  wipe(dataKey)
  throw new EnvelopeError(
    "WrapFailed",
    wrappedKeys.length === 0
      ? `keyring ${keyring.name} returned no wrapped key`
      : `keyring ${keyring.name} returned a data key of ${dataKey.length} bytes, not ${suite.dataKeyLength}`,
  )
}

/**
 * The data key of one message. Specification: framework/default-cmm, "Decrypt Materials".
 *
 * @returns undefined when none of the wrapped keys belongs to the keyring
 * @throws EnvelopeError `UnwrapFailed` and what the keyring throws
 */
export function decryptionMaterials(
  keyring: Keyring,
  request: DecryptionMaterialsRequest,
): MaybePromise<DecryptionMaterials | undefined> {
  if (keyring.materials !== undefined) return keyring.materials.decryption(request)
  const finish = (dataKey: Uint8Array | undefined): DecryptionMaterials | undefined => {
    if (dataKey === undefined) return undefined
    checkDataKeyLength(keyring.name, request.suite, dataKey)
    return { dataKey, verified: () => {}, release: () => wipe(dataKey) }
  }
  const dataKey = keyring.unwrap(request)
  return dataKey instanceof Promise ? dataKey.then(finish) : finish(dataKey)
}

/** MSG-4.2. @throws EnvelopeError `UnwrapFailed`, and overwrites the key, when its length is not the suite's */
export function checkDataKeyLength(keyringName: string, suite: SuiteInfo, dataKey: Uint8Array): void {
  if (dataKey.length === suite.dataKeyLength) return
  wipe(dataKey)
  throw new EnvelopeError(
    "UnwrapFailed",
    `keyring ${keyringName} unwrapped a data key of ${dataKey.length} bytes, not ${suite.dataKeyLength}`,
  )
}
