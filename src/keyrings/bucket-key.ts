import {
  type DecryptionMaterials,
  type DecryptionMaterialsRequest,
  type EncryptionContext,
  type EncryptionMaterials,
  EnvelopeError,
  fromUtf8,
  type Keyring,
  type MaterialsProvider,
  type MaterialsRequest,
  type UnwrapRequest,
  utf8,
  type WrappedKey,
  type WrapRequest,
  type WrapResult,
} from "../core/index.ts"
import { findSuite, IV_LENGTH, randomBytes, wipe } from "../crypto/index.ts"
import { type CachingKeyringOptions, cachingKeyring } from "./caching.ts"
import { combineFailures, type Failure } from "./failures.ts"
import { KMS_PROVIDER_ID } from "./kms-calls.ts"
import { parseKeyArn } from "./kms-identifiers.ts"
import { decryptionMaterials, encryptionMaterials } from "./materials.ts"
import { type ClosableKeyring, rawAesKeyring } from "./raw-aes.ts"

export interface BucketKeyKeyringOptions extends Pick<CachingKeyringOptions, "maxAgeSeconds" | "capacity" | "clock"> {
  /** Objects whose data keys one bucket key wraps at most; 1 to 2^27, default 2^27. */
  readonly maxMessages?: number
  /**
   * Bytes of plaintext in the objects of one bucket key at most; default `Infinity`. With a limit, an object of unknown
   * length and one longer than the limit get a bucket key of their own.
   */
  readonly maxBytes?: number
  /**
   * The bucket's ARN. Default: what stands before the first slash in the context pair `aws:s3:arn`, which
   * `EncryptedS3Client` writes.
   */
  readonly bucketArn?: string
  /**
   * Context pairs that KMS sees beside the bucket's ARN, with a bucket key for each combination of values, for instance
   * `["tenant"]`: the policy of the KMS key can then tell tenants apart. Default: none.
   */
  readonly contextKeys?: readonly string[]
}

/** OBJ-7.3: the provider id of wrapped keys that a bucket key made. */
export const BUCKET_KEY_NAMESPACE = "kms-envelope/bucket-key"

const ARN_PAIR = "aws:s3:arn"

/** Sixteen wrapped keys of one object come to 2^31 wraps under one key, half of what NIST SP 800-38D, 8.3, allows. */
const MOST_MESSAGES = 2 ** 27
const MOST_WRAPPED_KEYS = 16

/** A bucket key is as a data key of this suite: 32 bytes. */
const SUITE = findSuite(0x0478)!
const POLICY = "RequireEncryptRequireDecrypt"

/**
 * One call to KMS for a bucket and a period instead of one for each object, when writing and when reading: KMS generates
 * a bucket key under the bucket's ARN as encryption context, and every object's own data key is wrapped under that
 * locally, with the object's whole context.
 *
 * The wrapped key in the message is byte for byte that of a raw AES keyring; its key name holds the ARN of the KMS key
 * and the bucket key as KMS wrapped it (docs/spec/s3.md), so kms:Decrypt and any raw AES keyring read it without this
 * library. KMS no longer sees the object's ARN, and a revoked permission takes effect up to `maxAgeSeconds` later.
 *
 * Messages that no bucket key wrapped are unwrapped by `keyring`. `close()`, or `using`, overwrites every bucket key.
 *
 * @param keyring of KMS keys (`kmsKeyring`, a `multiKeyring` of them); at most 16 wrapped keys
 * @throws RangeError for a limit out of its range; TypeError for a keyring that caches already
 */
export function bucketKeyKeyring(keyring: Keyring, options: BucketKeyKeyringOptions): ClosableKeyring {
  const { maxMessages = MOST_MESSAGES, bucketArn, contextKeys = [], ...limits } = options
  if (!Number.isInteger(maxMessages) || maxMessages < 1 || maxMessages > MOST_MESSAGES) {
    throw new RangeError("maxMessages must be a whole number from 1 to 2^27")
  }
  if (bucketArn !== undefined && (typeof bucketArn !== "string" || bucketArn === "")) {
    throw new TypeError("bucketArn must be the ARN of a bucket")
  }
  if (!Array.isArray(contextKeys) || contextKeys.some((key) => typeof key !== "string")) {
    throw new TypeError("contextKeys must be an array of strings")
  }
  const cache = cachingKeyring(keyring, { ...limits, maxMessages, decrypt: true })
  const state: State = { keyring, bucketKeys: cache.materials!, scope: { bucketArn, contextKeys: [...contextKeys] } }
  return {
    name: `bucket-key (${keyring.name})`,
    async wrap(request) {
      return withBucketKey(state, { ...request, commitmentPolicy: POLICY }, (bucketKey) =>
        wrapUnder(bucketKey, request),
      )
    },
    async unwrap(request) {
      const found = await unwrapWithBucketKeys(state, request)
      return found ?? keyring.unwrap(request)
    },
    materials: {
      encryption: (request) => withBucketKey(state, request, (bucketKey) => materialsUnder(bucketKey, request)),
      decryption: (request) => readMaterials(state, request),
    },
    close: () => cache.close(),
    [Symbol.dispose]: () => cache.close(),
  }
}

/** A keyring that only reads, and asks KMS for the bucket key each time. */
export function bucketKeyReader(keyring: Keyring, bucketArn: string): Keyring {
  const encryption = () => {
    throw new TypeError("this keyring only decrypts")
  }
  const bucketKeys: MaterialsProvider = { encryption, decryption: (request) => decryptionMaterials(keyring, request) }
  const state: State = { keyring, bucketKeys, scope: { bucketArn, contextKeys: [] } }
  return {
    name: keyring.name,
    wrap: encryption,
    unwrap: async (request) => (await unwrapWithBucketKeys(state, request)) ?? keyring.unwrap(request),
    materials: { encryption, decryption: (request) => readMaterials(state, request) },
  }
}

// --- internal ---

interface Scope {
  readonly bucketArn: string | undefined
  readonly contextKeys: readonly string[]
}

interface State {
  readonly keyring: Keyring
  /** The cache, whose "data keys" are bucket keys here. */
  readonly bucketKeys: MaterialsProvider
  readonly scope: Scope
}

/** OBJ-7.1: what KMS binds a bucket key to. @returns undefined where the context does not say which bucket it is */
function bucketContext({ bucketArn, contextKeys }: Scope, context: EncryptionContext): EncryptionContext | undefined {
  const arn = bucketArn ?? context[ARN_PAIR]?.split("/", 1)[0]
  if (arn === undefined) return undefined
  const named = contextKeys.filter((key) => Object.hasOwn(context, key)).map((key) => [key, context[key]!])
  return { ...Object.fromEntries(named), [ARN_PAIR]: arn }
}

async function withBucketKey<T>(
  { bucketKeys, scope }: State,
  request: MaterialsRequest,
  use: (bucketKey: EncryptionMaterials) => T | Promise<T>,
): Promise<T> {
  const encryptionContext = bucketContext(scope, request.encryptionContext)
  if (encryptionContext === undefined) {
    throw new TypeError(`a bucket key needs bucketArn, or the pair ${ARN_PAIR} in the encryption context`)
  }
  for (const key of scope.contextKeys) {
    if (!Object.hasOwn(encryptionContext, key)) {
      throw new TypeError(`contextKeys names ${JSON.stringify(key)}, which the encryption context does not have`)
    }
  }
  const { plaintextLength, signal } = request
  const bucketKey = await bucketKeys.encryption({
    suite: SUITE,
    commitmentPolicy: POLICY,
    encryptionContext,
    ...(plaintextLength !== undefined && { plaintextLength }),
    ...(signal && { signal }),
  })
  try {
    return await use(bucketKey)
  } finally {
    bucketKey.release()
  }
}

const materialsUnder = (bucketKey: EncryptionMaterials, request: MaterialsRequest) =>
  encryptionMaterials(
    { name: "bucket-key", wrap: (one) => wrapUnder(bucketKey, one), unwrap: () => undefined },
    request,
  )

/** OBJ-7.2: the object's data key, wrapped under the bucket key with the object's whole context. */
async function wrapUnder(bucketKey: EncryptionMaterials, request: WrapRequest): Promise<WrapResult> {
  if (bucketKey.wrappedKeys.length > MOST_WRAPPED_KEYS) {
    throw new EnvelopeError("LimitExceeded", `a bucket key has at most ${MOST_WRAPPED_KEYS} wrapped keys`)
  }
  const dataKey = request.dataKey ?? randomBytes(request.suite.dataKeyLength)
  try {
    const wrappedKeys: WrappedKey[] = []
    for (const kmsKey of bucketKey.wrappedKeys) {
      using wrapper = bucketKeyRing(keyNameOf(kmsKey), bucketKey.dataKey)
      wrappedKeys.push(...(await wrapper.wrap({ ...request, dataKey })).wrappedKeys)
    }
    return { dataKey, wrappedKeys }
  } catch (error) {
    if (request.dataKey === undefined) wipe(dataKey)
    throw error
  }
}

const bucketKeyRing = (keyName: string, wrappingKey: Uint8Array): ClosableKeyring =>
  rawAesKeyring({ keyNamespace: BUCKET_KEY_NAMESPACE, keyName, wrappingKey })

async function readMaterials(
  state: State,
  request: DecryptionMaterialsRequest,
): Promise<DecryptionMaterials | undefined> {
  const dataKey = await unwrapWithBucketKeys(state, request)
  if (dataKey === undefined) return decryptionMaterials(state.keyring, request)
  const { keyring } = state
  return decryptionMaterials({ name: keyring.name, wrap: keyring.wrap, unwrap: () => dataKey }, request)
}

/** @returns undefined when no wrapped key is of a bucket key that the keyring can unwrap */
async function unwrapWithBucketKeys(
  { keyring, bucketKeys, scope }: State,
  request: UnwrapRequest,
): Promise<Uint8Array | undefined> {
  const mine = request.wrappedKeys.map((entry) => ({ entry, keyName: keyNameIn(entry) }))
  const failures: Failure[] = []
  for (const { entry, keyName } of mine) {
    const wrapped = keyName === undefined ? undefined : wrappedBucketKey(keyName)
    if (wrapped === undefined) continue
    const encryptionContext = bucketContext(scope, request.encryptionContext)
    if (encryptionContext === undefined) {
      throw new EnvelopeError(
        "UnwrapFailed",
        `the object has a bucket key, and nothing says of which bucket: give bucketArn`,
      )
    }
    try {
      const { signal } = request
      const bucketKey = await bucketKeys.decryption({
        suite: SUITE,
        commitmentPolicy: POLICY,
        encryptionContext,
        wrappedKeys: [wrapped],
        ...(signal && { signal }),
      })
      if (bucketKey === undefined) continue
      return await unwrapUnder(bucketKey, keyName!, { ...request, wrappedKeys: [entry] })
    } catch (error) {
      if (request.signal?.aborted) throw error
      failures.push({ keyring: keyring.name, error })
    }
  }
  if (failures.length === 0) return undefined
  throw combineFailures("UnwrapFailed", failures)
}

/** The bucket key is cached only once a data key verified under it. */
async function unwrapUnder(
  bucketKey: DecryptionMaterials,
  keyName: string,
  request: UnwrapRequest,
): Promise<Uint8Array | undefined> {
  using wrapper = bucketKeyRing(keyName, bucketKey.dataKey)
  try {
    const dataKey = await wrapper.unwrap(request)
    bucketKey.verified()
    return dataKey
  } finally {
    bucketKey.release()
  }
}

/** OBJ-7.4: the ARN of the KMS key, a number sign, the wrapped bucket key in base64. */
function keyNameOf({ providerId, providerInfo, ciphertext }: WrappedKey): string {
  const arn = providerId === KMS_PROVIDER_ID ? fromUtf8(providerInfo) : undefined
  if (arn === undefined) {
    throw new EnvelopeError(
      "WrapFailed",
      `a bucket key must be wrapped by KMS keys only, not by provider ${providerId}`,
    )
  }
  return `${arn}#${Buffer.from(ciphertext.buffer, ciphertext.byteOffset, ciphertext.length).toString("base64")}`
}

/** Tag length and iv length, four bytes each, and the iv follow the name. */
const AFTER_NAME = 8 + IV_LENGTH

function keyNameIn({ providerId, providerInfo }: WrappedKey): string | undefined {
  if (providerId !== BUCKET_KEY_NAMESPACE || providerInfo.length <= AFTER_NAME) return undefined
  return fromUtf8(providerInfo.subarray(0, providerInfo.length - AFTER_NAME))
}

/** The wrapped bucket key that a key name holds. @returns undefined when it does not stand there as it is written */
function wrappedBucketKey(keyName: string): WrappedKey | undefined {
  const sign = keyName.indexOf("#")
  const arn = keyName.slice(0, Math.max(sign, 0))
  const base64 = keyName.slice(sign + 1)
  if (parseKeyArn(arn) === undefined) return undefined
  const ciphertext = new Uint8Array(Buffer.from(base64, "base64"))
  if (ciphertext.length === 0 || Buffer.from(ciphertext).toString("base64") !== base64) return undefined
  return { providerId: KMS_PROVIDER_ID, providerInfo: utf8(arn), ciphertext }
}
