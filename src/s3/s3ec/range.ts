import { EnvelopeError } from "../../core/index.ts"
import { openUnauthenticated, wipe } from "../../crypto/index.ts"
import { obtainContentKey, type S3ecCallOptions } from "./content-key.ts"
import type { ObjectEnvelope } from "./envelope.ts"
import type { S3ecPlan } from "./plan.ts"

const BLOCK_LENGTH = 16

/** A part of the plaintext, from `start` up to and without `end`, in bytes. */
export interface PlaintextRange {
  readonly start: number
  readonly end: number
}

/**
 * The bytes of the object to fetch for a part of its plaintext: from the beginning of the first block, never into the
 * tag, whose bytes are at `plaintextLength` and after.
 *
 * @param end at most the plaintext's length
 */
export const rangeToFetch = ({ start, end }: PlaintextRange): PlaintextRange => ({
  start: start - (start % BLOCK_LENGTH),
  end,
})

/**
 * CSE-7.2: before anything is fetched.
 *
 * @throws EnvelopeError `UnsupportedFormat` where `unauthenticatedRanges` is not set, and for AES-CBC objects
 */
export function checkRangeReadable(plan: S3ecPlan, envelope: ObjectEnvelope): void {
  if (!plan.unauthenticatedRanges) {
    throw new EnvelopeError(
      "UnsupportedFormat",
      "one tag authenticates the object as a whole, and no part of it; to read parts unauthenticated, set unauthenticatedRanges",
    )
  }
  if (envelope.suiteId === 0x70) throw new EnvelopeError("UnsupportedFormat", "parts of an AES-CBC object are not read")
}

/**
 * A part of an object's plaintext. It is not authenticated (CSE-5.2): format V3 makes sure of the key, nothing of the data.
 *
 * @param ciphertext the object's bytes in `rangeToFetch(range)`
 * @throws EnvelopeError what `checkRangeReadable` and `openObject` throw before they look at the body
 */
export async function openRange(
  plan: S3ecPlan,
  envelope: ObjectEnvelope,
  range: PlaintextRange,
  ciphertext: Uint8Array,
  options: S3ecCallOptions = {},
): Promise<Uint8Array> {
  checkRangeReadable(plan, envelope)
  const { start, end } = rangeToFetch(range)
  if (ciphertext.length !== end - start) throw new RangeError(`ciphertext must be the bytes ${start} to ${end}`)
  const content = await obtainContentKey(plan, envelope, options)
  try {
    return openUnauthenticated(content.key, content.iv, start, ciphertext).subarray(range.start - start)
  } finally {
    wipe(content.key)
  }
}
