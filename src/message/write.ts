import {
  type CommitmentPolicy,
  type EncryptionContext,
  type EncryptionMaterials,
  type Keyring,
  limitExceeded,
  type MaybePromise,
  type MessageTrace,
  type WrappedKey,
} from "../core/index.ts"
import {
  authenticate,
  checkPolicy,
  createSigner,
  deriveMessageKeys,
  randomBytes,
  type Signer,
  type Suite,
  suiteToWrite,
} from "../crypto/index.ts"
import {
  checkContext,
  encodeContext,
  type HeaderFields,
  type Limits,
  PUBLIC_KEY,
  pickPairs,
  resolveLimits,
} from "../format/index.ts"
import { encryptionMaterials } from "../keyrings/index.ts"
import type { EncryptOptions } from "./options.ts"

/** Chosen by `npm run bench:frames`: see docs/adr/0003-frame-length.md. */
const DEFAULT_FRAME_LENGTH = 256 * 1024
const MAX_FRAME_LENGTH = 0xffffffff

/** Checked options of one encryption. */
export interface WritePlan {
  readonly keyring: Keyring
  readonly suite: Suite
  readonly commitmentPolicy: CommitmentPolicy
  readonly encryptionContext: EncryptionContext
  /** Keys that are authenticated but not stored. */
  readonly requiredKeys: ReadonlySet<string> | undefined
  readonly frameLength: number
  readonly limits: Limits
  readonly signal: AbortSignal | undefined
}

/** @throws TypeError, RangeError, EnvelopeError `CommitmentPolicy`, `LimitExceeded` */
export function planWrite(options: EncryptOptions): WritePlan {
  const { keyring, frameLength = DEFAULT_FRAME_LENGTH, signed = false, signal } = options
  checkKeyring(keyring)
  if (!Number.isInteger(frameLength) || frameLength < 1 || frameLength > MAX_FRAME_LENGTH) {
    throw new RangeError(`frameLength must be 1 to ${MAX_FRAME_LENGTH} bytes`)
  }
  const limits = resolveLimits(options)
  const commitmentPolicy = checkPolicy(options.commitmentPolicy)
  const suite = suiteToWrite(commitmentPolicy, signed, options.suiteId)
  if (options.signed !== undefined && suite.signed !== signed) {
    throw new TypeError(`signed is ${signed}, but suiteId names a suite that is ${suite.signed ? "" : "not "}signed`)
  }
  const encryptionContext = checkContext(options.encryptionContext, limits.maxContextLength, publicKeyPairLength(suite))
  const requiredKeys = checkRequiredKeys(options.requiredContextKeys, encryptionContext)
  signal?.throwIfAborted()
  return { keyring, suite, commitmentPolicy, encryptionContext, requiredKeys, frameLength, limits, signal }
}

/** Bytes of the pair with the public key: two lengths, key, compressed point in base64. */
const publicKeyPairLength = ({ signature }: Suite): number =>
  signature === undefined ? 0 : 4 + PUBLIC_KEY.length + 4 * Math.ceil((1 + signature.coordinateLength) / 3)

export function checkKeyring(keyring: Keyring): void {
  if (typeof keyring?.wrap !== "function" || typeof keyring.unwrap !== "function") {
    throw new TypeError("keyring must be a keyring, for instance the result of kmsKeyring() or rawAesKeyring()")
  }
}

/** @throws TypeError for a required key that the context does not have */
export function checkRequiredKeys(
  keys: readonly string[] | undefined,
  context: EncryptionContext,
): ReadonlySet<string> | undefined {
  if (keys === undefined || keys.length === 0) return undefined
  for (const key of keys) {
    if (!Object.hasOwn(context, key)) {
      throw new TypeError(`requiredContextKeys names ${JSON.stringify(key)}, which encryptionContext does not have`)
    }
  }
  return new Set(keys)
}

/** The materials of one message; the caller releases them. */
export function obtainMaterials(
  plan: WritePlan,
  plaintextLength: number | undefined,
): MaybePromise<EncryptionMaterials> {
  const { keyring, suite, commitmentPolicy, encryptionContext, signal } = plan
  const materials = encryptionMaterials(keyring, {
    suite,
    commitmentPolicy,
    encryptionContext,
    ...(plaintextLength !== undefined && { plaintextLength }),
    ...(signal && { signal }),
  })
  return materials instanceof Promise
    ? materials.then((value) => checkMaterials(plan, value))
    : checkMaterials(plan, materials)
}

function checkMaterials(plan: WritePlan, materials: EncryptionMaterials): EncryptionMaterials {
  const count = materials.wrappedKeys.length
  try {
    plan.signal?.throwIfAborted()
    if (count > plan.limits.maxWrappedKeys) {
      throw limitExceeded("the number of wrapped keys", count, plan.limits.maxWrappedKeys, "maxWrappedKeys")
    }
    materials.wrappedKeys.forEach(checkWrappedKey)
    return materials
  } catch (error) {
    materials.release()
    throw error
  }
}

function checkWrappedKey(key: WrappedKey): void {
  const longest = Math.max(key.providerId.length, key.providerInfo.length, key.ciphertext.length)
  if (longest > 0xffff)
    throw limitExceeded("a field of a wrapped key, in bytes,", longest, 0xffff, "none: the format has 16 bits for it")
}

/** One message under way: its header fields, its key and, for signed suites, the running signature. */
export interface OpenedWrite {
  readonly fields: HeaderFields
  /** Overwrite after the last frame. */
  readonly key: Uint8Array
  readonly signer: Signer | undefined
  /** The header tag, for `encodeHeader`. */
  tag(iv: Uint8Array, body: Uint8Array): Uint8Array
}

/** Derives the keys of a new message. The materials may be released afterwards. */
export function openWrite(plan: WritePlan, materials: EncryptionMaterials): OpenedWrite {
  const { suite, requiredKeys, frameLength } = plan
  // MSG-2.2: it makes the keys of this message its own.
  const messageId = randomBytes(suite.messageIdLength)
  const full = materials.encryptionContext
  // MSG-3.5
  const stored = requiredKeys === undefined ? full : pickPairs(full, requiredKeys, false)
  const unstored = requiredKeys === undefined ? undefined : encodeContext(pickPairs(full, requiredKeys, true))
  const { encryptionKey: key, commitment } = deriveMessageKeys(suite, materials.dataKey, messageId)
  const signer = suite.signature && materials.signingKey && createSigner(suite.signature, materials.signingKey)
  return {
    fields: {
      suite,
      messageId,
      contextBytes: encodeContext(stored),
      wrappedKeys: materials.wrappedKeys,
      contentType: "framed",
      frameLength,
      suiteData: commitment,
    },
    key,
    signer,
    tag: (iv, body) => authenticate(suite, key, iv, unstored === undefined ? [body] : [body, unstored]),
  }
}

/** Writes the footer: length and signature. @returns the bytes written */
export function writeFooter(signer: Signer, out: Uint8Array, at: number): number {
  const signature = signer.finish()
  out[at] = signature.length >> 8
  out[at + 1] = signature.length & 0xff
  out.set(signature, at + 2)
  return 2 + signature.length
}

export const encryptTrace = (plan: WritePlan, operation: string, plaintextLength?: number): MessageTrace => ({
  operation,
  suiteId: plan.suite.id,
  keyring: plan.keyring.name,
  ...(plaintextLength !== undefined && { plaintextLength }),
})
