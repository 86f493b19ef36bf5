import { allocate } from "../core/index.ts"
import type { Batch } from "./batch.ts"
import { type Core, dataFile } from "./core.ts"
import type { DiskFile } from "./disk.ts"
import { ENTRY_LENGTH, present, type Side, type Stamp, writeEntry, writeHole } from "./entry.ts"
import { dataName } from "./files.ts"
import { NODE_ENTRIES } from "./geometry.ts"
import { Domain } from "./keys.ts"
import type { LogMark } from "./log.ts"
import type { BlockRange } from "./placement.ts"
import { type Item, strideOf } from "./record.ts"
import { scratch } from "./scratch.ts"

/** A batch whose blocks are sealed and on their way to the disk. */
export interface Commit {
  /** The log after its record. */
  readonly mark: LogMark
  /** Settles when everything is handed to the operating system. */
  readonly written: Promise<unknown>
  /** Whether it writes over a version that no synchronisation has made durable, and that nothing else holds. */
  readonly overwrites: boolean
  /** Puts the new entries into the map. */
  apply(): void
}

/** Brings into memory what `startCommit` needs. @returns undefined when all is there */
export function prepareCommit(core: Core, { blocks, holes }: Batch): Promise<void> | undefined {
  const missing: number[] = []
  let last = -1
  for (const block of blocks.keys()) {
    const leaf = Math.floor(block / NODE_ENTRIES)
    if (leaf === last) continue
    last = leaf
    if (core.map.leafNow(block)?.dirty !== true) missing.push(block)
  }
  const files = ([0, 1] as const).map((side) => dataFile(core, side))
  if (missing.length === 0 && holes.length === 0 && !files.some((file) => file instanceof Promise)) return undefined
  return prepare(core, missing, holes, files)
}

async function prepare(
  core: Core,
  blocks: readonly number[],
  holes: readonly BlockRange[],
  files: readonly (DiskFile | Promise<DiskFile>)[],
): Promise<void> {
  await Promise.all(files)
  for (const { first, count } of holes) await core.map.prepareHoles(first, count)
  for (const block of blocks) await core.map.leafForWriting(block)
}

/** Seals a batch's blocks and sends them, and their record, to the disk. */
export function startCommit(core: Core, batch: Batch, preferLog: boolean): Commit {
  const holes = batch.holes.map((range) => ({ range, stamp: core.keys.stamp() }))
  const sealed = sealBlocks(core, batch.blocks, preferLog)
  const items = [
    ...holes.map(({ range, stamp }) => holeItem(range, stamp)),
    ...blockItems(sealed, core.geometry.blockSize),
  ]
  const writes = writeBlocks(core, sealed)
  const { mark, written } = core.log!.append(items, core.durableSequence)
  return {
    mark,
    overwrites: sealed.overwrites,
    written: writes.length === 0 ? written : allSettled([...writes, written]),
    apply() {
      for (const { range, stamp } of holes) applyHole(core, range, stamp)
      applyBlocks(core, sealed, mark.sequence)
    },
  }
}

export function applyHole(core: Core, range: BlockRange, stamp: Stamp): void {
  const { first, count } = range
  core.map.applyHoles(first, count, stamp)
  core.placement.holed(range)
  for (const block of core.inlined.keys()) if (block >= first && block < first + count) core.inlined.delete(block)
}

/** Puts an entry into the leaf of its block, which is in memory and dirty, or was just dropped for a hole. */
export function setEntry(core: Core, block: number, entry: Uint8Array): void {
  core.map.leafOrNew(block).entries.set(entry, (block % NODE_ENTRIES) * ENTRY_LENGTH)
}

/** Calls for each run of neighbours, as long as `same` holds between them, with its first and last place in `blocks`. */
export function forEachRun(
  blocks: ArrayLike<number>,
  same: (i: number, j: number) => boolean,
  each: (from: number, to: number) => void,
): void {
  for (let from = 0, to = 0; from < blocks.length; from = to) {
    for (to = from + 1; to < blocks.length && blocks[to] === blocks[to - 1]! + 1 && same(to - 1, to); ) to++
    each(from, to)
  }
}

// --- internal ---

interface SealedBlocks {
  /** Ascending. */
  readonly blocks: Float64Array
  /** One for each block. */
  readonly entries: Uint8Array
  readonly ciphertexts: Uint8Array[]
  readonly sides: Uint8Array
  readonly inline: Uint8Array
  overwrites: boolean
}

function sealBlocks(
  { keys, map, placement }: Core,
  batch: ReadonlyMap<number, Uint8Array>,
  preferLog: boolean,
): SealedBlocks {
  const blocks = Float64Array.from(batch.keys()).sort()
  const count = blocks.length
  const sealed = {
    blocks,
    entries: allocate(count * ENTRY_LENGTH),
    ciphertexts: new Array<Uint8Array>(count),
    sides: allocate(count),
    inline: allocate(count),
    overwrites: false,
  }
  for (let i = 0; i < count; i++) {
    const block = blocks[i]!
    const leaf = map.leafNow(block)!
    const { inline, side, overwrites } = placement.choose(
      block,
      leaf.entries,
      (block % NODE_ENTRIES) * ENTRY_LENGTH,
      preferLog,
    )
    const { epoch, counter, ciphertext, tag } = keys.seal(Domain.block, keys.blockAad(block), batch.get(block)!)
    writeEntry(sealed.entries, i * ENTRY_LENGTH, { state: present(side), epoch, counter, tag })
    sealed.ciphertexts[i] = ciphertext
    sealed.sides[i] = side
    sealed.inline[i] = inline ? 1 : 0
    if (overwrites) sealed.overwrites = true
  }
  return sealed
}

const holeItem = ({ first, count }: BlockRange, stamp: Stamp): Item => {
  const bytes = allocate(ENTRY_LENGTH)
  writeHole(bytes, 0, stamp)
  return { kind: "holes", first, count, bytes }
}

function blockItems({ blocks, entries, ciphertexts, inline }: SealedBlocks, blockSize: number): Item[] {
  const items: Item[] = []
  forEachRun(
    blocks,
    (i, j) => inline[i] === inline[j],
    (from, to) => {
      const kind = inline[from] === 1 ? "inline" : "placed"
      const bytes =
        kind === "placed"
          ? entries.subarray(from * ENTRY_LENGTH, to * ENTRY_LENGTH)
          : interleave(entries, ciphertexts, from, to, blockSize)
      items.push({ kind, first: blocks[from]!, count: to - from, bytes })
    },
  )
  return items
}

function interleave(
  entries: Uint8Array,
  ciphertexts: Uint8Array[],
  from: number,
  to: number,
  blockSize: number,
): Uint8Array {
  const stride = strideOf("inline", blockSize)
  const bytes = allocate((to - from) * stride)
  for (let i = from; i < to; i++) {
    const at = (i - from) * stride
    bytes.set(entries.subarray(i * ENTRY_LENGTH, (i + 1) * ENTRY_LENGTH), at)
    bytes.set(ciphertexts[i]!, at + ENTRY_LENGTH)
  }
  return bytes
}

/** Neighbours on one side are one write. */
function writeBlocks(core: Core, { blocks, ciphertexts, sides, inline }: SealedBlocks): Promise<void>[] {
  const writes: Promise<void>[] = []
  forEachRun(
    blocks,
    (i, j) => inline[i] === inline[j] && sides[i] === sides[j],
    (from, to) => {
      if (inline[from] === 1) return
      const file = dataFile(core, sides[from] as Side) as DiskFile
      const position = blocks[from]! * core.geometry.blockSize
      writes.push(
        to - from === 1 ? file.write([ciphertexts[from]!], position) : writeRun(file, ciphertexts, from, to, position),
      )
    },
  )
  return writes
}

/** As one piece: handing over each block by itself costs more than the copy. */
async function writeRun(
  file: DiskFile,
  ciphertexts: readonly Uint8Array[],
  from: number,
  to: number,
  position: number,
): Promise<void> {
  const blockSize = ciphertexts[from]!.length
  const whole = scratch.take((to - from) * blockSize)
  for (let i = from; i < to; i++) whole.set(ciphertexts[i]!, (i - from) * blockSize)
  try {
    await file.write([whole], position)
  } finally {
    scratch.give(whole)
  }
}

function applyBlocks(
  core: Core,
  { blocks, entries, ciphertexts, sides, inline }: SealedBlocks,
  sequence: number,
): void {
  const { inlined, placement, files } = core
  const used = [false, false]
  for (let i = 0; i < blocks.length; i++) {
    const block = blocks[i]!
    const side = sides[i] as Side
    setEntry(core, block, entries.subarray(i * ENTRY_LENGTH, (i + 1) * ENTRY_LENGTH))
    if (inline[i] === 1) {
      inlined.set(block, { ciphertext: ciphertexts[i]!, side, sequence })
      continue
    }
    placement.placed(block)
    used[side] = true
    if (inlined.size > 0) inlined.delete(block)
  }
  for (const side of [0, 1] as const) if (used[side]) files.written(dataName(side))
}

/** All have ended before it fails with the first failure. */
async function allSettled(writes: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(writes)) if (result.status === "rejected") throw result.reason
}
