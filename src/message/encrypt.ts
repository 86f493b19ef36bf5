import {
  allocateUnfilled,
  type BytesLike,
  type EncryptionMaterials,
  limitExceeded,
  type MaybePromise,
  traced,
  viewBytes,
} from "../core/index.ts"
import { type Signer, wipe } from "../crypto/index.ts"
import { encodeHeader, headerLength, type Limits } from "../format/index.ts"
import {
  AT_ONCE,
  type BodyJob,
  bodyLengthOf,
  type FrameLayout,
  layoutOfPlaintext,
  sealBody,
  sealLargeBody,
} from "../framing/index.ts"
import type { EncryptOptions } from "./options.ts"
import { refuseOverlap } from "./overlap.ts"
import { updateInSlices } from "./slices.ts"
import { encryptTrace, obtainMaterials, openWrite, planWrite, type WritePlan, writeFooter } from "./write.ts"

export type EncryptInMemoryOptions = EncryptOptions & Pick<Partial<Limits>, "maxMessageLength">

/**
 * Encrypts a plaintext in memory into one AWS Encryption SDK message. Above 1 MiB the work is done in slices,
 * so that the event loop stays free; do not change the plaintext before the promise settles.
 *
 * @param plaintext at most `maxMessageLength` bytes (2 GiB); a string is encoded in UTF-8
 * @returns the message, in memory of its own
 * @throws TypeError, RangeError for options that contradict themselves
 * @throws EnvelopeError `CommitmentPolicy`, `LimitExceeded`, `WrapFailed`, `KmsError`, `Closed`
 */
export async function encrypt(plaintext: BytesLike, options: EncryptInMemoryOptions): Promise<Uint8Array> {
  return encryptTo(viewBytes(plaintext, "plaintext"), undefined, options)
}

/**
 * `encrypt` into memory that the caller owns and can use again: for large plaintexts a new allocation costs more than
 * the cipher.
 *
 * @param target must not overlap the plaintext; how much longer than the plaintext it must be depends on the wrapped keys
 *   and the context: 4 KiB and 40 bytes a frame are plenty for a few keys and a small context
 * @returns the part of `target` that holds the message
 * @throws RangeError when `target` is too short; TypeError when it overlaps the plaintext; what `encrypt` throws
 */
export async function encryptInto(
  plaintext: BytesLike,
  target: Uint8Array,
  options: EncryptInMemoryOptions,
): Promise<Uint8Array> {
  const bytes = viewBytes(plaintext, "plaintext")
  refuseOverlap(bytes, target)
  return encryptTo(bytes, target, options)
}

function encryptTo(
  plaintext: Uint8Array,
  target: Uint8Array | undefined,
  options: EncryptInMemoryOptions,
): MaybePromise<Uint8Array> {
  const plan = planWrite(options)
  const { maxMessageLength } = plan.limits
  if (plaintext.length > maxMessageLength) {
    throw limitExceeded("the plaintext, in bytes,", plaintext.length, maxMessageLength, "maxMessageLength")
  }
  return traced(
    "encrypt",
    () => encryptTrace(plan, target === undefined ? "encrypt" : "encryptInto", plaintext.length),
    (trace) => {
      const finish = (materials: EncryptionMaterials) => {
        if (trace !== undefined) trace.wrappedKeyCount = materials.wrappedKeys.length
        const write = plaintext.length <= AT_ONCE ? writeAtOnce : writeLarge
        return write(plan, materials, plaintext, target)
      }
      const materials = obtainMaterials(plan, plaintext.length)
      return materials instanceof Promise ? materials.then(finish) : finish(materials)
    },
  )
}

function writeAtOnce(
  plan: WritePlan,
  materials: EncryptionMaterials,
  plaintext: Uint8Array,
  target: Uint8Array | undefined,
): Uint8Array {
  const begun = begin(plan, materials, plaintext, target)
  const { job, layout, message, bodyAt, signer } = begun
  try {
    const end = sealBody(job, layout, plaintext, message, bodyAt)
    signer?.update(message.subarray(0, end))
    return finish(begun, end)
  } finally {
    wipe(job.key)
  }
}

async function writeLarge(
  plan: WritePlan,
  materials: EncryptionMaterials,
  plaintext: Uint8Array,
  target: Uint8Array | undefined,
): Promise<Uint8Array> {
  const begun = begin(plan, materials, plaintext, target)
  const { job, layout, message, bodyAt, signer } = begun
  try {
    const end = await sealLargeBody(job, layout, plaintext, message, bodyAt)
    if (signer !== undefined) await updateInSlices(signer, message.subarray(0, end), plan.signal)
    return finish(begun, end)
  } finally {
    wipe(job.key)
  }
}

/** A message in memory with its header written; overwrite `job.key` after the last frame. */
interface Begun {
  readonly job: BodyJob
  readonly layout: FrameLayout
  readonly message: Uint8Array
  readonly bodyAt: number
  readonly signer: Signer | undefined
}

/** Releases the materials, which nothing needs once the keys are derived. */
function begin(
  plan: WritePlan,
  materials: EncryptionMaterials,
  plaintext: Uint8Array,
  target: Uint8Array | undefined,
): Begun {
  const { suite, frameLength, signal } = plan
  let key: Uint8Array | undefined
  try {
    const layout = layoutOfPlaintext(plaintext.length, frameLength)
    const { fields, signer, ...write } = openWrite(plan, materials)
    key = write.key
    const footer = suite.signature ? 2 + suite.signature.maxSignatureLength : 0
    const length = headerLength(fields) + bodyLengthOf(layout, frameLength) + footer
    if (target !== undefined && target.length < length) {
      throw new RangeError(`the target has ${target.length} bytes, and the message needs ${length}`)
    }
    const message = target ?? allocateUnfilled(length)
    const bodyAt = encodeHeader(fields, message, write.tag)
    const job = { suite, key, messageId: fields.messageId, shape: fields, signal }
    return { job, layout, message, bodyAt, signer }
  } catch (error) {
    wipe(key)
    throw error
  } finally {
    materials.release()
  }
}

/** DER signatures vary by a few bytes in length, so the allocation may be a little longer than the message. */
function finish({ message, signer }: Begun, bodyEnd: number): Uint8Array {
  const end = signer === undefined ? bodyEnd : bodyEnd + writeFooter(signer, message, bodyEnd)
  return end === message.length ? message : message.subarray(0, end)
}
