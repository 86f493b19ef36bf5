import {
  type CommitmentPolicy,
  type DecryptionMaterials,
  type EncryptionContext,
  EnvelopeError,
  type Keyring,
  type MaybePromise,
  type MessageTrace,
  malformed,
  tampered,
} from "../core/index.ts"
import {
  checkPolicy,
  checkSuiteToRead,
  constantTimeEqual,
  createVerifier,
  deriveMessageKeys,
  type Verifier,
  verifyAuthentic,
  wipe,
} from "../crypto/index.ts"
import {
  copyContext,
  encodeContext,
  type Header,
  type Limits,
  PUBLIC_KEY,
  pickPairs,
  resolveLimits,
  withPairs,
} from "../format/index.ts"
import { decryptionMaterials } from "../keyrings/index.ts"
import type { DecryptOptions } from "./options.ts"
import { checkKeyring, checkRequiredKeys } from "./write.ts"

/** Checked options of one decryption. */
export interface ReadPlan {
  readonly keyring: Keyring
  readonly commitmentPolicy: CommitmentPolicy
  /** Pairs that the message must have. */
  readonly expected: EncryptionContext
  readonly requiredKeys: ReadonlySet<string> | undefined
  readonly requireSigned: boolean
  readonly limits: Limits
  readonly signal: AbortSignal | undefined
}

/** @throws TypeError, RangeError */
export function planRead(options: DecryptOptions): ReadPlan {
  const { keyring, requiredContextKeys, requireSigned = false, signal } = options
  checkKeyring(keyring)
  const expected = copyContext(options.encryptionContext)
  const requiredKeys = checkRequiredKeys(requiredContextKeys, expected)
  const commitmentPolicy = checkPolicy(options.commitmentPolicy)
  signal?.throwIfAborted()
  const limits = resolveLimits(options)
  return { keyring, commitmentPolicy, expected, requiredKeys, requireSigned, limits, signal }
}

/** A message whose header is authentic. */
export interface OpenedRead {
  readonly header: Header
  /** All authenticated pairs: those stored and those only required. */
  readonly encryptionContext: EncryptionContext
  /** Overwrite after the last frame. */
  readonly key: Uint8Array
  /** Has seen the header; feed it the body. */
  readonly verifier: Verifier | undefined
}

/**
 * Everything between a header's bytes and the first frame, in order (MSG-8.1; specification: client-apis/decrypt):
 * policy, context, materials, commitment, header tag.
 *
 * @throws EnvelopeError `CommitmentPolicy`, `UnsignedMessage`, `ContextMismatch`, `MalformedMessage`, `NoMatchingKey`, `UnwrapFailed`,
 *   `KmsError`, `TamperedMessage`
 */
export function openRead(plan: ReadPlan, header: Header): MaybePromise<OpenedRead> {
  const { suite, wrappedKeys } = header
  checkSuiteToRead(plan.commitmentPolicy, suite)
  if (plan.requireSigned && !suite.signed) {
    throw new EnvelopeError("UnsignedMessage", "the message is not signed, and requireSigned asks for a signature")
  }
  // MSG-3.4: a signature cannot be stripped by changing the suite.
  if (suite.signed !== Object.hasOwn(header.encryptionContext, PUBLIC_KEY)) {
    throw malformed(suite.signed ? "a signed message has no public key" : "an unsigned message has a public key")
  }
  const encryptionContext = checkExpected(plan, header.encryptionContext)
  const materials = decryptionMaterials(plan.keyring, {
    suite,
    encryptionContext,
    wrappedKeys,
    commitmentPolicy: plan.commitmentPolicy,
    ...(plan.signal && { signal: plan.signal }),
  })
  const finish = (value: DecryptionMaterials | undefined) => useMaterials(plan, header, encryptionContext, value)
  return materials instanceof Promise ? materials.then(finish) : finish(materials)
}

/** MSG-3.6. @returns the full context. @throws EnvelopeError `ContextMismatch` */
function checkExpected({ expected, requiredKeys }: ReadPlan, stored: EncryptionContext): EncryptionContext {
  let unstored: Set<string> | undefined
  for (const key of Object.keys(expected)) {
    if (Object.hasOwn(stored, key)) {
      if (stored[key] !== expected[key]) throw mismatch(key, "has another value in the message")
    } else if (requiredKeys?.has(key)) {
      unstored ??= new Set()
      unstored.add(key)
    } else {
      throw mismatch(key, "is not in the message")
    }
  }
  return unstored === undefined ? stored : withPairs(stored, pickPairs(expected, unstored, true))
}

const mismatch = (key: string, what: string): EnvelopeError =>
  new EnvelopeError("ContextMismatch", `the encryption context pair ${JSON.stringify(key)} ${what}`)

function useMaterials(
  { keyring, signal }: ReadPlan,
  header: Header,
  encryptionContext: EncryptionContext,
  materials: DecryptionMaterials | undefined,
): OpenedRead {
  if (materials === undefined) throw noMatchingKey(keyring, header)
  const { suite } = header
  let key: Uint8Array | undefined
  try {
    signal?.throwIfAborted()
    const keys = deriveMessageKeys(suite, materials.dataKey, header.messageId)
    key = keys.encryptionKey
    // MSG-5.4
    if (!constantTimeEqual(keys.commitment, header.suiteData)) throw tampered()
    verifyAuthentic(suite, key, header.iv, headerAad(header, encryptionContext), header.tag)
    materials.verified()
    return { header, encryptionContext, key, verifier: startVerifier(header) }
  } catch (error) {
    wipe(key)
    throw error
  } finally {
    materials.release()
  }
}

/** MSG-2.5: the header body, then the pairs that the header does not store. */
function headerAad(header: Header, full: EncryptionContext): Uint8Array[] {
  const stored = header.encryptionContext
  if (full === stored) return [header.body]
  return [header.body, encodeContext(pickPairs(full, new Set(Object.keys(stored)), false))]
}

/** The verifier of a signed message that has seen the header. */
export function startVerifier(header: Header): Verifier | undefined {
  const { signature } = header.suite
  if (signature === undefined) return undefined
  const verifier = createVerifier(signature, header.encryptionContext[PUBLIC_KEY]!)
  verifier.update(header.body)
  if (header.suite.formatVersion === 1) verifier.update(header.iv)
  verifier.update(header.tag)
  return verifier
}

/** MSG-4.8 */
function noMatchingKey(keyring: Keyring, header: Header): EnvelopeError {
  const providers = header.wrappedKeys.map((key) => key.providerId)
  return new EnvelopeError(
    "NoMatchingKey",
    `none of the message's ${providers.length} wrapped keys (provider ${[...new Set(providers)].join(", ")}) belongs to keyring ${keyring.name}`,
  )
}

export const decryptTrace = (plan: ReadPlan, operation: string): MessageTrace => ({
  operation,
  keyring: plan.keyring.name,
})

/** What the header says goes into the trace, when there is one. */
export function noteHeader(trace: MessageTrace | undefined, { suite, wrappedKeys }: Header): void {
  if (trace === undefined) return
  trace.suiteId = suite.id
  trace.wrappedKeyCount = wrappedKeys.length
}
