import { setTimeout as sleep } from "node:timers/promises"
import { EnvelopeError } from "../core/index.ts"
import type { Core } from "./core.ts"
import { ENTRY_LENGTH, isPresent } from "./entry.ts"
import { NODE_ENTRIES } from "./geometry.ts"
import type { MapNode } from "./node-cache.ts"
import type { Reader } from "./reader.ts"
import { walkMap } from "./walk.ts"

export interface ScrubOptions {
  /** Called now and then with the bytes verified so far. */
  readonly onProgress?: (progress: { readonly verifiedBytes: number }) => void
  /** Default: as fast as it goes. */
  readonly maxBytesPerSecond?: number
  readonly signal?: AbortSignal
}

/** A range that does not verify, in bytes. */
export interface DamagedRange {
  readonly offset: number
  readonly length: number
}

export interface ScrubResult {
  /** Bytes of blocks that hold data. */
  readonly verifiedBytes: number
  /** Empty for a volume that is whole. */
  readonly damaged: readonly DamagedRange[]
}

/** Verifies the tag of every block and map node. */
export async function scrubCore(
  core: Core,
  reader: Reader,
  { onProgress, maxBytesPerSecond, signal }: ScrubOptions,
): Promise<ScrubResult> {
  const { blockSize } = core.geometry
  const damaged: DamagedRange[] = []
  const start = performance.now()
  let verifiedBytes = 0
  const addDamage = (first: number, count: number): void => {
    const offset = first * blockSize
    const length = Math.min(count * blockSize, core.geometry.size - offset)
    const last = damaged.at(-1)
    if (last !== undefined && last.offset + last.length === offset) {
      damaged[damaged.length - 1] = { offset: last.offset, length: last.length + length }
    } else {
      damaged.push({ offset, length })
    }
  }
  const pace = async (): Promise<void> => {
    signal?.throwIfAborted()
    onProgress?.({ verifiedBytes })
    if (maxBytesPerSecond === undefined) return
    const ahead = (verifiedBytes / maxBytesPerSecond) * 1000 - (performance.now() - start)
    if (ahead > 0) await sleep(ahead, undefined, signal && { signal })
  }
  await walkMap(core, {
    async leaf(leaf) {
      for (const { first, count } of presentRuns(leaf)) {
        for (const block of await damagedIn(reader, first, count)) addDamage(block, 1)
        verifiedBytes += count * blockSize
      }
      await pace()
    },
    broken(level, index, error) {
      if (!isTampered(error)) throw error
      const span = NODE_ENTRIES ** (level + 1)
      addDamage(index * span, span)
    },
  })
  return { verifiedBytes, damaged }
}

// --- internal ---

function presentRuns({ index, entries }: MapNode): { first: number; count: number }[] {
  const runs: { first: number; count: number }[] = []
  for (let i = 0; i < NODE_ENTRIES; i++) {
    if (!isPresent(entries, i * ENTRY_LENGTH)) continue
    const last = runs.at(-1)
    if (last !== undefined && last.first + last.count === index * NODE_ENTRIES + i) last.count++
    else runs.push({ first: index * NODE_ENTRIES + i, count: 1 })
  }
  return runs
}

/** The blocks of a run that do not verify. */
async function damagedIn(reader: Reader, first: number, count: number): Promise<number[]> {
  try {
    await reader.readBlocks(first, count)
    return []
  } catch (error) {
    if (!isTampered(error)) throw error
    if (count === 1) return [first]
    const half = Math.floor(count / 2)
    return [...(await damagedIn(reader, first, half)), ...(await damagedIn(reader, first + half, count - half))]
  }
}

const isTampered = (error: unknown): boolean => error instanceof EnvelopeError && error.code === "TamperedVolume"
