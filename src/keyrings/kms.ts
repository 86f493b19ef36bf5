import { fromUtf8, type Keyring, type UnwrapRequest, type WrappedKey } from "../core/index.ts"
import { combineFailures, type Failure } from "./failures.ts"
import {
  decryptDataKey,
  encryptDataKey,
  generateDataKey,
  generateWrappedKey,
  KMS_PROVIDER_ID,
  type KmsTarget,
} from "./kms-calls.ts"
import { clientFinder, type KmsClientSource } from "./kms-client.ts"
import {
  areReplicas,
  type KeyIdentifier,
  type KmsArn,
  mayResolveTo,
  parseKeyIdentifier,
  requireKeyArn,
} from "./kms-identifiers.ts"
import { STRICT, unwrapWithFirst, wrapWithAll } from "./wrap-all.ts"

export interface KmsKeyringOptions {
  /**
   * Sends the requests: the AWS SDK's `KMSClient`, or any object with its `send(command)`. Or a function from a Region
   * to the client for it, called once for each Region of the keys.
   */
  readonly client: KmsClientSource
  /** The KMS key that generates data keys: key ARN, alias ARN, key id or `alias/...`. Only a key ARN can decrypt. */
  readonly generatorKeyId?: string
  /** More KMS keys that wrap each data key, any of which decrypts. */
  readonly keyIds?: readonly string[]
  /** Sent with every request; at most 10 (KMS's limit). */
  readonly grantTokens?: readonly string[]
  /**
   * `match` (default): a multi-Region key given by its ARN also decrypts what a replica of it in another Region wrapped;
   * the request goes to the Region of the key given here. `exact`: only what was wrapped under the very ARN.
   */
  readonly multiRegion?: "match" | "exact"
}

/**
 * Data keys generated and wrapped by AWS KMS keys. Specification: framework/aws-kms/aws-kms-mrk-multi-keyrings ("strict"),
 * with `multiRegion: "exact"` aws-kms-multi-keyrings.
 *
 * Encrypting costs one GenerateDataKey and one Encrypt for each further key; all must succeed. Decrypting costs one
 * Decrypt, and throws `TypeError` when only an alias or a bare key id could name the key that wrapped the data key: it
 * does not say which key that is, so a message could choose. KMS's errors are `EnvelopeError`s with code `KmsError`, the
 * AWS error's name and the AWS error as cause.
 *
 * @throws TypeError for no key, a malformed or repeated one, replicas of one multi-Region key, or no client
 */
export function kmsKeyring(options: KmsKeyringOptions): Keyring {
  const { generatorKeyId, multiRegion = "match" } = options
  if (multiRegion !== "match" && multiRegion !== "exact") throw new TypeError('multiRegion must be "match" or "exact"')
  const keys = parseKeys(options, multiRegion === "match")
  const find = clientFinder(options.client)
  const grantTokens = checkGrantTokens(options.grantTokens)
  const keyrings = keys.map((key) => {
    const client = find(key.arn?.region)
    if (client === undefined) throw new TypeError(`client gives no KMS client for the Region of ${key.text}`)
    return singleKeyring(key, { client, keyId: key.text, grantTokens }, multiRegion === "match")
  })
  const keyring: Keyring = {
    name: keys.length === 1 ? keyrings[0]!.name : `${keyrings[0]!.name} and ${keys.length - 1} more`,
    async wrap(request) {
      request.signal?.throwIfAborted()
      if (request.dataKey === undefined && generatorKeyId === undefined) {
        throw new TypeError("this kmsKeyring only decrypts: to encrypt, give it a generatorKeyId")
      }
      return wrapWithAll(keyrings, request, STRICT)
    },
    async unwrap(request) {
      const dataKey = await unwrapWithFirst(keyrings, request)
      if (dataKey === undefined) checkReadable(keys, request)
      return dataKey
    },
  }
  if (generatorKeyId === undefined || keyrings.length > 1) return keyring
  return { ...keyring, generateWithoutPlaintext: keyrings[0]!.generateWithoutPlaintext }
}

/** @throws TypeError for something else than an array of strings */
export function checkGrantTokens(grantTokens: readonly string[] = []): readonly string[] {
  if (!Array.isArray(grantTokens) || grantTokens.some((token) => typeof token !== "string")) {
    throw new TypeError("grantTokens must be an array of strings")
  }
  return [...grantTokens]
}

// --- internal ---

function parseKeys({ generatorKeyId, keyIds = [] }: KmsKeyringOptions, matchReplicas: boolean): KeyIdentifier[] {
  if (!Array.isArray(keyIds)) throw new TypeError("keyIds must be an array of strings")
  const keys = keyIds.map((keyId) => parseKeyIdentifier(keyId, "each of keyIds"))
  if (generatorKeyId !== undefined) keys.unshift(parseKeyIdentifier(generatorKeyId, "generatorKeyId"))
  if (keys.length === 0) throw new TypeError("kmsKeyring needs generatorKeyId or keyIds")
  for (const [i, key] of keys.entries()) {
    for (const other of keys.slice(0, i)) checkDistinct(key, other, matchReplicas)
  }
  return keys
}

/** Specification: framework/aws-kms/aws-kms-mrk-are-unique. */
function checkDistinct(key: KeyIdentifier, other: KeyIdentifier, matchReplicas: boolean): void {
  if (key.text === other.text) throw new TypeError(`${key.text} stands twice among generatorKeyId and keyIds`)
  if (!matchReplicas || !key.arn || !other.arn || !areReplicas(key.arn, other.arn)) return
  throw new TypeError(
    `${key.text} and ${other.text} are one multi-Region key, and either decrypts what the other wrapped: give one of them, put each into a kmsKeyring of its own within a multiKeyring, or set multiRegion to "exact"`,
  )
}

type SingleKeyring = Keyring & Required<Pick<Keyring, "generateWithoutPlaintext">>

/** Specification: framework/aws-kms/aws-kms-mrk-keyring and aws-kms-keyring. */
function singleKeyring(key: KeyIdentifier, target: KmsTarget, matchReplicas: boolean): SingleKeyring {
  const name = `kms ${key.text}`
  const isMine = (arn: KmsArn): boolean =>
    key.arn?.resourceType === "key" && (arn.text === key.text || (matchReplicas && areReplicas(arn, key.arn)))
  return {
    name,
    async wrap(request) {
      const { dataKey } = request
      if (dataKey === undefined) return generateDataKey(target, request)
      return { dataKey, wrappedKeys: [await encryptDataKey(target, request, dataKey)] }
    },
    unwrap: (request) => unwrapMatching(name, request, (arn) => (isMine(arn) ? target : undefined)),
    generateWithoutPlaintext: async (request) => [await generateWrappedKey(target, request)],
  }
}

/**
 * Asks KMS to decrypt the wrapped keys for which `targetOf` gives a target, one after the other until one succeeds.
 *
 * @returns undefined when there is none
 */
export async function unwrapMatching(
  name: string,
  request: UnwrapRequest,
  targetOf: (arn: KmsArn) => KmsTarget | undefined,
): Promise<Uint8Array | undefined> {
  request.signal?.throwIfAborted()
  const failures: Failure[] = []
  const targets = kmsWrappedKeys(request).map(({ wrappedKey, arn }) => ({ wrappedKey, target: targetOf(arn) }))
  for (const { wrappedKey, target } of targets) {
    if (target === undefined) continue
    try {
      return await decryptDataKey(target, request, wrappedKey)
    } catch (error) {
      if (request.signal?.aborted) throw error
      failures.push({ keyring: name, error })
    }
  }
  if (failures.length === 0) return undefined
  throw combineFailures("UnwrapFailed", failures)
}

/** The wrapped keys that KMS made. @throws EnvelopeError `UnwrapFailed` when one of them names no key ARN */
const kmsWrappedKeys = ({ wrappedKeys }: UnwrapRequest): { wrappedKey: WrappedKey; arn: KmsArn }[] =>
  wrappedKeys
    .filter(({ providerId }) => providerId === KMS_PROVIDER_ID)
    .map((wrappedKey) => ({ wrappedKey, arn: requireKeyArn(fromUtf8(wrappedKey.providerInfo)) }))

/** @throws TypeError when an alias or a bare key id might be what would have decrypted */
function checkReadable(keys: readonly KeyIdentifier[], request: UnwrapRequest): void {
  for (const { arn } of kmsWrappedKeys(request)) {
    const vague = keys.find((key) => key.arn?.resourceType !== "key" && mayResolveTo(key, arn))
    if (vague === undefined) continue
    throw new TypeError(
      `${vague.text} encrypts but cannot decrypt, because it does not say which key it stands for: put the key ARN (this message names ${arn.text}) into generatorKeyId or keyIds, or decrypt with kmsDiscoveryKeyring`,
    )
  }
}
