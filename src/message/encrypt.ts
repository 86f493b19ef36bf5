import {
  allocateUnfilled,
  type BytesLike,
  type EncryptionMaterials,
  limitExceeded,
  traced,
  viewBytes,
} from "../core/index.ts"
import { type Signer, wipe } from "../crypto/index.ts"
import { encodeHeader, headerLength, type Limits, resolveLimits } from "../format/index.ts"
import { bodyLengthOf, bodySealer, layoutOfPlaintext, type SealedFrame, writeFrame } from "../framing/index.ts"
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
    (trace) => {
      const finish = (materials: EncryptionMaterials) => {
        if (trace !== undefined) trace.wrappedKeyCount = materials.wrappedKeys.length
        return writeMessage(plan, materials, bytes)
      }
      const materials = obtainMaterials(plan, bytes.length)
      return materials instanceof Promise ? materials.then(finish) : finish(materials)
    },
  )
}

/**
 * Results up to this many bytes are allocated after their frames were sealed, larger ones before, which saves holding
 * everything twice. Late allocation is faster by a quarter: the frames' memory is reused while it is warm.
 */
const ALLOCATE_LATE = 32 * 1024 * 1024
/** Frames of larger results are sealed and copied in runs of about this many bytes. */
const RUN_LENGTH = 8 * 1024 * 1024

/** Seals header, body and footer into one allocation. */
function writeMessage(plan: WritePlan, materials: EncryptionMaterials, plaintext: Uint8Array): Uint8Array {
  const { suite, frameLength } = plan
  let key: Uint8Array | undefined
  try {
    const layout = layoutOfPlaintext(plaintext.length, frameLength)
    const { fields, signer, ...write } = openWrite(plan, materials)
    key = write.key
    const footer = suite.signature ? 2 + suite.signature.maxSignatureLength : 0
    const length = headerLength(fields) + bodyLengthOf(layout, frameLength) + footer
    const sealer = bodySealer(suite, key, fields.messageId, frameLength)
    const framesPerRun = Math.max(1, Math.floor((length <= ALLOCATE_LATE ? length : RUN_LENGTH) / frameLength))
    let message: Uint8Array | undefined
    let at = 0
    const place = (frames: readonly SealedFrame[]) => {
      if (message === undefined) {
        message = allocateUnfilled(length)
        at = encodeHeader(fields, message, write.tag)
      }
      for (const frame of frames) at = writeFrame(frame, message, at)
    }
    for (let index = 0; index < layout.regularFrames; index += framesPerRun) {
      const count = Math.min(framesPerRun, layout.regularFrames - index)
      place(sealer.regular(plaintext.subarray(index * frameLength), count))
    }
    place([sealer.final(plaintext.subarray(layout.regularFrames * frameLength))])
    return signer === undefined ? message! : sign(signer, message!, at)
  } finally {
    wipe(key)
    materials.release()
  }
}

/** DER signatures vary by a few bytes in length, so the allocation may be a little longer than the message. */
function sign(signer: Signer, message: Uint8Array, at: number): Uint8Array {
  signer.update(message.subarray(0, at))
  const end = at + writeFooter(signer, message, at)
  message.fill(0, end)
  return message.subarray(0, end)
}
