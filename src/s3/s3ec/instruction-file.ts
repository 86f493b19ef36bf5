import { EnvelopeError } from "../../core/index.ts"
import { openObjectKey, suiteName, wipe } from "../../crypto/index.ts"
import { contentCipherOf, equalMaps, type S3ecCallOptions, unwrapDataKey } from "./content-key.ts"
import type { ObjectEnvelope } from "./envelope.ts"
import type { S3ecKey } from "./key.ts"
import { INSTRUCTION_FILE_MARK, INSTRUCTION_FILE_SUFFIX } from "./names.ts"
import type { S3ecPlan } from "./plan.ts"
import { writeEnvelope } from "./write-envelope.ts"

/** The user metadata of an instruction file. Readers do not ask for it: not every server keeps an empty value. */
export const INSTRUCTION_FILE_METADATA: Readonly<Record<string, string>> = { [INSTRUCTION_FILE_MARK]: "" }

/** CSE-1.4. @param suffix another one than `.instruction` only for a file that was written for another key */
export const instructionFileKey = (key: string, suffix = INSTRUCTION_FILE_SUFFIX): string => key + suffix

export interface NewInstructionFileOptions extends S3ecCallOptions {
  /** A raw AES or RSA key whose material description is not the one in the file. */
  readonly newKey: S3ecKey
  /** Fail when the present key opens the new file as well. Default: false. */
  readonly enforceRotation?: boolean
}

/**
 * A new instruction file for an object, whose data key is wrapped by another raw key. The object stays as it is: so do
 * its IV or message id, and the commitment, which is checked first (CSE-9.1).
 *
 * @returns the new file's body
 * @throws TypeError for an object without instruction file, a key that is no raw key, the same material description, or
 * under `enforceRotation` a new file that the present key opens (CSE-9.2)
 * @throws EnvelopeError `CommitmentPolicy` for an object of another suite than the options write, `TamperedMessage`, and
 * what the keys throw
 */
export async function newInstructionFile(
  plan: S3ecPlan,
  envelope: ObjectEnvelope,
  options: NewInstructionFileOptions,
): Promise<string> {
  const { newKey, enforceRotation = false, signal } = options
  if (envelope.location !== "instruction-file") throw new TypeError("the object has no instruction file")
  if (newKey.bindsContext || newKey.materialDescription === undefined) {
    throw new TypeError("newKey must be a raw key: of s3ecAesKey or s3ecRsaKey")
  }
  if (equalMaps(newKey.materialDescription, envelope.description)) {
    throw new TypeError("newKey must have another materialDescription than the one in the instruction file")
  }
  if (envelope.suiteId !== plan.suiteId) {
    throw new EnvelopeError(
      "CommitmentPolicy",
      `the object uses suite ${suiteName(envelope.suiteId)}, and the options write ${suiteName(plan.suiteId)}`,
    )
  }
  const dataKey = await unwrapDataKey(plan, envelope, options)
  try {
    if (envelope.format === "V3") wipe(openObjectKey(dataKey, envelope.messageId, envelope.commitment))
    const contentCipher = contentCipherOf(envelope.suiteId)
    const wrapped = await newKey.wrap({ contentCipher, encryptionContext: {}, dataKey, ...(signal && { signal }) })
    const { wrapAlgorithm, wrappedKey, description } = wrapped
    const rewritten: ObjectEnvelope = { ...envelope, wrapAlgorithm, wrappedKey, description }
    if (enforceRotation) await checkRotation(plan, rewritten, signal)
    return writeEnvelope(rewritten).instructionFile!
  } finally {
    wipe(dataKey)
  }
}

async function checkRotation(plan: S3ecPlan, envelope: ObjectEnvelope, signal: AbortSignal | undefined): Promise<void> {
  let opened: Uint8Array
  try {
    opened = await unwrapDataKey(plan, envelope, signal ? { signal } : {})
  } catch {
    signal?.throwIfAborted()
    return
  }
  wipe(opened)
  throw new TypeError("the present key still opens the new instruction file: newKey is the same key")
}
