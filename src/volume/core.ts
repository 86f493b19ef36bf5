import { EnvelopeError } from "../core/index.ts"
import type { Disk } from "./disk.ts"
import { readEntry, type Side, sideOf } from "./entry.ts"
import { publish } from "./events.ts"
import { diskError, tamperedVolume } from "./failures.ts"
import { dataName, type Files, logName, mapName } from "./files.ts"
import { type Geometry, NODE_ENTRIES, volumeName } from "./geometry.ts"
import type { HeaderStore } from "./header-store.ts"
import { Domain, type VolumeKeys } from "./keys.ts"
import { type LogMark, type LogWriter, logWriter } from "./log.ts"
import type { NodeReader, VolumeMap } from "./map.ts"
import type { Placement } from "./placement.ts"

/** A block whose newest version is only in the log (VOL-5.5), by its ciphertext. */
export interface InlineBlock {
  readonly ciphertext: Uint8Array
  /** Where it will be written. */
  readonly side: Side
  /** Of its record. */
  readonly sequence: number
}

/** What the parts of an attached volume share. */
export interface Core {
  readonly disk: Disk
  readonly files: Files
  readonly keys: VolumeKeys
  readonly headers: HeaderStore
  readonly map: VolumeMap
  readonly placement: Placement
  readonly inlined: Map<number, InlineBlock>
  readonly readOnly: boolean
  geometry: Geometry
  /** Runs while blocks are written from the log to their places. */
  homing: Promise<void> | undefined
  /** There from the first write on. */
  log: LogWriter | undefined
  /** The last record whose write, and that of all before it, has ended. */
  completed: LogMark
  /** The last record known to be durable. */
  durableSequence: number
  /** Why no more writes are taken. */
  failure: EnvelopeError | undefined
}

/** @throws EnvelopeError `ReadOnlyVolume`, or what ended writing */
export function checkWritable(core: Core): void {
  if (core.readOnly) throw new EnvelopeError("ReadOnlyVolume", "the volume is attached for reading only")
  if (core.failure !== undefined) throw core.failure
}

/** VOL-6.4: from here on the volume takes no writes. @returns what to throw */
export function fail(core: Core, cause: unknown): EnvelopeError {
  if (core.failure !== undefined) return core.failure
  const reason = diskError("a synchronisation", cause)
  core.failure =
    reason.code === "VolumeRollback"
      ? reason
      : new EnvelopeError("VolumeIo", `${reason.message}; the volume takes no more writes until it is attached again`, {
          cause,
        })
  publish({ event: "failed", volumeId: volumeName(core.geometry.id), error: core.failure })
  return core.failure
}

/** The file of a side, open for writing. */
export const dataFile = (core: Core, side: Side) => core.files.forWriting(dataName(side))

/** VOL-4.3 */
export function nodeReader(core: () => Core): NodeReader {
  return async (level, index, above) => {
    const { files, keys, geometry } = core()
    const { epoch, counter, tag } = readEntry(above)
    const sealed = new Uint8Array(NODE_ENTRIES * 24)
    const file = await files.find(mapName(level, sideOf(above)))
    const found = file === undefined ? 0 : await file.read(sealed, index * sealed.length)
    const entries =
      found === sealed.length
        ? keys.open(Domain.node, { epoch, counter }, keys.nodeAad(level, index), sealed, tag)
        : undefined
    if (entries !== undefined) return entries
    const error = tamperedVolume(`map node ${index} of level ${level}`)
    publish({ event: "tampered", volumeId: volumeName(geometry.id), error })
    throw error
  }
}

/** VOL-1.2, VOL-6.2: an empty log, durable, and not yet named by a header. */
export async function createLog(core: Core, firstSequence: number): Promise<LogWriter> {
  const number = core.headers.current.header.generation + 1
  const file = await core.disk.create(logName(number))
  try {
    await core.disk.syncFolder()
  } catch (error) {
    await file.close()
    throw error
  }
  return logWriter(file, number, firstSequence, core.keys)
}
