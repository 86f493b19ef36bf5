import { type Core, createLog } from "./core.ts"
import { ENTRY_LENGTH, present, type Side, writeEntry } from "./entry.ts"
import { publish } from "./events.ts"
import { logName, mapName } from "./files.ts"
import { NODE_ENTRIES, volumeName } from "./geometry.ts"
import { writeHome } from "./home.ts"
import { Domain } from "./keys.ts"
import type { MapNode } from "./node-cache.ts"

/** Node writes under way at a time. */
const WRITES = 64
const NODE_LENGTH = NODE_ENTRIES * ENTRY_LENGTH

export interface CheckpointOptions {
  /** VOL-6.3: the last one, whose header is clean. */
  readonly clean?: boolean
  /** A new size. */
  readonly size?: number
  /** VOL-2.5: epochs that no entry names. */
  readonly drop?: ReadonlySet<number>
}

/** Nodes to be sealed at most, to see that the epoch has room. */
export const nodesToSeal = ({ map }: Core): number => 2 * map.dirtyCount + map.levels + 2

/**
 * VOL-6.2. Called by who runs alone, after a synchronisation. When it fails, the header before still counts, with its log,
 * and a later one may succeed.
 */
export async function checkpoint(core: Core, { clean = false, size, drop }: CheckpointOptions = {}): Promise<void> {
  const { headers, map, files, keys } = core
  const volumeId = volumeName(core.geometry.id)
  await writeHome(core)
  await files.syncAll()
  const written = await writeNodes(core)
  await files.syncAll()
  const firstSequence = core.completed.sequence + 1
  const log = clean ? undefined : await createLog(core, firstSequence)
  const before = headers.current.header.log
  try {
    const epochs = keys.epochs.filter(({ epoch }) => !drop?.has(epoch))
    const root = map.root.slice()
    await headers.write({ clean, root, log: log?.number ?? 0, firstSequence, epochs, ...(size && { size }) })
    if (drop !== undefined) keys.know(epochs)
  } catch (error) {
    await log?.close()
    throw error
  }
  for (const node of written) {
    node.side = (1 - node.side) as Side
    map.markClean(node)
  }
  await core.log?.close()
  core.log = log
  core.completed = log?.mark ?? { position: 0, sequence: firstSequence - 1, tag: core.completed.tag }
  core.durableSequence = firstSequence - 1
  if (before !== 0) await core.disk.remove(logName(before))
  publish({ event: "checkpoint", volumeId, generation: headers.current.header.generation })
}

/** From the leaves up, since the tag of each stands in the one above. */
async function writeNodes(core: Core): Promise<MapNode[]> {
  const { map } = core
  const all: MapNode[] = []
  for (let level = 0; level < map.levels; level++) {
    const nodes = map.dirtyOf(level)
    for (let at = 0; at < nodes.length; at += WRITES) await writeSome(core, nodes.slice(at, at + WRITES))
    all.push(...nodes)
  }
  return all
}

/** Neighbours on one side are one write. */
async function writeSome(core: Core, nodes: readonly MapNode[]): Promise<void> {
  const writes: Promise<void>[] = []
  let parts: Uint8Array[] = []
  const flush = async (last: MapNode): Promise<void> => {
    const name = mapName(last.level, (1 - last.side) as Side)
    const position = (last.index - parts.length + 1) * NODE_LENGTH
    const run = parts
    parts = []
    const file = await core.files.forWriting(name)
    await file.write(run, position)
    core.files.written(name)
  }
  for (const [i, node] of nodes.entries()) {
    parts.push(await sealNode(core, node))
    const next = nodes[i + 1]
    if (next === undefined || next.index !== node.index + 1 || next.side !== node.side) writes.push(flush(node))
  }
  await Promise.all(writes)
}

/** VOL-4.3: sealed for the file that the durable map does not use, and noted in the entry above. */
async function sealNode({ keys, map }: Core, node: MapNode): Promise<Uint8Array> {
  const { level, index, entries } = node
  const { ciphertext, tag, epoch, counter } = keys.seal(Domain.node, keys.nodeAad(level, index), entries)
  const entry = { state: present((1 - node.side) as Side), epoch, counter, tag }
  if (level === map.levels - 1) {
    writeEntry(map.root, 0, entry)
  } else {
    const above = await map.nodeForWriting(level + 1, Math.floor(index / NODE_ENTRIES))
    writeEntry(above.entries, (index % NODE_ENTRIES) * ENTRY_LENGTH, entry)
  }
  return ciphertext
}
