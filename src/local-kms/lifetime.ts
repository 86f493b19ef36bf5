import { EnvelopeError } from "../core/index.ts"
import type { OpenedStore } from "./open-store.ts"

/** What has to end before the store does. */
interface Door {
  close(): Promise<unknown>
}

/** Keeps a store open for as long as anything runs on it. */
export interface Lifetime {
  /** The store for callers: refuses what comes after closing began, and lets what began before it end. */
  readonly store: OpenedStore["store"]
  /** @throws EnvelopeError `Closed` */
  requireOpen(): void
  /** Runs work that `close()` waits for. @throws EnvelopeError `Closed` */
  run<T>(work: () => Promise<T>): Promise<T>
  /** Closes a door before all else: what came through it is answered first. */
  addDoor(door: Door): void
  /** Waits for what runs, closes the store and overwrites the vault's keys. May be called again. */
  close(): Promise<void>
}

export function createLifetime({ store, vault }: OpenedStore): Lifetime {
  const running = new Set<Promise<unknown>>()
  const doors = new Set<Door>()
  let closing: Promise<void> | undefined
  let isClosed = false

  const lifetime: Lifetime = {
    store: {
      transaction: (work) => lifetime.run(() => store.transaction(work)),
      read(work) {
        lifetime.requireOpen()
        return store.read(work)
      },
      ...(store.backup === undefined ? {} : { backup: (folder: string) => lifetime.run(() => store.backup!(folder)) }),
      close: () => lifetime.close(),
    },
    requireOpen() {
      if (isClosed) throw new EnvelopeError("Closed", "the embedded KMS is closed")
    },
    async run(work) {
      lifetime.requireOpen()
      const promise = work()
      running.add(promise)
      const forget = (): boolean => running.delete(promise)
      promise.then(forget, forget)
      return promise
    },
    addDoor(door) {
      doors.add(door)
    },
    close() {
      closing ??= (async () => {
        if (doors.size > 0) await Promise.all([...doors].map((door) => door.close()))
        isClosed = true
        await Promise.allSettled(running)
        await store.close()
        vault.close()
      })()
      return closing
    },
  }
  return lifetime
}
