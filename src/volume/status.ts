import type { Core } from "./core.ts"
import { ENTRY_LENGTH, isPresent } from "./entry.ts"
import { NODE_ENTRIES } from "./geometry.ts"

/** A run of bytes in one state. */
export interface VolumeExtent {
  /** Bytes. */
  readonly length: number
  /** Nothing is stored there. */
  readonly hole: boolean
  /** It reads as zeros; the same as `hole`. */
  readonly zero: boolean
}

/** The runs from `offset` on, `maxExtents` at most; together they may be shorter than `length`. */
export async function blockStatus(
  core: Core,
  offset: number,
  length: number,
  maxExtents: number,
): Promise<VolumeExtent[]> {
  const { blockSize, size } = core.geometry
  const end = Math.min(offset + length, size)
  const extents: { length: number; hole: boolean; zero: boolean }[] = []
  for (let at = offset; at < end; ) {
    const block = Math.floor(at / blockSize)
    const { blocks, hole } = await runFrom(core, block, Math.ceil(end / blockSize) - block)
    const to = Math.min(end, (block + blocks) * blockSize)
    const last = extents.at(-1)
    if (last?.hole === hole) last.length += to - at
    else if (extents.length === maxExtents) break
    else extents.push({ length: to - at, hole, zero: hole })
    at = to
  }
  return extents
}

/** The state of a block, and for how many from it on it is known to be the same. */
async function runFrom({ map }: Core, block: number, limit: number): Promise<{ blocks: number; hole: boolean }> {
  const leaf = await map.leaf(block)
  if (leaf === null) return { blocks: Math.min(limit, map.absentFrom(block)), hole: true }
  const start = block % NODE_ENTRIES
  const hole = !isPresent(leaf.entries, start * ENTRY_LENGTH)
  let i = start + 1
  while (i < NODE_ENTRIES && !isPresent(leaf.entries, i * ENTRY_LENGTH) === hole) i++
  return { blocks: Math.min(limit, i - start), hole }
}
