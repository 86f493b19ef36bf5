import { allocate, copyBytes, equalBytes } from "../core/index.ts"
import { ENTRY_LENGTH, isPresent, readEntry, type Side, type Stamp, sideOf, writeHole } from "./entry.ts"
import { levelsFor, NODE_ENTRIES } from "./geometry.ts"
import { type MapNode, nodeCache } from "./node-cache.ts"

const NODE_LENGTH = NODE_ENTRIES * ENTRY_LENGTH

/** Fetches and authenticates a node. */
export type NodeReader = (level: number, index: number, above: Uint8Array) => Promise<Uint8Array>

/** The tree of entries over all blocks (VOL-4.2), of which the nodes in use are in memory. */
export interface VolumeMap {
  /** Its topmost node's entry; changes with a checkpoint. */
  readonly root: Uint8Array
  readonly levels: number
  /** The leaf that a block's entry is in: null when there is none, so that its blocks are holes; undefined: not in memory. */
  leafNow(block: number): MapNode | null | undefined
  leaf(block: number): Promise<MapNode | null>
  /** The leaf in memory and dirty, made where there was none. */
  leafForWriting(block: number): Promise<MapNode>
  /** The same where nothing has to be read for it. */
  leafOrNew(block: number): MapNode
  nodeForWriting(level: number, index: number): Promise<MapNode>
  node(level: number, index: number): Promise<MapNode | null>
  isCached(level: number, index: number): boolean
  /** How many blocks from a block on have no leaf, at least; the block has none. */
  absentFrom(block: number): number
  /** Brings the nodes into memory that `applyHoles` on the same range changes. */
  prepareHoles(first: number, count: number): Promise<void>
  applyHoles(first: number, count: number, stamp: Stamp): void
  dirtyOf(level: number): MapNode[]
  markClean(node: MapNode): void
  readonly dirtyCount: number
  /** Nodes in memory. */
  readonly nodeCount: number
  /** Adds the levels that more blocks need; the nodes added are dirty. */
  grow(blockCount: number): void
  clear(): void
}

/** @param cacheNodes how many clean nodes stay in memory, 3,072 bytes each */
export function volumeMap(header: Uint8Array, blockCount: number, cacheNodes: number, readNode: NodeReader): VolumeMap {
  const root = copyBytes(header)
  const cache = nodeCache(cacheNodes)
  const loading = new Map<string, Promise<MapNode | null>>()
  let levels = levelsFor(blockCount)

  /** The node above and where its entry for this one is; null where there is no node above. */
  const above = (level: number, index: number): { bytes: Uint8Array; at: number } | null | undefined => {
    if (level === levels - 1) return { bytes: root, at: 0 }
    const parent = now(level + 1, Math.floor(index / NODE_ENTRIES))
    return parent && { bytes: parent.entries, at: (index % NODE_ENTRIES) * ENTRY_LENGTH }
  }
  const now = (level: number, index: number): MapNode | null | undefined => {
    const node = cache.get(level, index)
    if (node !== undefined) return node
    const entry = above(level, index)
    if (entry === null || entry === undefined) return entry
    return isPresent(entry.bytes, entry.at) ? undefined : null
  }
  const node = (level: number, index: number): Promise<MapNode | null> => {
    const found = now(level, index)
    if (found !== undefined) return Promise.resolve(found)
    const key = `${level}.${index}`
    const begun = loading.get(key)
    if (begun !== undefined) return begun
    const promise = load(level, index).finally(() => loading.delete(key))
    loading.set(key, promise)
    return promise
  }
  const load = async (level: number, index: number): Promise<MapNode | null> => {
    if (level < levels - 1) await node(level + 1, Math.floor(index / NODE_ENTRIES))
    const found = now(level, index)
    if (found !== undefined) return found
    const entry = above(level, index)
    // The node above may have left the cache meanwhile.
    if (entry === null || entry === undefined) return load(level, index)
    const before = copyBytes(entry.bytes.subarray(entry.at, entry.at + ENTRY_LENGTH))
    const entries = await readNode(level, index, before)
    // Dropped, or replaced, while it was read.
    const after = above(level, index)
    if (!after || !equalBytes(after.bytes.subarray(after.at, after.at + ENTRY_LENGTH), before))
      return load(level, index)
    const loaded = { level, index, entries, side: sideOf(before), dirty: false, used: true }
    cache.add(loaded)
    return loaded
  }
  const create = (level: number, index: number): MapNode => {
    const entries = allocate(NODE_LENGTH)
    // Whatever looks for leaves comes from above.
    if (above(level, index) === null) create(level + 1, Math.floor(index / NODE_ENTRIES))
    const entry = above(level, index)
    let side: Side = 0
    if (entry) {
      const { epoch, counter } = readEntry(entry.bytes, entry.at)
      side = sideOf(entry.bytes, entry.at)
      if (epoch > 0) for (let at = 0; at < NODE_LENGTH; at += ENTRY_LENGTH) writeHole(entries, at, { epoch, counter })
    }
    const made = { level, index, entries, side, dirty: true, used: true }
    cache.add(made)
    return made
  }
  const nodeForWriting = async (level: number, index: number): Promise<MapNode> => {
    const found = (await node(level, index)) ?? now(level, index) ?? create(level, index)
    cache.markDirty(found)
    return found
  }
  const spanOf = (level: number): number => NODE_ENTRIES ** (level + 1)

  /** Calls for each child of a node that lies in the range: its index, and whether it lies in it whole. */
  const children = (
    parent: MapNode,
    first: number,
    end: number,
    each: (index: number, whole: boolean) => void,
  ): void => {
    const span = spanOf(parent.level - 1)
    const from = Math.max(parent.index * NODE_ENTRIES, Math.floor(first / span))
    const to = Math.min((parent.index + 1) * NODE_ENTRIES, Math.ceil(end / span))
    for (let index = from; index < to; index++) each(index, index * span >= first && (index + 1) * span <= end)
  }
  const prepare = async (level: number, index: number, first: number, end: number): Promise<void> => {
    const found = await node(level, index)
    if (found === null) return
    cache.markDirty(found)
    if (level === 0) return
    const inner: number[] = []
    // A leaf that lies in the range whole is dropped unread.
    children(found, first, end, (child, whole) => {
      if (level > 1 || !whole) inner.push(child)
    })
    for (const child of inner) await prepare(level - 1, child, first, end)
  }
  const apply = (level: number, index: number, first: number, end: number, stamp: Stamp): void => {
    const found = now(level, index)
    if (!found) return
    cache.markDirty(found)
    if (level === 0) {
      applyToLeaf(found, first, end, stamp)
      return
    }
    children(found, first, end, (child, whole) => {
      if (level > 1 || !whole) apply(level - 1, child, first, end, stamp)
      else dropLeaf(found, child, stamp)
    })
  }
  /** Nodes above leaves stay, so that no node's durable place is forgotten (VOL-4.3). */
  const dropLeaf = (parent: MapNode, index: number, stamp: Stamp): void => {
    const at = (index % NODE_ENTRIES) * ENTRY_LENGTH
    const leaf = cache.get(0, index)
    if (leaf === undefined && !isPresent(parent.entries, at)) return
    writeHole(parent.entries, at, stamp, leaf?.side ?? sideOf(parent.entries, at))
    cache.drop(0, index)
  }

  return {
    root,
    get levels() {
      return levels
    },
    leafNow: (block) => now(0, Math.floor(block / NODE_ENTRIES)),
    leaf: (block) => node(0, Math.floor(block / NODE_ENTRIES)),
    leafForWriting: (block) => nodeForWriting(0, Math.floor(block / NODE_ENTRIES)),
    leafOrNew: (block) => {
      const index = Math.floor(block / NODE_ENTRIES)
      return now(0, index) ?? create(0, index)
    },
    nodeForWriting,
    node,
    isCached: (level, index) => cache.get(level, index) !== undefined,
    absentFrom(block) {
      let level = 0
      while (level < levels - 1 && now(level + 1, Math.floor(block / spanOf(level + 1))) === null) level++
      return spanOf(level) - (block % spanOf(level))
    },
    prepareHoles: (first, count) => prepare(levels - 1, 0, first, first + count),
    applyHoles: (first, count, stamp) => apply(levels - 1, 0, first, first + count, stamp),
    dirtyOf: (level) => cache.dirtyOf(level),
    markClean: (clean) => cache.markClean(clean),
    get dirtyCount() {
      return cache.dirtyCount
    },
    get nodeCount() {
      return cache.count
    },
    grow(count) {
      for (const needed = levelsFor(count); levels < needed; levels++) {
        const top: MapNode = {
          level: levels,
          index: 0,
          entries: allocate(NODE_LENGTH),
          side: 0,
          dirty: true,
          used: true,
        }
        top.entries.set(root)
        cache.add(top)
        root.fill(0)
      }
    },
    clear: () => cache.clear(),
  }
}

function applyToLeaf(leaf: MapNode, first: number, end: number, stamp: Stamp): void {
  const start = leaf.index * NODE_ENTRIES
  const to = Math.min(end - start, NODE_ENTRIES)
  for (let i = Math.max(first - start, 0); i < to; i++) {
    if (isPresent(leaf.entries, i * ENTRY_LENGTH)) writeHole(leaf.entries, i * ENTRY_LENGTH, stamp)
  }
}
