import { allocate } from "../core/index.ts"
import type { Batch } from "./batch.ts"
import { type Core, checkWritable } from "./core.ts"
import type { Durability } from "./durability.ts"
import { spanOf } from "./edges.ts"
import type { Reader } from "./reader.ts"
import type { Writer } from "./writer.ts"

/** Writes of any offset and length, in terms of whole blocks. */
export interface Changes {
  write(offset: number, data: Uint8Array, fua: boolean): Promise<void>
  /** Whole blocks become holes; of blocks at the edges, the part in the range becomes zeros, or stays with `keepEdges`. */
  punch(offset: number, length: number, options: { readonly keepEdges: boolean; readonly fua: boolean }): Promise<void>
  /** Zeros that take their space. */
  zero(offset: number, length: number, fua: boolean): Promise<void>
}

export function changesOf(core: Core, writer: Writer, reader: Reader, durability: Durability): Changes {
  const { blockSize } = core.geometry
  /** Blocks that are being read to be written in part: nobody else may write them meanwhile. */
  const locks = new Map<number, Promise<void>>()
  const zeros = allocate(blockSize)

  const heldIn = (first: number, end: number): Promise<void> | undefined => {
    if (locks.size === 0) return undefined
    for (const [block, held] of locks) if (block >= first && block < end) return held
    return undefined
  }
  /** Puts a block whose `piece` is new from `at` on, when its other bytes are known. */
  const merge = (block: number, at: number, piece: Uint8Array, old: Uint8Array): Batch => {
    const merged = allocate(blockSize)
    merged.set(old.subarray(0, blockSize))
    merged.set(piece, at)
    return writer.putBlock(block, merged)
  }
  const putPart = async (block: number, at: number, piece: Uint8Array): Promise<Batch> => {
    // Nothing may come between the last look and what follows: hence a loop in each place.
    for (let held = locks.get(block); held !== undefined; held = locks.get(block)) await held
    const staged = writer.staged(block)
    if (staged !== undefined) return merge(block, at, piece, staged)
    let unlock!: () => void
    locks.set(
      block,
      new Promise((resolve) => {
        unlock = resolve
      }),
    )
    try {
      const old = await reader.readBlocks(block, 1)
      return merge(block, at, piece, old)
    } finally {
      locks.delete(block)
      unlock()
    }
  }
  /** The parts of blocks at the edges of a range. */
  const putEdges = (
    offset: number,
    partial: readonly number[],
    length: number,
    piece: (from: number, to: number) => Uint8Array,
  ) =>
    partial.map((block) => {
      const from = Math.max(offset, block * blockSize)
      const to = Math.min(offset + length, (block + 1) * blockSize)
      return putPart(block, from - block * blockSize, piece(from - offset, to - offset))
    })
  const finish = async (batches: ReadonlySet<Batch>, edges: readonly Promise<Batch>[], fua: boolean): Promise<void> => {
    const all = new Set([...batches, ...(await settledBatches(edges))])
    if (fua) for (const batch of all) batch.fua = true
    for (const batch of all) await batch.done
    if (fua) await durability.flush()
  }
  const putWhole = (offset: number, data: Uint8Array, first: number, end: number): Set<Batch> => {
    const batches = new Set<Batch>()
    for (let block = first; block < end; block++) {
      const at = block * blockSize - offset
      const whole = data.subarray(at, at + blockSize)
      batches.add(writer.putBlock(block, whole.length === blockSize ? whole : padded(whole, blockSize)))
    }
    return batches
  }

  return {
    async write(offset, data, fua) {
      checkWritable(core)
      const { first, end, partial } = spanOf(offset, data.length, blockSize, core.geometry.size)
      for (let held = heldIn(first, end); held !== undefined; held = heldIn(first, end)) await held
      const batches = putWhole(offset, data, first, end)
      if (partial.length === 0 && batches.size === 1 && !fua) return single(batches).done
      return finish(
        batches,
        putEdges(offset, partial, data.length, (from, to) => data.subarray(from, to)),
        fua,
      )
    },
    async punch(offset, length, { keepEdges, fua }) {
      checkWritable(core)
      const { first, end, partial } = spanOf(offset, length, blockSize, core.geometry.size)
      for (let held = heldIn(first, end); held !== undefined; held = heldIn(first, end)) await held
      const batches = new Set<Batch>()
      if (end > first) batches.add(writer.putHole({ first, count: end - first }))
      const edges = keepEdges ? [] : putEdges(offset, partial, length, (from, to) => zeros.subarray(0, to - from))
      return finish(batches, edges, fua)
    },
    async zero(offset, length, fua) {
      checkWritable(core)
      const { first, end, partial } = spanOf(offset, length, blockSize, core.geometry.size)
      // A range of any length, in pieces that need not all be in memory.
      for (let from = first; from < end; from += PIECE_BLOCKS) {
        const to = Math.min(end, from + PIECE_BLOCKS)
        for (let held = heldIn(from, to); held !== undefined; held = heldIn(from, to)) await held
        const batches = new Set<Batch>()
        for (let block = from; block < to; block++) batches.add(writer.putBlock(block, zeros))
        await finish(batches, [], false)
      }
      return finish(
        new Set(),
        putEdges(offset, partial, length, (from, to) => zeros.subarray(0, to - from)),
        fua,
      )
    },
  }
}

const PIECE_BLOCKS = 1024

// --- internal ---

const single = <T>(set: ReadonlySet<T>): T => set.values().next().value!

/** VOL-1.1: the last block is stored whole. */
function padded(bytes: Uint8Array, length: number): Uint8Array {
  const whole = allocate(length)
  whole.set(bytes)
  return whole
}

/** All have ended before it fails with the first failure. */
async function settledBatches(promises: readonly Promise<Batch>[]): Promise<Batch[]> {
  const results = await Promise.allSettled(promises)
  return results.map((result) => {
    if (result.status === "rejected") throw result.reason
    return result.value
  })
}
