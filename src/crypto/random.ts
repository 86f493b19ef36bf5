import { randomFillSync } from "node:crypto"
import { allocate, copyBytes } from "../core/index.ts"

/** Asking OpenSSL costs microseconds a call, whatever the size; small requests share one. */
const POOL_LENGTH = 4096
const LARGEST_POOLED = 64
/** What is not taken soon is replaced, so that a copied memory image repeats little. */
const POOL_MILLISECONDS = 100

let pool: Uint8Array | undefined
let taken = 0
let filledAt = 0

/** Random bytes from OpenSSL, in memory of their own. Pooled bytes are overwritten as they are taken. */
export function randomBytes(length: number): Uint8Array {
  if (length > LARGEST_POOLED) return randomFillSync(allocate(length))
  const now = performance.now()
  if (pool === undefined || taken + length > POOL_LENGTH || now - filledAt > POOL_MILLISECONDS) {
    pool = randomFillSync(pool ?? allocate(POOL_LENGTH))
    taken = 0
    filledAt = now
  }
  const piece = pool.subarray(taken, taken + length)
  const bytes = copyBytes(piece)
  piece.fill(0)
  taken += length
  return bytes
}
