import { type BytesLike, type EncryptionMaterials, limitExceeded, traced, viewBytes } from "../core/index.ts"
import { wipe } from "../crypto/index.ts"
import { encodeHeader, headerLength, type Limits, resolveLimits } from "../format/index.ts"
import { bodyLengthOf, bodySealer, layoutOfPlaintext } from "../framing/index.ts"
import type { EncryptOptions } from "./options.ts"
import { encryptTrace, obtainMaterials, openWrite, planWrite, type WritePlan, writeFooter } from "./write.ts"

/**
 * Encrypts a plaintext in memory into one AWS Encryption SDK message.
 *
 * @param plaintext at most `maxMessageLength` bytes (2 GiB); a string is encoded in UTF-8
 * @returns the message, in memory of its own
 * @throws TypeError, RangeError for options that contradict themselves
 * @throws EnvelopeError `CommitmentPolicy`, `LimitExceeded`, `WrapFailed`, `KmsError`, `Closed`
 */
export async function encrypt(
  plaintext: BytesLike,
  options: EncryptOptions & Pick<Partial<Limits>, "maxMessageLength">,
): Promise<Uint8Array> {
  const bytes = viewBytes(plaintext, "plaintext")
  const plan = planWrite(options)
  const { maxMessageLength } = resolveLimits(options)
  if (bytes.length > maxMessageLength) {
    throw limitExceeded("the plaintext, in bytes,", bytes.length, maxMessageLength, "maxMessageLength")
  }
  return traced(
    "encrypt",
    () => encryptTrace(plan, "encrypt", bytes.length),
    () => {
      const materials = obtainMaterials(plan, bytes.length)
      return materials instanceof Promise
        ? materials.then((value) => writeMessage(plan, value, bytes))
        : writeMessage(plan, materials, bytes)
    },
  )
}

/** Seals header, body and footer into one allocation. */
function writeMessage(plan: WritePlan, materials: EncryptionMaterials, plaintext: Uint8Array): Uint8Array {
  const { suite, frameLength } = plan
  let key: Uint8Array | undefined
  try {
    const layout = layoutOfPlaintext(plaintext.length, frameLength)
    const write = openWrite(plan, materials)
    key = write.key
    const { fields, signer } = write
    const footer = suite.signature ? 2 + suite.signature.maxSignatureLength : 0
    const message = new Uint8Array(headerLength(fields) + bodyLengthOf(layout, frameLength) + footer)
    let at = encodeHeader(fields, message, write.tag)
    const sealer = bodySealer(suite, key, fields.messageId, frameLength)
    at = sealer.regular(plaintext, layout.regularFrames, message, at)
    at = sealer.final(plaintext.subarray(layout.regularFrames * frameLength), message, at)
    if (signer === undefined) return message
    signer.update(message.subarray(0, at))
    // DER signatures vary by a few bytes in length, so the allocation may be a little longer than the message.
    return message.subarray(0, at + writeFooter(signer, message, at))
  } finally {
    wipe(key)
    materials.release()
  }
}
