import { EnvelopeError } from "../core/index.ts"
import { type CheckpointOptions, checkpoint, nodesToSeal } from "./checkpoint.ts"
import { type Core, createLog, fail } from "./core.ts"
import type { Durability } from "./durability.ts"
import { publish } from "./events.ts"
import { logNumber } from "./files.ts"
import { volumeName } from "./geometry.ts"
import type { VolumeHeader } from "./header.ts"
import { writeHome } from "./home.ts"
import type { Upkeep } from "./writer.ts"

/** Bytes of log after which a checkpoint is due. */
const CHECKPOINT_LOG = 2 ** 26
/** Changed nodes in memory after which a checkpoint is due; 3 KiB each. */
const CHECKPOINT_NODES = 2 ** 14
/** Blocks that are only in the log: bytes in memory after which they are written home, and after which writes wait for it. */
const HOME_BYTES = 2 ** 22
const MAX_INLINE_BYTES = 2 ** 25
/** Records and holes beside the blocks of a batch. */
const MARGIN = 1024
/** After a checkpoint that failed, the next attempt waits for so much more log. */
const RETRY_LOG = 2 ** 20

/** VOL-2.4: the first write of an attached volume begins an epoch and a log. Called by who runs alone. */
export async function beginSession(core: Core): Promise<void> {
  await removeStrayLogs(core)
  const epoch = core.keys.propose()
  const firstSequence = core.completed.sequence + 1
  const log = await createLog(core, firstSequence)
  try {
    await writeHeader(core, { clean: false, log: log.number, firstSequence })
  } catch (error) {
    await log.close()
    throw error
  }
  core.keys.use(epoch)
  core.log = log
  core.completed = log.mark
}

/** VOL-2.4, VOL-9.2: a new epoch under the same log. Called by who runs alone. */
export async function newEpoch(core: Core): Promise<void> {
  const epoch = core.keys.propose()
  await writeHeader(core, {})
  core.keys.use(epoch)
  publish({
    event: "new-epoch",
    volumeId: volumeName(core.geometry.id),
    generation: core.headers.current.header.generation,
  })
}

/** An anchor that somebody else moved ends all writing. */
async function writeHeader(core: Core, changes: Partial<VolumeHeader>): Promise<void> {
  try {
    await core.headers.write(changes)
  } catch (error) {
    throw isFenced(error) ? fail(core, error) : error
  }
}

const isFenced = (error: unknown): boolean => error instanceof EnvelopeError && error.code === "VolumeRollback"

/** A synchronisation and a checkpoint, by who runs alone; sees to the epoch's room. */
export async function checkpointAlone(
  core: Core,
  durability: Durability,
  options: CheckpointOptions = {},
): Promise<void> {
  if (core.log === undefined) await beginSession(core)
  await durability.flushAlone()
  if (!core.keys.hasRoom(nodesToSeal(core))) await newEpoch(core)
  try {
    await checkpoint(core, options)
  } catch (error) {
    throw isFenced(error) ? fail(core, error) : error
  }
}

/** Whether log or changed nodes are so large that a checkpoint is due. */
export const needsCheckpoint = ({ log, map }: Core): boolean =>
  (log?.mark.position ?? 0) > CHECKPOINT_LOG || map.dirtyCount > CHECKPOINT_NODES

/** What has to be done between batches. */
export function upkeep(core: Core, durability: Durability): Upkeep {
  let notBefore = 0
  const tryCheckpoint = async (): Promise<void> => {
    try {
      await checkpointAlone(core, durability)
      notBefore = 0
    } catch (error) {
      if (core.failure !== undefined) throw error
      // The log still has all; when it is full, writes fail.
      notBefore = (core.log?.mark.position ?? 0) + RETRY_LOG
    }
  }
  const makeRoom = async (): Promise<void> => {
    await durability.flushAlone()
    await writeHome(core)
  }
  return {
    due(blocks) {
      if (core.log === undefined) return () => beginSession(core)
      if (needsCheckpoint(core) && core.log.mark.position >= notBefore) return tryCheckpoint
      if (core.inlined.size * core.geometry.blockSize > MAX_INLINE_BYTES) return makeRoom
      if (!core.keys.hasRoom(blocks + MARGIN)) return () => newEpoch(core)
      return undefined
    },
  }
}

/** After a synchronisation: blocks that are only in the log, when they are many. */
export function homeWriter(core: Core): () => void {
  let running = false
  return () => {
    if (running || core.inlined.size * core.geometry.blockSize < HOME_BYTES) return
    running = true
    writeHome(core)
      // Whoever needs the room hears of it.
      .catch(() => {})
      .finally(() => {
        running = false
      })
  }
}

/** VOL-3.4: left by a crash between two headers. */
async function removeStrayLogs({ disk, headers }: Core): Promise<void> {
  for (const name of await disk.list()) {
    const number = logNumber(name)
    if (number !== undefined && number !== headers.current.header.log) await disk.remove(name)
  }
}
