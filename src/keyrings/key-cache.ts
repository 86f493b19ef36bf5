import { type CacheTrace, traceCache } from "../core/index.ts"
import type { CachedKey } from "./cached-key.ts"
import type { SharedCall } from "./shared-call.ts"

const DEFAULT_CAPACITY = 1000
/** The longest that Node's timers wait. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1

export interface KeyCacheOptions {
  /** Data keys held at most, for encrypting and decrypting together; the least recently used one goes. Default 1,000. */
  readonly capacity?: number
}

/**
 * Data keys in memory, for caching keyrings that share one capacity, or (with the same `partition`) the keys as well.
 * `close()`, or `using`, overwrites every key as soon as nobody uses it.
 */
export interface KeyCache {
  close(): void
  [Symbol.dispose](): void
}

/** @throws RangeError for a capacity that is not a whole number of 1 or more */
export const keyCache = (options: KeyCacheOptions = {}): KeyCache => new KeyStore(options.capacity)

interface Entry {
  readonly side: CacheTrace["side"]
  readonly partition: string
  readonly key: CachedKey
  timer: NodeJS.Timeout | undefined
}

/** The least recently used entry stands first in the map. */
export class KeyStore implements KeyCache {
  /** Calls under way, by the same ids as entries. */
  readonly calls = new Map<string, SharedCall>()
  readonly #entries = new Map<string, Entry>()
  readonly #capacity: number
  #closed = false
  #partitions = 0

  constructor(capacity: number = DEFAULT_CAPACITY) {
    if (!Number.isSafeInteger(capacity) || capacity < 1) {
      throw new RangeError("capacity must be a whole number, 1 or more")
    }
    this.#capacity = capacity
  }

  get closed(): boolean {
    return this.#closed
  }

  /** A partition that no other keyring of this cache has. */
  ownPartition(): string {
    return `own:${this.#partitions++}`
  }

  get(id: string): CachedKey | undefined {
    const entry = this.#entries.get(id)
    if (entry === undefined) return undefined
    this.#entries.delete(id)
    this.#entries.set(id, entry)
    return entry.key
  }

  /**
   * Stores a key until it is evicted, or `lifetimeMs` have passed. Does nothing when none are left, or when closed.
   */
  put(id: string, side: CacheTrace["side"], partition: string, key: CachedKey, lifetimeMs: number): void {
    if (this.#closed || lifetimeMs <= 0 || this.#entries.get(id)?.key === key) return
    this.evict(id, "replaced")
    const entry: Entry = { side, partition, key, timer: undefined }
    this.#entries.set(id, entry)
    key.stored = true
    this.#expire(id, entry, lifetimeMs)
    if (this.#entries.size > this.#capacity) this.evict(this.#entries.keys().next().value!, "capacity")
  }

  evict(id: string, reason: string): void {
    const entry = this.#entries.get(id)
    if (entry === undefined) return
    this.#entries.delete(id)
    clearTimeout(entry.timer)
    traceCache({ side: entry.side, decision: "evict", reason })
    entry.key.stored = false
  }

  evictPartition(partition: string, reason: string): void {
    for (const [id, entry] of this.#entries) if (entry.partition === partition) this.evict(id, reason)
  }

  close(): void {
    this.#closed = true
    for (const id of [...this.#entries.keys()]) this.evict(id, "closed")
  }

  [Symbol.dispose](): void {
    this.close()
  }

  /** Keys go at their age even when nobody asks for them; the timer keeps no process alive. */
  #expire(id: string, entry: Entry, lifetimeMs: number): void {
    const delay = Math.min(lifetimeMs, MAX_TIMEOUT_MS)
    entry.timer = setTimeout(() => {
      if (lifetimeMs > delay) this.#expire(id, entry, lifetimeMs - delay)
      else this.evict(id, "age")
    }, delay)
    entry.timer.unref?.()
  }
}
