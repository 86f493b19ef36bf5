import type { BlockRange } from "./placement.ts"

/** Blocks and holes that are written together. */
export interface Batch {
  /** Plaintext by block. */
  readonly blocks: Map<number, Uint8Array>
  /** They come before the blocks. */
  readonly holes: BlockRange[]
  /** Whether somebody waits for its durability. */
  fua: boolean
  /** Settles when the batch is written. */
  readonly done: Promise<void>
  readonly settle: (error?: unknown) => void
}

export function newBatch(): Batch {
  let settle!: (error?: unknown) => void
  const done = new Promise<void>((resolve, reject) => {
    settle = (error) => (error === undefined ? resolve() : reject(error))
  })
  // Who waits hears of it; nobody may be.
  done.catch(() => {})
  return { blocks: new Map(), holes: [], fua: false, done, settle }
}

/** Takes out of the batch what the hole covers, and adds it. */
export function addHole({ blocks, holes }: Batch, { first, count }: BlockRange): void {
  if (count < blocks.size) {
    for (let block = first; block < first + count; block++) blocks.delete(block)
  } else {
    for (const block of blocks.keys()) if (block >= first && block < first + count) blocks.delete(block)
  }
  holes.push({ first, count })
}

/** Whether the batch changes a block of the range. */
export function touches({ blocks, holes }: Batch, first: number, count: number): boolean {
  if (holes.some((hole) => hole.first < first + count && first < hole.first + hole.count)) return true
  if (blocks.size === 0) return false
  if (count > blocks.size) {
    for (const block of blocks.keys()) if (block >= first && block < first + count) return true
    return false
  }
  for (let block = first; block < first + count; block++) if (blocks.has(block)) return true
  return false
}

/** Whether two batches change one block, or may. */
export function overlap(a: Batch, b: Batch): boolean {
  if (a.holes.length > 0 || b.holes.length > 0) return true
  const [small, large] = a.blocks.size < b.blocks.size ? [a, b] : [b, a]
  for (const block of small.blocks.keys()) if (large.blocks.has(block)) return true
  return false
}
