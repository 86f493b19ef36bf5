import { allocateUnfilled } from "../core/index.ts"
import { FINAL_OVERHEAD, REGULAR_OVERHEAD } from "../format/index.ts"
import type { BodyJob } from "./body.ts"
import { bodySealer, sealFrames, writeFrame } from "./seal.ts"
import { AT_ONCE, takeTurn } from "./turns.ts"

/** A piece of a message's body that is sealed by itself, in any order with its neighbours. */
export interface BodyPart {
  /** The number of its first frame, from 0. */
  readonly firstIndex: number
  readonly plaintext: Uint8Array
  /** Whether its last frame ends the message; otherwise the plaintext is a multiple of the frame length. */
  readonly final: boolean
}

/**
 * Seals one part of a body in slices. Each frame number must be sealed once: its iv is its number.
 *
 * @param before bytes that come before the first frame: the message's header, or nothing
 * @param into memory to use again: a new allocation costs more than the cipher
 * @returns `before` and the frames, in `into` where they fit, else in memory of their own
 * @throws RangeError for a part that does not end the message and is no multiple of the frame length
 */
export async function sealPart(
  job: BodyJob,
  part: BodyPart,
  before: Uint8Array,
  into?: Uint8Array,
): Promise<Uint8Array> {
  const { suite, key, messageId, shape, signal } = job
  const { firstIndex, plaintext, final } = part
  const { frameLength } = shape
  const regularFrames = regularFramesOf(part, frameLength)
  const rest = plaintext.length - regularFrames * frameLength
  const length = regularFrames * (frameLength + REGULAR_OVERHEAD) + (final ? rest + FINAL_OVERHEAD : 0)
  const needed = before.length + length
  const out = into !== undefined && into.length >= needed ? into.subarray(0, needed) : allocateUnfilled(needed)
  out.set(before)
  let at = before.length
  const sealer = bodySealer(suite, key, messageId, frameLength, firstIndex + 1)
  const perSlice = Math.max(1, Math.floor(AT_ONCE / frameLength))
  for (let index = 0; index < regularFrames; index += perSlice) {
    const count = Math.min(perSlice, regularFrames - index)
    await takeTurn(count * frameLength)
    signal?.throwIfAborted()
    at = sealFrames(sealer, frameLength, count, plaintext.subarray(index * frameLength), out, at)
  }
  if (final) writeFrame(sealer.final(plaintext.subarray(regularFrames * frameLength)), out, at)
  return out
}

function regularFramesOf({ plaintext, final }: BodyPart, frameLength: number): number {
  if (final) return Math.max(0, Math.ceil(plaintext.length / frameLength) - 1)
  if (plaintext.length % frameLength === 0) return plaintext.length / frameLength
  throw new RangeError(`a part that does not end the message must be a multiple of ${frameLength} bytes`)
}
