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

/** Chunks below this many bytes are gathered in blocks. */
const SMALL = 1024
const BLOCK_LENGTH = 16 * 1024

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

  /** Memory that small chunks are copied to, so that each does not cost an object of its own; and how much is taken. */
  let block = EMPTY
  let taken = 0
  const append = (chunk: Uint8Array): void => {
    if (taken + chunk.length > block.length) {
      block = allocate(BLOCK_LENGTH)
      taken = 0
    }
    block.set(chunk, taken)
    const end = taken + chunk.length
    const last = first < chunks.length ? chunks[chunks.length - 1] : undefined
    const joins = last !== undefined && last.buffer === block.buffer && last.byteOffset + last.length === taken
    if (joins) chunks[chunks.length - 1] = block.subarray(last.byteOffset, end)
    else chunks.push(block.subarray(taken, end))
    taken = end
  }

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
      if (chunk.length < SMALL) append(chunk)
      else chunks.push(chunk)
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
