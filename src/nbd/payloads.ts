/** Bytes of the smallest payload memory and of the largest that is kept for later. */
const SMALLEST = 4096
const LARGEST = 4 * 1024 * 1024
/** Bytes kept for later, of all sizes together. */
const MAX_SPARE = 16 * 1024 * 1024

/** Memory for the payloads of writes: warm pages again and again instead of fresh ones for every request. */
export interface Payloads {
  take(length: number): Uint8Array
  /** @param payload from `take`, and nobody else's any more */
  give(payload: Uint8Array): void
}

export function createPayloads(): Payloads {
  const spare = new Map<number, ArrayBuffer[]>()
  let spareBytes = 0
  return {
    take(length) {
      const capacity = capacityFor(length)
      const buffer = spare.get(capacity)?.pop()
      if (buffer === undefined) return Buffer.allocUnsafeSlow(capacity).subarray(0, length)
      spareBytes -= capacity
      return new Uint8Array(buffer, 0, length)
    },
    give({ buffer }) {
      const capacity = buffer.byteLength
      if (capacity < SMALLEST || capacity > LARGEST || spareBytes + capacity > MAX_SPARE) return
      const kept = spare.get(capacity)
      if (kept === undefined) spare.set(capacity, [buffer as ArrayBuffer])
      else kept.push(buffer as ArrayBuffer)
      spareBytes += capacity
    },
  }
}

/** The next power of two; above what is kept, just the length. */
function capacityFor(length: number): number {
  if (length > LARGEST) return length
  let capacity = SMALLEST
  while (capacity < length) capacity *= 2
  return capacity
}
