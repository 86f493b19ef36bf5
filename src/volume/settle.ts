import { copyBytes } from "../core/index.ts"
import { forEachRun, setEntry } from "./commit.ts"
import { type Core, dataFile } from "./core.ts"
import type { Durability } from "./durability.ts"
import { ENTRY_LENGTH, epochOf, isPresent, present, type Side, sideOf } from "./entry.ts"
import type { Exclusion } from "./exclusion.ts"
import { dataName } from "./files.ts"
import { NODE_ENTRIES } from "./geometry.ts"
import { writeHome } from "./home.ts"
import type { MapNode } from "./node-cache.ts"
import { openBlock, readDataCopy } from "./reader.ts"
import { beginSession, checkpointAlone, needsCheckpoint } from "./session.ts"
import { addEpochs, walkMap } from "./walk.ts"

export interface SettleResult {
  /** Bytes that the volume's data files took before and after, as far as their lengths tell. */
  readonly before: number
  readonly after: number
}

/** Gaps of at least this many bytes are given back. */
const GAP = 2 ** 20

/**
 * Gives space back: blocks move to `data.a` as they are, `data.b` becomes empty, `data.a` ends after its last block, and
 * where the system can, its gaps take no space. Epochs that no entry names are dropped (VOL-2.5).
 */
export async function settleCore(core: Core, gate: Exclusion, durability: Durability): Promise<SettleResult> {
  const before = await dataLength(core)
  // Most of it in small steps, so that others can write between them; the rest at the end, alone.
  await walkMap(core, {
    leaf: (leaf) => (hasSecond(leaf) ? gate.alone(() => moveLeaf(core, durability, leaf.index)) : undefined),
  })
  await gate.alone(async () => {
    if (core.log === undefined) await beginSession(core)
    await durability.flushAlone()
    await writeHome(core)
    // The topmost node's own is in no node.
    const epochs = new Set([epochOf(core.map.root)])
    const used: number[] = []
    let inSecond = false
    await walkMap(core, {
      async leaf(leaf) {
        await moveLeaf(core, durability, leaf.index)
        addUsed(used, leaf)
        if (hasSecond(leaf)) inSecond = true
      },
      node: (node) => addEpochs(epochs, node),
    })
    await checkpointAlone(core, durability, { drop: unnamed(core, epochs) })
    await giveBack(core, used, inSecond)
  })
  return { before, after: await dataLength(core) }
}

// --- internal ---

/** The epochs of the header that no entry names, but the last: new ones must have higher numbers. */
function unnamed({ keys }: Core, named: ReadonlySet<number>): ReadonlySet<number> {
  const epochs = keys.epochs.map(({ epoch }) => epoch)
  return new Set(epochs.filter((epoch) => !named.has(epoch) && epoch !== epochs.at(-1)))
}

const hasSecond = ({ entries }: MapNode): boolean => {
  for (let at = 0; at < entries.length; at += ENTRY_LENGTH)
    if (isPresent(entries, at) && sideOf(entries, at) === 1) return true
  return false
}

/**
 * Moves a leaf's blocks from side b to side a (VOL-4.4): the other side of what is durable, as any new version. A block that
 * does not verify stays where it is.
 */
async function moveLeaf(core: Core, durability: Durability, index: number): Promise<void> {
  const leaf = await core.map.leaf(index * NODE_ENTRIES)
  if (leaf === null || !hasSecond(leaf)) return
  if (core.log === undefined) await beginSession(core)
  await durability.flushAlone()
  await writeHome(core)
  const first = index * NODE_ENTRIES
  const { blockSize } = core.geometry
  const sealed = await readDataCopy(core, 1, first, NODE_ENTRIES)
  const moving: number[] = []
  for (let i = 0; i < NODE_ENTRIES; i++) {
    const at = i * ENTRY_LENGTH
    if (!isPresent(leaf.entries, at) || sideOf(leaf.entries, at) === 0) continue
    const ciphertext = sealed.subarray(i * blockSize, (i + 1) * blockSize)
    const whole =
      ciphertext.length === blockSize && openBlock(core, first + i, leaf.entries, at, ciphertext) !== undefined
    if (whole) moving.push(first + i)
  }
  if (moving.length > 0) await moveBlocks(core, moving, first, sealed)
  if (needsCheckpoint(core)) await checkpointAlone(core, durability)
}

async function moveBlocks(core: Core, blocks: readonly number[], first: number, sealed: Uint8Array): Promise<void> {
  const { blockSize } = core.geometry
  const leaf = await core.map.leafForWriting(first)
  const file = await dataFile(core, 0)
  const items: { kind: "placed"; first: number; count: number; bytes: Uint8Array }[] = []
  const writes: Promise<void>[] = []
  forEachRun(
    blocks,
    () => true,
    (from, to) => {
      const start = blocks[from]! - first
      const count = to - from
      const bytes = copyBytes(leaf.entries.subarray(start * ENTRY_LENGTH, (start + count) * ENTRY_LENGTH))
      for (let at = 0; at < bytes.length; at += ENTRY_LENGTH) bytes[at] = present(0)
      items.push({ kind: "placed", first: blocks[from]!, count, bytes })
      writes.push(
        file.write([sealed.subarray(start * blockSize, (start + count) * blockSize)], blocks[from]! * blockSize),
      )
    },
  )
  await Promise.all(writes)
  core.files.written(dataName(0))
  const { mark, written } = core.log!.append(items, core.durableSequence)
  try {
    await written
  } catch (error) {
    core.log!.rewind(core.completed)
    throw error
  }
  for (const item of items) {
    for (let i = 0; i < item.count; i++) {
      setEntry(core, item.first + i, item.bytes.subarray(i * ENTRY_LENGTH, (i + 1) * ENTRY_LENGTH))
      core.placement.placed(item.first + i)
    }
  }
  core.completed = mark
}

/** First and end of the runs of blocks that hold data, in turn. */
function addUsed(used: number[], { index, entries }: MapNode): void {
  for (let i = 0; i < NODE_ENTRIES; i++) {
    if (!isPresent(entries, i * ENTRY_LENGTH)) continue
    const block = index * NODE_ENTRIES + i
    if (used.at(-1) === block) used[used.length - 1] = block + 1
    else used.push(block, block + 1)
  }
}

async function giveBack(core: Core, used: readonly number[], inSecond: boolean): Promise<void> {
  const { blockSize } = core.geometry
  const second = await core.files.find(dataName(1))
  if (!inSecond) await second?.truncate(0)
  const first = await core.files.find(dataName(0))
  if (first === undefined) return
  if (!inSecond) await first.truncate((used.at(-1) ?? 0) * blockSize)
  for (let i = 0, from = 0; i < used.length; from = used[i + 1]! * blockSize, i += 2) {
    const gap = used[i]! * blockSize - from
    if (gap >= GAP && !(await first.deallocate(from, gap))) return
  }
}

async function dataLength({ files }: Core): Promise<number> {
  const sides = await Promise.all(([0, 1] as const).map((side: Side) => files.find(dataName(side))))
  const sizes = await Promise.all(sides.map((file) => file?.size() ?? 0))
  return sizes.reduce((sum, size) => sum + size, 0)
}
