import { copyBytes, type Keyring, utf8, type WrappedKey } from "../../core/index.ts"
import { findSuite, wipe } from "../../crypto/index.ts"
import { type CachingKeyringOptions, cachingKeyring } from "../../keyrings/index.ts"
import type { WrapAlgorithm } from "./envelope.ts"
import type { ClosableS3ecKey, S3ecKey, S3ecUnwrapRequest } from "./key.ts"
import { fromJson, type StringMap, toJson } from "./text.ts"

export type S3ecBucketKeyOptions = Pick<
  CachingKeyringOptions,
  "maxAgeSeconds" | "maxMessages" | "maxBytes" | "capacity" | "clock"
>

/** The cache sees one suite, whose data keys are as long as the format's and, like those of V3, derive another key each time. */
const SUITE = findSuite(0x0478)!
const POLICY = "RequireEncryptRequireDecrypt"
const PROVIDER_ID = "s3ec"

/**
 * CSE-10.1: saves calls to KMS by one data key for several objects of format V3 with the same encryption context, each
 * with its own message id, hence its own encryption key; and by keeping unwrapped data keys for reading. Any official
 * client reads such objects.
 *
 * Two of these objects can be exchanged for one another unseen: body and envelope of either are authentic in the other's
 * place. Objects of format V2, which has no key derivation, keep a data key and a call each. A revoked permission takes
 * effect up to `maxAgeSeconds` later. `close()`, or `using`, overwrites the data keys.
 *
 * @throws RangeError for a limit out of its range
 */
export function s3ecBucketKey(key: S3ecKey, options: S3ecBucketKeyOptions): ClosableS3ecKey {
  const { maxAgeSeconds, maxMessages, maxBytes, capacity, clock } = options
  const cache = cachingKeyring(asKeyring(key), {
    maxAgeSeconds,
    decrypt: true,
    ...(maxMessages !== undefined && { maxMessages }),
    ...(maxBytes !== undefined && { maxBytes }),
    ...(capacity !== undefined && { capacity }),
    ...(clock !== undefined && { clock }),
  })
  const close = () => cache.close()
  return {
    name: key.name,
    bindsContext: key.bindsContext,
    ...(key.materialDescription && { materialDescription: key.materialDescription }),
    async wrap(request) {
      // CSE-10.2
      if (request.contentCipher !== "115" || request.dataKey !== undefined) return key.wrap(request)
      const { encryptionContext, plaintextLength, signal } = request
      const materials = await cache.materials!.encryption({
        suite: SUITE,
        commitmentPolicy: POLICY,
        encryptionContext,
        ...(plaintextLength !== undefined && { plaintextLength }),
        ...(signal && { signal }),
      })
      try {
        return { dataKey: copyBytes(materials.dataKey), ...fromEntry(materials.wrappedKeys[0]!) }
      } finally {
        materials.release()
      }
    },
    async unwrap(request) {
      const { check, signal } = request
      if (request.contentCipher !== "115" || check === undefined) return key.unwrap(request)
      const materials = await cache.materials!.decryption({
        suite: SUITE,
        commitmentPolicy: POLICY,
        encryptionContext: {},
        wrappedKeys: [toEntry(request)],
        ...(signal && { signal }),
      })
      if (materials === undefined) return undefined
      try {
        check(materials.dataKey)
        materials.verified()
        return copyBytes(materials.dataKey)
      } finally {
        materials.release()
      }
    },
    close,
    [Symbol.dispose]: close,
  }
}

// --- internal ---

/** The key as the cache knows keys: what it stores beside its wrapped keys is part of what it is cached under. */
function asKeyring(key: S3ecKey): Keyring {
  return {
    name: key.name,
    async wrap({ encryptionContext, signal }) {
      const wrapped = await key.wrap({ contentCipher: "115", encryptionContext, ...(signal && { signal }) })
      return { dataKey: wrapped.dataKey, wrappedKeys: [toEntry(wrapped)] }
    },
    async unwrap({ wrappedKeys, signal }) {
      const dataKey = await key.unwrap({
        contentCipher: "115",
        ...fromEntry(wrappedKeys[0]!),
        ...(signal && { signal }),
      })
      if (signal?.aborted) wipe(dataKey)
      signal?.throwIfAborted()
      return dataKey
    },
  }
}

type Entry = Pick<S3ecUnwrapRequest, "wrapAlgorithm" | "wrappedKey" | "description">

const toEntry = ({ wrapAlgorithm, wrappedKey, description }: Entry): WrappedKey => ({
  providerId: PROVIDER_ID,
  providerInfo: utf8(toJson({ wrapAlgorithm, description: toJson(description) })),
  ciphertext: wrappedKey,
})

function fromEntry({ providerInfo, ciphertext }: WrappedKey): Entry {
  const fields: StringMap = fromJson(new TextDecoder().decode(providerInfo), "a cached key")
  const description = fromJson(fields.description!, "a cached key")
  return { wrapAlgorithm: fields.wrapAlgorithm as WrapAlgorithm, wrappedKey: ciphertext, description }
}
