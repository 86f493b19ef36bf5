import { allocate, copyBytes, type EncryptionContext, EnvelopeError } from "../../core/index.ts"
import { openObjectKey, suiteName, wipe } from "../../crypto/index.ts"
import { copyContext } from "../../format/index.ts"
import type { ObjectEnvelope, WrapAlgorithm } from "./envelope.ts"
import type { S3ecKey } from "./key.ts"
import { CIPHER_PAIR, KEY_ID_PAIR } from "./names.ts"
import type { S3ecPlan } from "./plan.ts"
import type { StringMap } from "./text.ts"

/** What one call adds to the options. */
export interface S3ecCallOptions {
  /**
   * Writing: pairs that KMS binds to the data key, stored in the clear. Reading: the pairs that the object must have been
   * written with, all of them and no other. Not for raw keys, which bind none. Default: none.
   */
  readonly encryptionContext?: EncryptionContext
  /** Writing: bytes of plaintext, where known, for keys that count them. */
  readonly plaintextLength?: number
  /** Aborts the call with the signal's reason. */
  readonly signal?: AbortSignal
}

/** What opens the body of one object. Overwrite `key` after use. */
export interface ContentKey {
  readonly suiteId: 0x70 | 0x72 | 0x73
  readonly key: Uint8Array
  readonly iv: Uint8Array
  readonly aad: Uint8Array
}

/** CSE-2.2 */
export const V3_IV = /* @__PURE__ */ new Uint8Array(12).fill(1)
export const V3_AAD = /* @__PURE__ */ Uint8Array.of(0x00, 0x73)
export const NO_AAD = /* @__PURE__ */ allocate(0)

export const contentCipherOf = (suiteId: 0x70 | 0x72 | 0x73): string =>
  ({ 112: "AES/CBC/PKCS5Padding", 114: "AES/GCM/NoPadding", 115: "115" })[suiteId]

/**
 * CSE-7.2: whatever can be decided from metadata is decided before a key is asked for.
 *
 * @throws EnvelopeError `CommitmentPolicy`, `UnsupportedFormat`
 */
export function checkReadable(plan: S3ecPlan, envelope: ObjectEnvelope): void {
  const { suiteId, wrapAlgorithm } = envelope
  if (plan.commitmentPolicy === "RequireEncryptRequireDecrypt" && suiteId !== 0x73) {
    throw new EnvelopeError(
      "CommitmentPolicy",
      `the object uses suite ${suiteName(suiteId)}, which does not commit to its key; to read it, set commitmentPolicy to "RequireEncryptAllowDecrypt"`,
    )
  }
  if (suiteId === 0x70 && !plan.unauthenticatedCbc) {
    throw new EnvelopeError(
      "UnsupportedFormat",
      "the object is encrypted with AES-CBC, which authenticates nothing; to read it, set unauthenticatedCbc",
    )
  }
  if (LEGACY_WRAPS.includes(wrapAlgorithm) && !plan.legacyWrapping) {
    throw new EnvelopeError(
      "UnsupportedFormat",
      `the object's data key is wrapped in a legacy way, ${wrapAlgorithm}; to read it, set legacyWrapping`,
    )
  }
}

const LEGACY_WRAPS: readonly WrapAlgorithm[] = ["kms", "AESWrap", "RSA/ECB/OAEPWithSHA-256AndMGF1Padding", "AES", "RSA"]

/**
 * The data key of an object, after every check that needs none.
 *
 * @throws EnvelopeError `CommitmentPolicy`, `UnsupportedFormat`, `ContextMismatch`, `NoMatchingKey`, and what the key throws
 */
export async function unwrapDataKey(
  plan: S3ecPlan,
  envelope: ObjectEnvelope,
  { encryptionContext, signal }: S3ecCallOptions,
): Promise<Uint8Array> {
  checkReadable(plan, envelope)
  const expected = checkCallerContext(encryptionContext)
  checkStoredContext(envelope, expected)
  signal?.throwIfAborted()
  const { wrapAlgorithm, wrappedKey, description, suiteId } = envelope
  const contentCipher = contentCipherOf(suiteId)
  const check = envelope.format === "V3" && { check: commitmentCheck(envelope) }
  const request = { wrapAlgorithm, wrappedKey, description, contentCipher, ...check }
  for (const key of keysInOrder(plan, description)) {
    const dataKey = await key.unwrap({ ...request, ...(signal && { signal }) })
    if (dataKey === undefined) continue
    if (dataKey.length === 32 && !signal?.aborted) return dataKey
    wipe(dataKey)
    signal?.throwIfAborted()
    throw new EnvelopeError("UnwrapFailed", `the ${key.name} unwrapped a data key that is not 32 bytes`)
  }
  throw new EnvelopeError(
    "NoMatchingKey",
    `the object's data key is wrapped by ${wrapAlgorithm}, and no key given does that`,
  )
}

const commitmentCheck =
  ({ messageId, commitment }: ObjectEnvelope & { format: "V3" }) =>
  (dataKey: Uint8Array): void =>
    wipe(openObjectKey(dataKey, messageId, commitment))

/** The content key of an object. @throws what `unwrapDataKey` throws, and `TamperedMessage` for another key's commitment */
export async function obtainContentKey(
  plan: S3ecPlan,
  envelope: ObjectEnvelope,
  options: S3ecCallOptions,
): Promise<ContentKey> {
  const dataKey = await unwrapDataKey(plan, envelope, options)
  try {
    if (envelope.format !== "V3")
      return { suiteId: envelope.suiteId, key: copyBytes(dataKey), iv: envelope.iv, aad: NO_AAD }
    const key = openObjectKey(dataKey, envelope.messageId, envelope.commitment)
    return { suiteId: 0x73, key, iv: V3_IV, aad: V3_AAD }
  } finally {
    wipe(dataKey)
  }
}

/**
 * The caller's pairs.
 *
 * @throws TypeError for what is no record of strings, and for names that the format owns (CSE-6.1)
 */
export function checkCallerContext(context: EncryptionContext | undefined): EncryptionContext {
  const copy = copyContext(context)
  for (const name of [CIPHER_PAIR, KEY_ID_PAIR]) {
    if (Object.hasOwn(copy, name)) throw new TypeError(`encryptionContext must not have ${name}: the format sets it`)
  }
  return copy
}

// --- internal ---

function* keysInOrder({ key, additionalKeys }: S3ecPlan, description: StringMap): Generator<S3ecKey> {
  const all = [key, ...additionalKeys]
  // CSE-6.7
  const named = all.filter((each) => each.materialDescription && equalMaps(each.materialDescription, description))
  yield* new Set([...named, ...all])
}

export function checkStoredContext(
  { wrapAlgorithm, description, suiteId }: ObjectEnvelope,
  expected: EncryptionContext,
): void {
  if (wrapAlgorithm === "kms+context") {
    const { [CIPHER_PAIR]: cipher, [KEY_ID_PAIR]: _keyId, ...pairs } = description
    if (cipher !== contentCipherOf(suiteId)) {
      throw new EnvelopeError("ContextMismatch", "the object's encryption context names another content cipher")
    }
    // CSE-6.2: equal, not only contained, so that nobody moves an object with more pairs to a reader who asks for fewer.
    if (equalMaps(pairs, expected)) return
    throw new EnvelopeError("ContextMismatch", "the object was written with another encryption context")
  }
  // CSE-6.8: what carries no context of the caller's cannot match one.
  if (Object.keys(expected).length === 0) return
  throw new EnvelopeError(
    "ContextMismatch",
    `an encryption context is expected, and the wrapping ${wrapAlgorithm} binds none`,
  )
}

export function equalMaps(a: StringMap, b: StringMap): boolean {
  const names = Object.keys(a)
  return names.length === Object.keys(b).length && names.every((name) => Object.hasOwn(b, name) && a[name] === b[name])
}
