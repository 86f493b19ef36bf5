import { allocate, allocateUnfilled } from "../core/index.ts"

/** Chunks as they arrive, read in other sizes; copies only where a piece spans chunks. */
export interface ByteQueue {
  readonly length: number
  push(chunk: Uint8Array): void
  /** The first `count` bytes, which stay; valid until the next call. @param count at most `length` */
  peek(count: number): Uint8Array
  /** Removes the first `count` bytes; valid until a queue is called again, this or another. @param count at most `length` */
  take(count: number): Uint8Array
  clear(): void
}

/** Chunks below this many bytes are gathered in blocks. */
const SMALL = 1024
const BLOCK_LENGTH = 16 * 1024

/**
 * Where what spans chunks is put together: one for all queues, so that it stays in a processor's cache however many
 * streams there are. Longer pieces have memory of their own.
 */
const SCRATCH_LENGTH = 1024 * 1024 + 64 * 1024
let scratch: Uint8Array | undefined
/** How much of it holds anything. */
let used = 0

function borrow(length: number): Uint8Array {
  if (length > SCRATCH_LENGTH) return allocateUnfilled(length)
  scratch ??= allocateUnfilled(SCRATCH_LENGTH)
  used = Math.max(used, length)
  return scratch.subarray(0, length)
}

function wipeScratch(): void {
  scratch?.fill(0, 0, used)
  used = 0
}

export function byteQueue(): ByteQueue {
  let chunks: Uint8Array[] = []
  let first = 0
  let length = 0

  const EMPTY = allocate(0)

  /** Moves the first bytes into `target`, all of it. */
  const moveInto = (target: Uint8Array): void => {
    for (let filled = 0; filled < target.length; ) {
      const chunk = chunks[first]!
      const part = chunk.subarray(0, target.length - filled)
      target.set(part, filled)
      filled += part.length
      if (part.length === chunk.length) chunks[first++] = EMPTY
      else chunks[first] = chunk.subarray(part.length)
    }
  }

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
      if (chunks[first]!.length < count) {
        const joined = allocate(count)
        moveInto(joined)
        chunks[--first] = joined
      }
      return chunks[first]!.subarray(0, count)
    },
    take(count) {
      if (count === 0) return EMPTY
      length -= count
      const head = chunks[first]!
      if (head.length < count) {
        const joined = borrow(count)
        moveInto(joined)
        return joined
      }
      if (head.length === count) chunks[first++] = EMPTY
      else chunks[first] = head.subarray(count)
      return head.subarray(0, count)
    },
    clear() {
      chunks = []
      first = 0
      length = 0
      wipeScratch()
    },
  }
}
