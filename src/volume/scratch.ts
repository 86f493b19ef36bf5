import { allocateUnfilled } from "../core/index.ts"

/** Buffers of each size that are kept, and the largest size that is. */
const KEPT = 16
const LARGEST = 2 ** 21

/** Memory that serves again and again, because new pages cost more than a copy into old ones. */
export interface BufferPool {
  /** So many bytes, which hold anything. */
  take(length: number): Uint8Array
  /** Gives back what `take` gave, or a view of it. */
  give(bytes: Uint8Array): void
  /** Overwrites and drops what is kept. */
  clear(): void
}

export function bufferPool(): BufferPool {
  const pools = new Map<number, Uint8Array[]>()
  const lent = new WeakSet<ArrayBufferLike>()
  return {
    take(length) {
      const size = 2 ** Math.ceil(Math.log2(length))
      const bytes = pools.get(size)?.pop() ?? allocateUnfilled(size)
      lent.add(bytes.buffer)
      return bytes.subarray(0, length)
    },
    give({ buffer }) {
      if (!lent.delete(buffer) || buffer.byteLength > LARGEST) return
      const pool = pools.get(buffer.byteLength) ?? []
      pools.set(buffer.byteLength, pool)
      if (pool.length < KEPT) pool.push(new Uint8Array(buffer))
    },
    clear() {
      for (const pool of pools.values()) for (const bytes of pool) bytes.fill(0)
      pools.clear()
    },
  }
}

/** For ciphertext on its way to or from the disk. */
export const scratch: BufferPool = /* @__PURE__ */ bufferPool()
