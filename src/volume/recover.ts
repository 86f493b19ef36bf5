import { applyHole, setEntry } from "./commit.ts"
import type { Core } from "./core.ts"
import { ENTRY_LENGTH, readEntry, sideOf } from "./entry.ts"
import { dataName } from "./files.ts"
import { type FoundLog, readLog } from "./log-reader.ts"
import { openBlock, readDataCopy } from "./reader.ts"
import { type Item, strideOf } from "./record.ts"

/** Blocks read at a time to verify them. */
const PIECE = 256

/**
 * VOL-7.2: brings the map up to the log. Nothing is written: blocks that are in the log stay in memory.
 *
 * @throws EnvelopeError `TamperedVolume`
 */
export async function replay(core: Core): Promise<FoundLog> {
  const { disk, files, keys, geometry, headers } = core
  if (!disk.readOnly) await syncData(core)
  const log = await readLog(disk, keys, geometry, headers.current.header)
  const settled = await settle(core, log)
  for (const { sequence, items } of log.records) {
    for (const item of items) {
      const accepts = sequence <= log.durableSequence ? () => true : (block: number) => settled.get(block) === item
      await applyItem(core, item, sequence, accepts)
    }
  }
  core.completed = log.end
  core.durableSequence = log.end.sequence
  core.placement.beginSync()
  core.placement.endSync()
  for (const side of [0, 1] as const)
    if ((await files.find(dataName(side))) !== undefined) files.written(dataName(side))
  return log
}

// --- internal ---

/** What is found now must be there after the next crash as well. */
async function syncData({ files }: Core): Promise<void> {
  const names = [dataName(0), dataName(1)]
  for (const name of names) if ((await files.find(name)) !== undefined) files.written(name)
  await files.sync(names)
}

/**
 * For each block of the records that are not final, the item with the newest version that is whole. From the newest record
 * back; a block below a later hole needs none.
 */
async function settle(core: Core, { records, durableSequence }: FoundLog): Promise<Map<number, Item>> {
  const settled = new Map<number, Item>()
  const holes: Item[] = []
  const isOpen = (block: number): boolean =>
    !settled.has(block) && !holes.some(({ first, count }) => block >= first && block < first + count)
  for (const { sequence, items } of records.toReversed()) {
    if (sequence <= durableSequence) break
    for (const item of items.toReversed()) {
      if (item.kind === "holes") holes.push(item)
      else await settleBlocks(core, item, isOpen, (block) => settled.set(block, item))
    }
  }
  return settled
}

async function settleBlocks(
  core: Core,
  item: Item,
  isOpen: (block: number) => boolean,
  settle: (block: number) => void,
): Promise<void> {
  const { first, count, kind, bytes } = item
  const { blockSize } = core.geometry
  for (let from = 0; from < count; from += PIECE) {
    const length = Math.min(PIECE, count - from)
    const sides =
      kind === "inline"
        ? []
        : await Promise.all(([0, 1] as const).map((side) => readDataCopy(core, side, first + from, length)))
    for (let i = 0; i < length; i++) {
      const block = first + from + i
      if (!isOpen(block)) continue
      const at = (from + i) * ENTRY_LENGTH
      const ciphertext = sides[sideOf(bytes, at)]?.subarray(i * blockSize, (i + 1) * blockSize)
      if (ciphertext === undefined || isWhole(core, block, bytes, at, ciphertext)) settle(block)
    }
  }
}

const isWhole = (core: Core, block: number, entries: Uint8Array, at: number, ciphertext: Uint8Array): boolean =>
  ciphertext.length === core.geometry.blockSize && openBlock(core, block, entries, at, ciphertext) !== undefined

async function applyItem(
  core: Core,
  { kind, first, count, bytes }: Item,
  sequence: number,
  accepts: (block: number) => boolean,
): Promise<void> {
  if (kind === "holes") {
    await core.map.prepareHoles(first, count)
    applyHole(core, { first, count }, readEntry(bytes))
    return
  }
  const stride = strideOf(kind, core.geometry.blockSize)
  for (let i = 0; i < count; i++) {
    const block = first + i
    if (!accepts(block)) continue
    const entry = bytes.subarray(i * stride, i * stride + ENTRY_LENGTH)
    if (core.map.leafNow(block)?.dirty !== true) await core.map.leafForWriting(block)
    setEntry(core, block, entry)
    if (kind === "inline") {
      const ciphertext = bytes.subarray(i * stride + ENTRY_LENGTH, (i + 1) * stride)
      core.inlined.set(block, { ciphertext, side: sideOf(entry), sequence })
    } else {
      core.inlined.delete(block)
    }
  }
}
