/** Anything JSON can hold. */
export type StoredValue = object

export interface RangeOptions {
  /** At most so many entries. */
  readonly limit?: number
  /** Newest, or greatest, first. */
  readonly reverse?: boolean
  /** Only keys after this one (before it, in reverse). */
  readonly after?: string
}

/** Reads inside one transaction see its own writes. Keys are ASCII, ordered by their bytes. */
export interface StoreReader {
  get<T extends StoredValue>(key: string): T | undefined
  /** Entries whose key begins with `prefix`, in order. */
  range<T extends StoredValue>(prefix: string, options?: RangeOptions): Iterable<readonly [key: string, value: T]>
}

export interface StoreTransaction extends StoreReader {
  put(key: string, value: StoredValue): void
  /** The same for a value that is JSON text already. */
  putJson(key: string, json: string): void
  remove(key: string): void
  /** Runs `work`; when it throws, what it wrote is undone, and the rest of the transaction stands. */
  attempt<T>(work: () => T): T
}

/**
 * Where keys, aliases, events and counts live. `docs/spec/local-kms.md` names the records.
 */
export interface Store {
  /**
   * Runs `work`, which must be synchronous, with exclusive access across all processes. The promise settles when its
   * writes are durable; when `work` throws, nothing is written. Concurrent transactions may share one commit.
   */
  transaction<T>(work: (transaction: StoreTransaction) => T): Promise<T>
  /** Runs `work` on one consistent state. */
  read<T>(work: (reader: StoreReader) => T): T
  /** KMS-3.11: copies the store as it is now into a new or empty folder; only where there are files to copy. */
  backup?(folder: string): Promise<void>
  close(): Promise<void>
}

/** What a storage engine has to bring: plain reads and writes inside its own exclusive section. */
export interface RawStore extends StoreReader {
  put(key: string, value: StoredValue): void
  putJson(key: string, json: string): void
  remove(key: string): void
}

/** Adds undoing to an engine's plain writes by keeping what each write replaced. */
export function undoable(raw: RawStore): StoreTransaction {
  const replaced: { key: string; value: StoredValue | undefined }[] = []
  const remember = (key: string): void => {
    replaced.push({ key, value: raw.get(key) })
  }
  return {
    get: raw.get,
    range: raw.range,
    put(key, value) {
      remember(key)
      raw.put(key, value)
    },
    putJson(key, json) {
      remember(key)
      raw.putJson(key, json)
    },
    remove(key) {
      remember(key)
      raw.remove(key)
    },
    attempt(work) {
      const mark = replaced.length
      try {
        return work()
      } catch (error) {
        for (const { key, value } of replaced.splice(mark).reverse()) {
          if (value === undefined) raw.remove(key)
          else raw.put(key, value)
        }
        throw error
      }
    },
  }
}
