import { allocate, copyBytes, equalBytes } from "../core/index.ts"
import type { Core } from "./core.ts"
import { ENTRY_LENGTH, isPresent, readEntry, type Side, sideOf } from "./entry.ts"
import { publish } from "./events.ts"
import { tamperedVolume } from "./failures.ts"
import { dataName } from "./files.ts"
import { NODE_ENTRIES, volumeName } from "./geometry.ts"
import { Domain } from "./keys.ts"
import { type BufferPool, scratch } from "./scratch.ts"

/** Where runs of one side alternate more often than this, both files are read over the whole range. */
const MAX_RUNS = 3
const MAX_ATTEMPTS = 100
/** Results of at least so many bytes come from the pool. */
const POOLED = 2 ** 16

export interface Reader {
  /** Plaintext of whole blocks. @throws EnvelopeError `TamperedVolume`, `VolumeIo` */
  readBlocks(first: number, count: number): Promise<Uint8Array>
}

/**
 * @param busy what to wait for before the map is right for the blocks
 * @param pool for large results, which whoever gets them may give back
 */
export function volumeReader(
  core: Core,
  busy: (first: number, count: number) => Promise<unknown> | undefined,
  pool: BufferPool,
): Reader {
  const blockSize = core.geometry.blockSize

  /** Blocks of one leaf. @returns the places of blocks that do not verify */
  const readPart = async (first: number, count: number, out: Uint8Array): Promise<number[]> => {
    for (let wait = busy(first, count); wait !== undefined; wait = busy(first, count)) await wait
    const now = core.map.leafNow(first)
    const leaf = now === undefined ? await core.map.leaf(first) : now
    if (leaf === null) {
      out.fill(0)
      return []
    }
    const start = (first % NODE_ENTRIES) * ENTRY_LENGTH
    // A copy: the blocks may change while they are read.
    const entries = copyBytes(leaf.entries.subarray(start, start + count * ENTRY_LENGTH))
    const failed: number[] = []
    const openInto = (i: number, ciphertext: Uint8Array | undefined): void => {
      const plaintext = ciphertext && openBlock(core, first + i, entries, i * ENTRY_LENGTH, ciphertext)
      if (plaintext === undefined) failed.push(i)
      else out.set(plaintext, i * blockSize)
    }
    const onDisk = new Uint8Array(count)
    for (let i = 0; i < count; i++) {
      if (!isPresent(entries, i * ENTRY_LENGTH)) {
        out.fill(0, i * blockSize, (i + 1) * blockSize)
        continue
      }
      const inline = core.inlined.size > 0 ? core.inlined.get(first + i) : undefined
      if (inline === undefined) onDisk[i] = 1 + sideOf(entries, i * ENTRY_LENGTH)
      else openInto(i, inline.ciphertext)
    }
    await Promise.all(
      planReads(onDisk).map(async ({ from, to, side }) => {
        const memory = scratch.take((to - from) * blockSize)
        const ciphertext = memory.subarray(0, await readData(core, side, first + from, memory))
        for (let i = from; i < to; i++) {
          if (onDisk[i] !== side + 1) continue
          const at = (i - from) * blockSize
          openInto(i, at + blockSize <= ciphertext.length ? ciphertext.subarray(at, at + blockSize) : undefined)
        }
        scratch.give(memory)
      }),
    )
    return failed
  }

  /** A block may have been replaced while it was read: only one that stays as it is and does not verify is tampered with. */
  const readAgain = async (block: number, out: Uint8Array): Promise<void> => {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const before = await entryOf(core, block)
      if (await readOne(block, out)) return
      if (busy(block, 1) === undefined && equalBytes(before, await entryOf(core, block))) break
    }
    const error = tamperedVolume(`block ${block}, at byte ${block * blockSize},`)
    publish({ event: "tampered", volumeId: volumeName(core.geometry.id), block, error })
    throw error
  }

  /** The same as `readPart` for one block, which is most of all reads, with fewer steps. @returns whether it verifies */
  const readOne = async (block: number, out: Uint8Array): Promise<boolean> => {
    for (let wait = busy(block, 1); wait !== undefined; wait = busy(block, 1)) await wait
    const now = core.map.leafNow(block)
    const leaf = now === undefined ? await core.map.leaf(block) : now
    const at = (block % NODE_ENTRIES) * ENTRY_LENGTH
    if (leaf === null || !isPresent(leaf.entries, at)) {
      out.fill(0)
      return true
    }
    const entry = copyBytes(leaf.entries.subarray(at, at + ENTRY_LENGTH))
    const inline = core.inlined.size > 0 ? core.inlined.get(block) : undefined
    const memory = inline === undefined ? scratch.take(blockSize) : inline.ciphertext
    const whole = inline !== undefined || (await readData(core, sideOf(entry), block, memory)) === blockSize
    const plaintext = whole ? openBlock(core, block, entry, 0, memory) : undefined
    if (inline === undefined) scratch.give(memory)
    if (plaintext !== undefined) out.set(plaintext)
    return plaintext !== undefined
  }

  const readWhole = async (first: number, count: number, out: Uint8Array): Promise<void> => {
    if (count === 1) {
      if (!(await readOne(first, out))) await readAgain(first, out)
      return
    }
    for (const i of await readPart(first, count, out)) {
      const piece = out.subarray(i * blockSize, (i + 1) * blockSize)
      await readAgain(first + i, piece)
    }
  }

  return {
    async readBlocks(first, count) {
      const out = count * blockSize < POOLED ? allocate(count * blockSize) : pool.take(count * blockSize)
      const toLeafEnd = NODE_ENTRIES - (first % NODE_ENTRIES)
      if (count <= toLeafEnd) {
        await readWhole(first, count, out)
        return out
      }
      const parts: Promise<void>[] = []
      for (let block = first, end = first + count; block < end; ) {
        const part = Math.min(end - block, NODE_ENTRIES - (block % NODE_ENTRIES))
        const at = (block - first) * blockSize
        parts.push(readWhole(block, part, out.subarray(at, at + part * blockSize)))
        block += part
      }
      await Promise.all(parts)
      return out
    },
  }
}

/** VOL-7.5. @returns undefined when it is not authentic */
export function openBlock(
  { keys }: Core,
  block: number,
  entries: Uint8Array,
  at: number,
  ciphertext: Uint8Array,
): Uint8Array | undefined {
  const { epoch, counter, tag } = readEntry(entries, at)
  return keys.open(Domain.block, { epoch, counter }, keys.blockAad(block), ciphertext, tag)
}

/**
 * Ciphertext of neighbours on one side.
 *
 * @param into whole blocks from `first` on
 * @returns how many bytes there are: fewer where the file ends, or is absent
 */
async function readData(core: Core, side: Side, first: number, into: Uint8Array): Promise<number> {
  const found = core.files.find(dataName(side))
  const file = found instanceof Promise ? await found : found
  return file === undefined ? 0 : file.read(into, first * core.geometry.blockSize)
}

/** The same in memory of its own. */
export async function readDataCopy(core: Core, side: Side, first: number, count: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(count * core.geometry.blockSize)
  return bytes.subarray(0, await readData(core, side, first, bytes))
}

// --- internal ---

interface DataRead {
  readonly from: number
  readonly to: number
  readonly side: Side
}

/** @param onDisk 0 for a block that is not read, else 1 and its side */
function planReads(onDisk: Uint8Array): DataRead[] {
  const reads: DataRead[] = []
  for (let from = 0, to = 0; from < onDisk.length; from = to) {
    for (to = from + 1; to < onDisk.length && onDisk[to] === onDisk[from]; ) to++
    if (onDisk[from] !== 0) reads.push({ from, to, side: (onDisk[from]! - 1) as Side })
  }
  if (reads.length <= MAX_RUNS) return reads
  return ([0, 1] as const).flatMap((side) => {
    const from = onDisk.indexOf(side + 1)
    return from < 0 ? [] : [{ from, to: onDisk.lastIndexOf(side + 1) + 1, side }]
  })
}

async function entryOf(core: Core, block: number): Promise<Uint8Array> {
  const leaf = await core.map.leaf(block)
  const at = (block % NODE_ENTRIES) * ENTRY_LENGTH
  return leaf === null ? allocate(ENTRY_LENGTH) : copyBytes(leaf.entries.subarray(at, at + ENTRY_LENGTH))
}
