import type { Keyring } from "../core/index.ts"
import type { Anchor } from "./anchor.ts"
import type { Disk } from "./disk.ts"
import { publish } from "./events.ts"
import { malformedVolume } from "./failures.ts"
import { fileDisk } from "./file-disk.ts"
import { checkUnlocked, takeLock, type VolumeLock } from "./lock.ts"
import { openCore } from "./open.ts"
import { Volume } from "./volume.ts"

export interface AttachVolumeOptions {
  /** Unwraps the data key, once. */
  readonly keyring: Keyring
  /** Attach for reading only, which writes nothing. Default false. */
  readonly readOnly?: boolean
  /** Detects a volume set back to an older state (VOL-9.1), for instance `fileAnchor(path)`. */
  readonly anchor?: Anchor
  /** When the anchor advances: with each `checkpoint` (default), or with each `flush`, which then takes longer. */
  readonly advanceAnchor?: "checkpoint" | "flush"
  /** What is written becomes durable after so long even without a flush. Default 5; 0 for never. */
  readonly flushIntervalSeconds?: number
  /** Memory for the map, in bytes: 8 MiB for a GiB of volume in use keep all of it. Default 64 MiB, at least 1 MiB. */
  readonly maxMapBytes?: number
  /** Signals on which the volume is detached before they take their course, for instance `["SIGTERM"]`. Default none. */
  readonly detachOnSignals?: readonly NodeJS.Signals[]
  /** Aborts the attaching. */
  readonly signal?: AbortSignal
}

const NODE_BYTES = 3072

/**
 * Attaches a volume: takes its lock, unwraps its data key with one request, and recovers it if it was not detached. The key
 * is in memory until `detach`; what happens to the wrapping key meanwhile makes no difference.
 *
 * @throws EnvelopeError `VolumeInUse`, `NoMatchingKey`, `TamperedVolume`, `MalformedVolume`, `VolumeRollback`, `VolumeIo`,
 *   and what the keyring throws
 */
export async function attachVolume(path: string, options: AttachVolumeOptions): Promise<Volume> {
  checkOptions(options)
  let lock: VolumeLock | undefined
  try {
    lock = await lockFolder(path, options.readOnly ?? false)
    return await attachOn(fileDisk(path, { readOnly: options.readOnly ?? false }), options, lock)
  } catch (error) {
    await lock?.release()
    publish({ event: "attach-failed", error })
    throw error
  }
}

/** The same on any disk. */
export async function attachOn(
  disk: Disk,
  options: AttachVolumeOptions & { readonly epochLimits?: { readonly seals: number; readonly bytes: number } },
  lock: VolumeLock = { release: async () => {} },
): Promise<Volume> {
  const { keyring, anchor, signal, epochLimits } = checkOptions(options)
  const core = await openCore(disk, {
    keyring,
    cacheNodes: Math.floor((options.maxMapBytes ?? 2 ** 26) / NODE_BYTES),
    ...(anchor && { anchor }),
    ...(signal && { signal }),
    ...(epochLimits && { epochLimits }),
  })
  return new Volume(core, lock, {
    advanceAnchor: options.advanceAnchor === "flush" && anchor !== undefined,
    flushIntervalSeconds: options.flushIntervalSeconds ?? 5,
    detachOnSignals: options.detachOnSignals ?? [],
  })
}

// --- internal ---

function checkOptions<T extends AttachVolumeOptions>(options: T): T {
  if (typeof options?.keyring?.unwrap !== "function") throw new TypeError("keyring must be a keyring")
  const { advanceAnchor = "checkpoint", flushIntervalSeconds = 5, maxMapBytes = 2 ** 26 } = options
  if (advanceAnchor !== "checkpoint" && advanceAnchor !== "flush") {
    throw new TypeError('advanceAnchor must be "checkpoint" or "flush"')
  }
  if (!(flushIntervalSeconds >= 0)) throw new RangeError("flushIntervalSeconds must be 0 or more")
  if (!(maxMapBytes >= 2 ** 20)) throw new RangeError("maxMapBytes must be at least 1 MiB")
  return options
}

async function lockFolder(path: string, readOnly: boolean): Promise<VolumeLock> {
  try {
    return await takeLock(path)
  } catch (error) {
    const code = ((error as Error).cause as NodeJS.ErrnoException | undefined)?.code
    if (code === "ENOENT" || code === "ENOTDIR") throw malformedVolume(`there is no volume at ${path}`)
    if (!readOnly || !(code === "EROFS" || code === "EACCES")) throw error
    return checkUnlocked(path)
  }
}
