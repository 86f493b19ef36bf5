import { EnvelopeError, type Keyring } from "../core/index.ts"
import type { Anchor, AnchorState } from "./anchor.ts"
import { checkpoint } from "./checkpoint.ts"
import { type Core, nodeReader } from "./core.ts"
import { unwrapKey } from "./data-key.ts"
import type { Disk } from "./disk.ts"
import { publish } from "./events.ts"
import { filesOf } from "./files.ts"
import { geometryOf, volumeName } from "./geometry.ts"
import {
  type Anchored,
  checkAnchor,
  chooseHeader,
  headerStore,
  hex,
  newestFirst,
  readHeaderSlots,
} from "./header-store.ts"
import { volumeKeys } from "./keys.ts"
import type { FoundLog } from "./log-reader.ts"
import { volumeMap } from "./map.ts"
import { placement } from "./placement.ts"
import { replay } from "./recover.ts"

export interface OpenOptions {
  readonly keyring: Keyring
  readonly anchor?: Anchor
  /** Leaves of the map in memory. */
  readonly cacheNodes: number
  readonly signal?: AbortSignal
  /** When an epoch ends (VOL-2.4); lower in tests. */
  readonly epochLimits?: { readonly seals: number; readonly bytes: number }
}

/** VOL-7.1: from the files to a volume that can be read and, unless the disk is read-only, written. */
export async function openCore(disk: Disk, options: OpenOptions): Promise<Core> {
  const { keyring, anchor, cacheNodes, signal } = options
  const slots = await readHeaderSlots(disk)
  const { dataKey, header: naming } = await unwrapKey(keyring, newestFirst(slots), signal)
  const keys = volumeKeys(dataKey, geometryOf(naming.volumeId, naming.size, naming.blockSize), options.epochLimits)
  const files = filesOf(disk)
  try {
    const { chosen, older } = await chooseHeader(disk, slots, keys)
    const { header } = chosen
    const volumeId = volumeName(header.volumeId)
    const anchored = anchor && { anchor, state: await anchor.read() }
    checkAnchor(chosen, anchored?.state)
    if (older) publish({ event: "older-header", volumeId, generation: header.generation })
    keys.know(header.epochs)
    const geometry = geometryOf(header.volumeId, header.size, header.blockSize)
    const core: Core = {
      disk,
      files,
      keys,
      headers: headerStore(disk, chosen, keys, disk.readOnly ? undefined : anchored),
      map: volumeMap(
        header.root,
        geometry.blockCount,
        cacheNodes,
        nodeReader(() => core),
      ),
      placement: placement(),
      inlined: new Map(),
      readOnly: disk.readOnly,
      geometry,
      homing: undefined,
      log: undefined,
      completed: { position: 0, sequence: Math.max(0, header.firstSequence - 1), tag: new Uint8Array(16) },
      durableSequence: Math.max(0, header.firstSequence - 1),
      failure: undefined,
    }
    if (!header.clean) await recover(core, anchored)
    // VOL-3.3
    else if (header.generation === 0 && !disk.readOnly) await core.headers.write({})
    return core
  } catch (error) {
    keys.wipe()
    await files.close()
    throw error
  }
}

// --- internal ---

async function recover(core: Core, anchored: Anchored | undefined): Promise<void> {
  const log = await replay(core)
  checkLogAnchor(log, core, anchored?.state)
  const { header } = core.headers.current
  if (!core.readOnly) {
    const epoch = core.keys.propose()
    await core.headers.write({})
    core.keys.use(epoch)
    // VOL-7.4
    await checkpoint(core)
  }
  publish({
    event: "recovered",
    volumeId: volumeName(header.volumeId),
    generation: header.generation,
    firstSequence: header.firstSequence,
    lastSequence: log.end.sequence,
    durableSequence: log.durableSequence,
  })
}

/** VOL-9.1: the record that the anchor knows to be durable must be there. */
function checkLogAnchor(log: FoundLog, { headers }: Core, state: AnchorState | undefined): void {
  if (state === undefined || state.sequence === 0 || state.generation !== headers.current.header.generation) return
  const record = log.records.find(({ sequence }) => sequence === state.sequence)
  if (record !== undefined && hex(record.tag) === state.tag) return
  throw new EnvelopeError(
    "VolumeRollback",
    `the anchor knows log record ${state.sequence}; the volume's log ends at ${log.end.sequence}, or has another`,
  )
}
