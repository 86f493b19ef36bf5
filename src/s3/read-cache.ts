import type { EncryptionContext } from "../core/index.ts"
import { copyBytes } from "../core/index.ts"
import { wipe } from "../crypto/index.ts"
import type { Header } from "../format/index.ts"
import type { Pin } from "./pinned.ts"

/** What is kept of an object whose header was opened. */
export interface CachedObject {
  readonly header: Header
  readonly encryptionContext: EncryptionContext
  readonly key: Uint8Array
  /** Bytes of the whole object. */
  readonly size: number
  readonly pin: Pin
}

/** Headers and message keys of objects, for ranges; overwritten at their age, when replaced, and with `close`. */
export interface ReadCache {
  /** @returns a copy of the key with the rest; the caller overwrites it */
  get(id: string): CachedObject | undefined
  put(id: string, object: CachedObject): void
  evict(id: string): void
  close(): void
}

/** @throws RangeError */
export function readCache({ maxAgeSeconds, capacity = 100 }: { maxAgeSeconds: number; capacity?: number }): ReadCache {
  if (!Number.isFinite(maxAgeSeconds) || maxAgeSeconds <= 0) throw new RangeError("maxAgeSeconds must be above 0")
  if (!Number.isSafeInteger(capacity) || capacity < 1) throw new RangeError("capacity must be 1 or more")
  const entries = new Map<string, { object: CachedObject; timer: NodeJS.Timeout }>()
  const evict = (id: string): void => {
    const entry = entries.get(id)
    if (entry === undefined) return
    entries.delete(id)
    clearTimeout(entry.timer)
    wipe(entry.object.key)
  }
  return {
    get(id) {
      const entry = entries.get(id)
      if (entry === undefined) return undefined
      entries.delete(id)
      entries.set(id, entry)
      return { ...entry.object, key: copyBytes(entry.object.key) }
    },
    put(id, object) {
      evict(id)
      const timer = setTimeout(() => evict(id), Math.min(maxAgeSeconds * 1000, 2 ** 31 - 1))
      timer.unref()
      entries.set(id, { object: { ...object, key: copyBytes(object.key) }, timer })
      if (entries.size > capacity) evict(entries.keys().next().value!)
    },
    evict,
    close: () => [...entries.keys()].forEach(evict),
  }
}
