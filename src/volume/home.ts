import { forEachRun } from "./commit.ts"
import { type Core, dataFile, type InlineBlock } from "./core.ts"
import type { Side } from "./entry.ts"
import { dataName } from "./files.ts"

/**
 * Writes blocks that are only in the log to their places (VOL-5.5): those whose records are durable. They are not durable
 * there before the next synchronisation of the data files.
 */
export async function writeHome(core: Core): Promise<void> {
  // One at a time: a block must not count as free while another call still writes it.
  while (core.homing !== undefined) await core.homing.catch(() => {})
  core.homing = writeDue(core).finally(() => {
    core.homing = undefined
  })
  await core.homing
}

async function writeDue(core: Core): Promise<void> {
  const { inlined, placement, durableSequence } = core
  const due: [number, InlineBlock][] = []
  for (const pair of inlined) if (pair[1].sequence <= durableSequence) due.push(pair)
  due.sort((a, b) => a[0] - b[0])
  for (const [block] of due) placement.homing.add(block)
  try {
    for (let at = 0; at < due.length; at += RUN_LIMIT) await writeRuns(core, due.slice(at, at + RUN_LIMIT))
  } finally {
    for (const [block] of due) placement.homing.delete(block)
  }
}

const RUN_LIMIT = 256

async function writeRuns(core: Core, due: readonly [number, InlineBlock][]): Promise<void> {
  const writes: Promise<void>[] = []
  const blocks = due.map(([block]) => block)
  const sideAt = (i: number): Side => due[i]![1].side
  const files = [await dataFile(core, 0), await dataFile(core, 1)] as const
  forEachRun(
    blocks,
    (i, j) => sideAt(i) === sideAt(j),
    (from, to) => {
      const parts = due.slice(from, to).map(([, { ciphertext }]) => ciphertext)
      writes.push(files[sideAt(from)].write(parts, blocks[from]! * core.geometry.blockSize))
    },
  )
  await Promise.all(writes)
  for (const side of [0, 1] as const) if (due.some(([, item]) => item.side === side)) core.files.written(dataName(side))
  // A newer version keeps its place in memory.
  for (const [block, item] of due) if (core.inlined.get(block) === item) core.inlined.delete(block)
}
