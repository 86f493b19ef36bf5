import type { Side } from "./entry.ts"

/** A map node in memory (VOL-4.2). */
export interface MapNode {
  readonly level: number
  readonly index: number
  /** 3,072 bytes. */
  readonly entries: Uint8Array
  /** Where the durable header's map has it; a new version goes to the other. */
  side: Side
  /** Changed since the last checkpoint; stays in memory until the next. */
  dirty: boolean
  /** Asked for since the cache last looked. */
  used: boolean
}

/**
 * Nodes by level and index. Of leaves that are not dirty at most `capacity` stay, those asked for last; nodes above them,
 * one for 128, all stay.
 */
export interface NodeCache {
  get(level: number, index: number): MapNode | undefined
  add(node: MapNode): void
  markDirty(node: MapNode): void
  markClean(node: MapNode): void
  drop(level: number, index: number): void
  dirtyOf(level: number): MapNode[]
  readonly dirtyCount: number
  readonly count: number
  clear(): void
}

export function nodeCache(capacity: number): NodeCache {
  const levels: Map<number, MapNode>[] = []
  let count = 0
  let dirtyCount = 0
  let cleanLeaves = 0
  const levelOf = (level: number): Map<number, MapNode> => {
    while (levels.length <= level) levels.push(new Map())
    return levels[level]!
  }
  const remove = (node: MapNode): void => {
    levels[node.level]!.delete(node.index)
    count--
    if (node.dirty) dirtyCount--
    else if (node.level === 0) cleanLeaves--
  }
  /** Second chance: from the oldest on, what was used since moves to the young end. */
  const evict = (): void => {
    const nodes = levels[0]!
    let chances = nodes.size
    for (const node of nodes.values()) {
      if (cleanLeaves <= capacity || chances-- === 0) return
      if (node.dirty || node.used) {
        node.used = false
        nodes.delete(node.index)
        nodes.set(node.index, node)
      } else {
        remove(node)
      }
    }
  }
  return {
    get(level, index) {
      const node = levels[level]?.get(index)
      if (node !== undefined) node.used = true
      return node
    },
    add(node) {
      levelOf(node.level).set(node.index, node)
      count++
      if (node.dirty) dirtyCount++
      else if (node.level === 0 && ++cleanLeaves > capacity) evict()
    },
    markDirty(node) {
      if (node.dirty) return
      node.dirty = true
      dirtyCount++
      if (node.level === 0) cleanLeaves--
    },
    markClean(node) {
      if (!node.dirty) return
      node.dirty = false
      dirtyCount--
      if (node.level === 0 && ++cleanLeaves > capacity) evict()
    },
    drop(level, index) {
      const node = levels[level]?.get(index)
      if (node !== undefined) remove(node)
    },
    dirtyOf: (level) =>
      [...(levels[level]?.values() ?? [])].filter(({ dirty }) => dirty).sort((a, b) => a.index - b.index),
    get dirtyCount() {
      return dirtyCount
    },
    get count() {
      return count
    },
    clear() {
      levels.length = 0
      count = 0
      dirtyCount = 0
      cleanLeaves = 0
    },
  }
}
