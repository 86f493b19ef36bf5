import type { EncryptionContext, WrappedKey } from "../core/index.ts"
import type { Core } from "./core.ts"
import { fileDisk } from "./file-disk.ts"
import { dataName } from "./files.ts"
import { volumeName } from "./geometry.ts"
import type { VolumeHeader } from "./header.ts"
import { newestFirst, readHeaderSlots } from "./header-store.ts"

/** What a header says of a volume. */
export interface VolumeSummary {
  /** `vol-` and 32 hexadecimal digits. */
  readonly volumeId: string
  /** Bytes. */
  readonly size: number
  readonly blockSize: number
  /** Rises with each header written. */
  readonly generation: number
  /** Whether it was detached. */
  readonly clean: boolean
  /** How many epochs its keys span. */
  readonly epochs: number
  readonly encryptionContext: EncryptionContext
  readonly wrappedKeys: readonly WrappedKey[]
}

export interface VolumeInfo extends VolumeSummary {
  /** Bytes of the data files, holes in them included. */
  readonly dataBytes: number
  /** Bytes of the log. */
  readonly logBytes: number
  /** Bytes that are only in the log so far, and in memory. */
  readonly inlineBytes: number
  /** Bytes of blocks that a flush would have to make durable; one that runs counts as done. */
  readonly unflushedBytes: number
  /** Whether a flush would have to make something durable, holes included. */
  readonly dirty: boolean
  /** Map nodes in memory, 3 KiB each. */
  readonly mapNodes: number
}

/**
 * What the newer header says, without any key: nothing of it is authentic.
 *
 * @throws EnvelopeError `MalformedVolume`, `VolumeIo`
 */
export async function inspectVolume(path: string): Promise<VolumeSummary> {
  const slots = await readHeaderSlots(fileDisk(path, { readOnly: true }))
  return summary(newestFirst(slots)[0]!.header)
}

export async function volumeInfo({
  headers,
  files,
  log,
  inlined,
  completed,
  durableSequence,
  map,
  geometry,
  placement,
}: Core): Promise<VolumeInfo> {
  const sides = await Promise.all(([0, 1] as const).map((side) => files.find(dataName(side))))
  const sizes = await Promise.all(sides.map((file) => file?.size() ?? 0))
  let unflushed = placement.count
  for (const { sequence } of inlined.values()) if (sequence > durableSequence) unflushed++
  return {
    ...summary(headers.current.header),
    size: geometry.size,
    dataBytes: sizes.reduce((sum, size) => sum + size, 0),
    logBytes: log?.mark.position ?? 0,
    inlineBytes: inlined.size * geometry.blockSize,
    unflushedBytes: unflushed * geometry.blockSize,
    dirty: completed.sequence !== durableSequence,
    mapNodes: map.nodeCount,
  }
}

const summary = (header: VolumeHeader): VolumeSummary => ({
  volumeId: volumeName(header.volumeId),
  size: header.size,
  blockSize: header.blockSize,
  generation: header.generation,
  clean: header.clean,
  epochs: header.epochs.length,
  encryptionContext: header.encryptionContext,
  wrappedKeys: header.wrappedKeys,
})
