import { isPresent, type Side, sideOf } from "./entry.ts"

export interface BlockRange {
  readonly first: number
  readonly count: number
}

/** Where a new version of a block goes: to a side of its place, or first into the log and later to that side. */
export interface Target {
  readonly inline: boolean
  readonly side: Side
  /** A version that is not durable is there. */
  readonly overwrites: boolean
}

/**
 * What the choice of a side has to know (VOL-5.5): which blocks were written to their place since the last synchronisation,
 * or are in one that runs. For such a block the durable version is on the side that its entry does not name.
 */
export interface Placement {
  /** @param preferLog into the log in any case */
  choose(block: number, entries: Uint8Array, at: number, preferLog: boolean): Target
  /** The block has a new version in its place. */
  placed(block: number): void
  holed(range: BlockRange): void
  /** Blocks being written to their places from the log. */
  readonly homing: Set<number>
  /** What is placed and holed so far is being made durable. */
  beginSync(): void
  endSync(): void
  /** Blocks placed since the last synchronisation. */
  readonly count: number
}

/** More ranges than this are taken together, with what lies between them. */
const MAX_RANGES = 64

export function placement(): Placement {
  let unflushed = new Set<number>()
  let syncing = new Set<number>()
  let holes: BlockRange[] = []
  let syncingHoles: BlockRange[] = []
  const homing = new Set<number>()
  const inHole = (ranges: readonly BlockRange[], block: number): boolean =>
    ranges.some(({ first, count }) => block >= first && block < first + count)
  /** Both sides may hold what is needed. */
  const isTaken = (block: number): boolean =>
    (syncing.size > 0 && syncing.has(block)) ||
    (homing.size > 0 && homing.has(block)) ||
    (holes.length > 0 && inHole(holes, block)) ||
    (syncingHoles.length > 0 && inHole(syncingHoles, block))

  return {
    choose(block, entries, at, preferLog) {
      const side = isPresent(entries, at) ? sideOf(entries, at) : 0
      // What is first in the log may overwrite the version before it once its record is durable.
      if (preferLog || isTaken(block)) return { inline: true, side, overwrites: false }
      if (!isPresent(entries, at)) return { inline: false, side, overwrites: false }
      const overwrites = unflushed.has(block)
      return { inline: false, side: overwrites ? side : ((1 - side) as Side), overwrites }
    },
    placed: (block) => void unflushed.add(block),
    holed(range) {
      holes.push(range)
      if (holes.length > MAX_RANGES) holes = [hull(holes)]
    },
    homing,
    beginSync() {
      syncing = unflushed
      syncingHoles = holes
      unflushed = new Set()
      holes = []
    },
    endSync() {
      syncing = new Set()
      syncingHoles = []
    },
    get count() {
      return unflushed.size
    },
  }
}

function hull(ranges: readonly BlockRange[]): BlockRange {
  const first = Math.min(...ranges.map((range) => range.first))
  const end = Math.max(...ranges.map((range) => range.first + range.count))
  return { first, count: end - first }
}
