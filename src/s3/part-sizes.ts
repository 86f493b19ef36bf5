import type { Settings } from "./options.ts"

/** S3: an upload has at most so many parts. */
export const MAX_PARTS = 10_000
/** Bytes of the largest part, before it is sealed: sealed, with a long header, it stays below S3's 5 GiB. */
const MAX_PART_SIZE = 4 * 1024 ** 3
/** Every so many parts of a stream of unknown length, parts become so much larger. */
const STEP = 2000
const GROWTH = 4

export interface PartSizes {
  /** Bytes of plaintext of the next part, and how many may be on their way with it. */
  next(): { readonly size: number; readonly mostAtOnce: number }
}

/**
 * OBJ-4.5: of a known length, equal parts that are few enough. Of an unknown one, parts that grow fourfold every 2,000:
 * from 8 MiB, 10,000 of them come to more than the 5 TiB that S3 takes. Growing parts share the memory of the first ones.
 */
export function partSizes(
  { partSize, frameLength, maxConcurrentParts }: Pick<Settings, "partSize" | "frameLength" | "maxConcurrentParts">,
  plaintextLength: number | undefined,
): PartSizes {
  const whole = (length: number): number => Math.ceil(length / frameLength) * frameLength
  const largest = Math.max(frameLength, Math.floor(MAX_PART_SIZE / frameLength) * frameLength)
  const first = Math.max(partSize, whole(Math.ceil((plaintextLength ?? 0) / MAX_PARTS)))
  const budget = maxConcurrentParts * partSize
  let count = 0
  return {
    next() {
      const steps = plaintextLength === undefined ? Math.floor(count++ / STEP) : 0
      const size = Math.min(first * GROWTH ** steps, largest)
      return { size, mostAtOnce: Math.max(1, Math.min(maxConcurrentParts, Math.floor(budget / size))) }
    },
  }
}
