import type { EncryptionContext, KmsClient } from "../../core/index.ts"
import { wipe } from "../../crypto/index.ts"
import {
  badResponse,
  callKms,
  checkClient,
  parseKeyArn,
  parseKeyIdentifier,
  takeCiphertext,
  takePlaintext,
} from "../../keyrings/index.ts"
import type { S3ecKey, S3ecUnwrapRequest, S3ecWrapResult } from "./key.ts"
import { CIPHER_PAIR } from "./names.ts"
import { rewrapDataKey } from "./rewrap.ts"

export interface S3ecKmsKeyOptions {
  /** Sends the requests: the AWS SDK's `KMSClient`, or any object with its `send(command)`. */
  readonly client: KmsClient
  /** The KMS key: key ARN, alias ARN, key id or `alias/...`. */
  readonly keyId: string
  /** Sent with every request; at most 10 (KMS's limit). */
  readonly grantTokens?: readonly string[]
}

/**
 * A KMS key. Writes `kms+context` with one GenerateDataKey (CSE-6.1); reads it, and the legacy `kms` where that is
 * allowed, with one Decrypt that names the key (CSE-6.2).
 *
 * @throws TypeError for an object that is no client, or anything that names no KMS key
 */
export function s3ecKmsKey(options: S3ecKmsKeyOptions): S3ecKey {
  const keyId = parseKeyIdentifier(options.keyId, "keyId").text
  return kmsKey({ ...options, keyId })
}

/**
 * Reads with whatever KMS key the wrapped key names, and does not write. KMS decrypts under every key that the caller
 * may use, in any account, so that somebody else's object reads as well as yours: prefer `s3ecKmsKey`.
 *
 * @throws TypeError for an object that is no client
 */
export const s3ecKmsDiscoveryKey = (options: Omit<S3ecKmsKeyOptions, "keyId">): S3ecKey =>
  kmsKey({ ...options, keyId: undefined })

function kmsKey(options: Omit<S3ecKmsKeyOptions, "keyId"> & { readonly keyId: string | undefined }): S3ecKey {
  const { client, keyId } = options
  checkClient(client, "client")
  const grantTokens = options.grantTokens?.length ? { GrantTokens: [...options.grantTokens] } : {}
  const name = keyId === undefined ? "KMS discovery" : `KMS ${keyId}`
  return {
    name,
    bindsContext: true,
    ...(keyId !== undefined && {
      rewrap: (envelope, encryptionContext, signal) =>
        rewrapDataKey(envelope, {
          client,
          keyId,
          encryptionContext,
          ...(options.grantTokens && { grantTokens: options.grantTokens }),
          ...(signal && { signal }),
        }),
    }),
    async wrap({ contentCipher, encryptionContext, dataKey: given, signal }): Promise<S3ecWrapResult> {
      if (keyId === undefined) throw new TypeError("s3ecKmsDiscoveryKey only decrypts: to encrypt, use s3ecKmsKey")
      const description: EncryptionContext = { ...encryptionContext, [CIPHER_PAIR]: contentCipher }
      const operation = given === undefined ? "GenerateDataKey" : "Encrypt"
      const members = given === undefined ? { KeySpec: "AES_256" } : { Plaintext: given }
      const input = { KeyId: keyId, ...members, EncryptionContext: { ...description }, ...grantTokens }
      const response = await callKms(operation, client, input, { keyId, ...(signal && { signal }) })
      const dataKey = given ?? takePlaintext(operation, response, 32)
      try {
        const wrappedKey = takeCiphertext(operation, response)
        return { dataKey, wrapAlgorithm: "kms+context", wrappedKey, description }
      } catch (error) {
        if (given === undefined) wipe(dataKey)
        throw error
      }
    },
    async unwrap({ wrapAlgorithm, wrappedKey, description, signal }: S3ecUnwrapRequest) {
      if (wrapAlgorithm !== "kms+context" && wrapAlgorithm !== "kms") return undefined
      const input = {
        ...(keyId !== undefined && { KeyId: keyId }),
        CiphertextBlob: wrappedKey,
        EncryptionContext: { ...description },
        ...grantTokens,
      }
      const response = await callKms("Decrypt", client, input, { keyId, ...(signal && { signal }) })
      const dataKey = takePlaintext("Decrypt", response, 32)
      if (keyId === undefined || parseKeyArn(keyId) === undefined || response.KeyId === keyId) return dataKey
      wipe(dataKey)
      throw badResponse("Decrypt", `another key than the one asked for, ${keyId}`)
    },
  }
}
