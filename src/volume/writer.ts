import { EnvelopeError } from "../core/index.ts"
import { addHole, type Batch, newBatch, overlap, touches } from "./batch.ts"
import { type Commit, prepareCommit, startCommit } from "./commit.ts"
import { type Core, checkWritable, fail } from "./core.ts"
import type { Durability } from "./durability.ts"
import type { Exclusion } from "./exclusion.ts"
import { MAX_LOG_LENGTH } from "./log.ts"
import type { BlockRange } from "./placement.ts"

/** A batch takes no more once it has this many bytes. */
const BATCH_BYTES = 2 ** 20
/** Batches on their way to the disk at a time. */
const MAX_ACTIVE = 4

/** What a writer asks of the volume between batches. */
export interface Upkeep {
  /** What has to be done alone before a batch of so many blocks starts: a first log, a new epoch, a checkpoint. */
  due(blocks: number): (() => Promise<void>) | undefined
}

/** Gathers blocks and holes into batches and writes them, several at a time, each block in the order of its versions. */
export interface Writer {
  /** Takes plaintext of a whole block, which must stay as it is until the batch is done. */
  putBlock(block: number, plaintext: Uint8Array): Batch
  putHole(range: BlockRange): Batch
  /** The newest plaintext of a block that is not yet in the map. */
  staged(block: number): Uint8Array | undefined
  /** What must settle before the map has all that is being written to the range; undefined for nothing. */
  busy(first: number, count: number): Promise<unknown> | undefined
  /** Starts what can start. */
  kick(): void
}

/** @param onApplied called after each batch */
export function volumeWriter(
  core: Core,
  gate: Exclusion,
  durability: Durability,
  upkeep: Upkeep,
  onApplied: () => void,
): Writer {
  /** In the order they were begun; the last one may still be open. */
  const waiting: Batch[] = []
  const active = new Set<Batch>()
  /** Ends when the commits started so far have. */
  let tail: Promise<boolean> = Promise.resolve(true)
  let scheduled = false
  let tending = false
  /** A write failed: nothing starts before all that is under way has ended, and the log has gone back. */
  let broken = false
  let open: Batch | undefined

  const openBatch = (): Batch => {
    if (open !== undefined && open.blocks.size * core.geometry.blockSize < BATCH_BYTES) return open
    open = newBatch()
    waiting.push(open)
    schedule()
    return open
  }
  const schedule = (): void => {
    if (scheduled) return
    scheduled = true
    setImmediate(() => {
      scheduled = false
      start()
    })
  }
  const mayStart = (batch: Batch): boolean => {
    if (active.size >= MAX_ACTIVE || gate.closed || tending || broken) return false
    for (const other of active) if (overlap(batch, other)) return false
    return true
  }
  const start = (): void => {
    for (let batch = waiting[0]; batch !== undefined && mayStart(batch); batch = waiting[0]) {
      const work = core.failure === undefined ? upkeep.due(batch.blocks.size) : undefined
      if (work !== undefined) {
        tend(batch, work)
        return
      }
      waiting.shift()
      if (open === batch) open = undefined
      active.add(batch)
      gate.enter()
      commit(batch)
    }
  }
  /** A failure of what must come first is that of the batch that waits for it. */
  const tend = (batch: Batch, work: () => Promise<void>): void => {
    tending = true
    gate.alone(work).then(
      () => {
        tending = false
        start()
      },
      (error) => {
        tending = false
        waiting.splice(waiting.indexOf(batch), 1)
        if (open === batch) open = undefined
        batch.settle(error)
        start()
      },
    )
  }
  const commit = (batch: Batch): void => {
    try {
      checkWritable(core)
      const preparing = prepareCommit(core, batch)
      if (preparing === undefined) issue(batch)
      else preparing.then(() => issue(batch)).catch((error) => finish(batch, error))
    } catch (error) {
      finish(batch, error)
    }
  }
  const issue = (batch: Batch): void => {
    const bytes = batch.blocks.size * core.geometry.blockSize
    const preferLog = durability.prefersLog(bytes, batch.fua)
    const filling = core.log!.fill(preferLog)
    if (filling !== undefined) {
      filling.then(() => issue(batch)).catch((error) => finish(batch, error))
      return
    }
    if (core.log!.mark.position + 2 * bytes + BATCH_BYTES > MAX_LOG_LENGTH) {
      throw new EnvelopeError("VolumeIo", "the log is full, and no checkpoint succeeded since")
    }
    durability.count(bytes)
    const started = startCommit(core, batch, preferLog)
    const before = tail
    tail = complete(batch, started, before)
  }
  /** In the order of the records: a record counts only if all before it are there. */
  const complete = async (batch: Batch, started: Commit, before: Promise<boolean>): Promise<boolean> => {
    try {
      await started.written
      if (!(await before)) throw new EnvelopeError("VolumeIo", "a write at the same time failed")
      started.apply()
      core.completed = started.mark
      onApplied()
      finish(batch)
      return true
    } catch (error) {
      broken = true
      // An acknowledged version is gone from its place, and the new one has no record.
      finish(batch, started.overwrites ? fail(core, error) : error)
      return false
    }
  }
  const finish = (batch: Batch, error?: unknown): void => {
    active.delete(batch)
    gate.leave()
    batch.settle(error)
    if (active.size === 0 && broken) {
      core.log?.rewind(core.completed)
      tail = Promise.resolve(true)
      broken = false
    }
    start()
  }

  return {
    putBlock(block, plaintext) {
      const batch = openBatch()
      batch.blocks.set(block, plaintext)
      return batch
    },
    putHole(range) {
      const batch = openBatch()
      addHole(batch, range)
      return batch
    },
    staged(block) {
      for (let i = waiting.length - 1; i >= 0; i--) {
        const found = stagedIn(waiting[i]!, block)
        if (found !== undefined) return found
      }
      return undefined
    },
    busy(first, count) {
      if (active.size === 0) return undefined
      const batches = [...active].filter((batch) => touches(batch, first, count))
      return batches.length === 0 ? undefined : Promise.allSettled(batches.map(({ done }) => done))
    },
    kick: start,
  }
}

const EMPTY = /* @__PURE__ */ new Uint8Array(65_536)

/** What a batch makes of a block: its plaintext, zeros for a hole. */
function stagedIn({ blocks, holes }: Batch, block: number): Uint8Array | undefined {
  const plaintext = blocks.get(block)
  if (plaintext !== undefined) return plaintext
  return holes.some(({ first, count }) => block >= first && block < first + count) ? EMPTY : undefined
}
