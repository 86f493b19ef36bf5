import { type Core, checkWritable, fail } from "./core.ts"
import type { Exclusion } from "./exclusion.ts"
import { dataName } from "./files.ts"

/** Up to this many bytes between two flushes, blocks are written into the log, and a flush synchronises one file. */
const SMALL = 2 ** 16
const DATA = [dataName(0), dataName(1)]

/** Makes durable what is complete (VOL-6.1), for many callers at a time. */
export interface Durability {
  /** Resolves when everything complete at the time of the call is durable. */
  flush(): Promise<void>
  /** The same, called by who runs alone. */
  flushAlone(): Promise<void>
  /** Whether a batch of so many bytes had better go into the log. */
  prefersLog(bytes: number, fua: boolean): boolean
  /** So many bytes are on their way. */
  count(bytes: number): void
  /** Whether anything complete is not durable. */
  readonly dirty: boolean
}

/** @param onDurable called after each synchronisation */
export function durability(core: Core, gate: Exclusion, advanceAnchor: boolean, onDurable: () => void): Durability {
  let running: Promise<void> | undefined
  let runningTo = 0
  let queued: Promise<void> | undefined
  let sinceFlush = 0
  let flushesAreSmall = false

  const isDirty = (): boolean => core.completed.sequence !== core.durableSequence
  /** VOL-5.4, VOL-5.5. Nothing may be under way when it starts: it might overwrite what this makes durable. */
  const begin = (): Promise<void> => {
    const { sequence, tag } = core.completed
    if (!isDirty()) return Promise.resolve()
    flushesAreSmall = sinceFlush <= SMALL
    sinceFlush = 0
    core.placement.beginSync()
    runningTo = sequence
    running = synchronise(sequence, tag).finally(() => {
      running = undefined
    })
    return running
  }
  const synchronise = async (sequence: number, tag: Uint8Array): Promise<void> => {
    try {
      await Promise.all([core.files.sync(DATA), core.log?.sync()])
      core.durableSequence = sequence
      core.placement.endSync()
      if (advanceAnchor) await core.headers.advance(sequence, tag)
    } catch (error) {
      throw fail(core, error)
    }
    onDurable()
  }
  const next = async (): Promise<void> => {
    await running?.catch(() => {})
    let begun: Promise<void> | undefined
    await gate.alone(() => {
      queued = undefined
      checkWritable(core)
      begun = begin()
      // Awaited below, outside the exclusion.
      begun.catch(() => {})
    })
    await begun
  }
  return {
    flush() {
      if (core.readOnly) return Promise.resolve()
      if (core.failure !== undefined) return Promise.reject(core.failure)
      if (!isDirty()) return Promise.resolve()
      if (running !== undefined && runningTo === core.completed.sequence) return running
      if (running === undefined && gate.idle) return begin()
      queued ??= next()
      return queued
    },
    async flushAlone() {
      await running?.catch(() => {})
      checkWritable(core)
      await begin()
    },
    prefersLog: (bytes, fua) => (fua || flushesAreSmall) && sinceFlush + bytes <= SMALL,
    count(bytes) {
      sinceFlush += bytes
    },
    get dirty() {
      return isDirty()
    },
  }
}
