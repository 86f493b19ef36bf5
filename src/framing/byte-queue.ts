import { allocate } from "../core/index.ts"

/** Chunks as they arrive, read in other sizes; copies only where a piece spans chunks. */
export interface ByteQueue {
  readonly length: number
  push(chunk: Uint8Array): void
  /** The first `count` bytes, which stay; valid until the next call. @param count at most `length` */
  peek(count: number): Uint8Array
  /** Removes the first `count` bytes. @param count at most `length` */
  take(count: number): Uint8Array
  clear(): void
}

export function byteQueue(): ByteQueue {
  let chunks: Uint8Array[] = []
  let first = 0
  let length = 0

  /** Makes the first chunk at least `count` bytes long. */
  const gather = (count: number): void => {
    const head = chunks[first]!
    if (head.length >= count) return
    const joined = allocate(count)
    let filled = 0
    while (filled < count) {
      const chunk = chunks[first]!
      const part = chunk.subarray(0, count - filled)
      joined.set(part, filled)
      filled += part.length
      if (part.length === chunk.length) first++
      else chunks[first] = chunk.subarray(part.length)
    }
    chunks[--first] = joined
  }

  const EMPTY = allocate(0)
  return {
    get length() {
      return length
    },
    push(chunk) {
      if (chunk.length === 0) return
      if (first > 64 && first * 2 > chunks.length) {
        chunks = chunks.slice(first)
        first = 0
      }
      chunks.push(chunk)
      length += chunk.length
    },
    peek(count) {
      if (count === 0) return EMPTY
      gather(count)
      return chunks[first]!.subarray(0, count)
    },
    take(count) {
      if (count === 0) return EMPTY
      gather(count)
      const head = chunks[first]!
      if (head.length === count) {
        chunks[first++] = EMPTY
      } else {
        chunks[first] = head.subarray(count)
      }
      length -= count
      return head.subarray(0, count)
    },
    clear() {
      chunks = []
      first = 0
      length = 0
    },
  }
}
