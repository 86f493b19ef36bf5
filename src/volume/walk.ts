import type { Core } from "./core.ts"
import { ENTRY_LENGTH, epochOf, isPresent } from "./entry.ts"
import { NODE_ENTRIES } from "./geometry.ts"
import type { MapNode } from "./node-cache.ts"

/** What a walk over the map comes by. */
export interface MapVisitor {
  /** A node, before those below it. */
  node?(node: MapNode): void
  /** A leaf; awaited before the walk goes on. */
  leaf?(leaf: MapNode): Promise<void> | void
  /** A node that does not verify; what is below it is left out. Without it the walk fails. */
  broken?(level: number, index: number, error: unknown): void
}

/** Visits all nodes, in the order of blocks. @param first block, or a block of the leaf to start with */
export async function walkMap(core: Core, visitor: MapVisitor): Promise<void> {
  const visit = async (level: number, index: number): Promise<void> => {
    let node: MapNode | null
    try {
      node = await core.map.node(level, index)
    } catch (error) {
      if (visitor.broken === undefined) throw error
      visitor.broken(level, index, error)
      return
    }
    if (node === null) return
    visitor.node?.(node)
    if (level === 0) return visitor.leaf?.(node)
    for (let i = 0; i < NODE_ENTRIES; i++) {
      const child = index * NODE_ENTRIES + i
      if (isPresent(node.entries, i * ENTRY_LENGTH) || core.map.isCached(level - 1, child))
        await visit(level - 1, child)
    }
  }
  await visit(core.map.levels - 1, 0)
}

/** The epochs that entries of a node name. */
export function addEpochs(epochs: Set<number>, { entries }: MapNode): void {
  for (let at = 0; at < entries.length; at += ENTRY_LENGTH) epochs.add(epochOf(entries, at))
}
