import { type RangeOptions, type RawStore, type Store, type StoredValue, undoable } from "./store.ts"

/** A store that lives and dies with the process. Values are kept as JSON text, so that nobody shares an object. */
export function memoryStore(): Store {
  const tables = new Map<string, Table>()
  const raw = rawTables(tables)
  return {
    async transaction(work) {
      const transaction = undoable(raw)
      return transaction.attempt(() => work(transaction))
    },
    read: (work) => work(raw),
    async close() {
      tables.clear()
    },
  }
}

interface Table {
  readonly values: Map<string, string>
  /** Sorted. */
  readonly keys: string[]
}

/** One table for each first part of a key, so that events do not move keys about. */
const tableName = (key: string): string => key.slice(0, key.indexOf("/") + 1)

function rawTables(tables: Map<string, Table>): RawStore {
  const putJson = (key: string, json: string): void => {
    let table = tables.get(tableName(key))
    if (table === undefined) {
      table = { values: new Map(), keys: [] }
      tables.set(tableName(key), table)
    }
    if (!table.values.has(key)) table.keys.splice(lowerBound(table.keys, key), 0, key)
    table.values.set(key, json)
  }
  return {
    get<T extends StoredValue>(key: string): T | undefined {
      const text = tables.get(tableName(key))?.values.get(key)
      return text === undefined ? undefined : JSON.parse(text)
    },
    put: (key, value) => putJson(key, JSON.stringify(value)),
    putJson,
    remove(key) {
      const table = tables.get(tableName(key))
      if (table?.values.delete(key)) table.keys.splice(lowerBound(table.keys, key), 1)
    },
    *range<T extends StoredValue>(prefix: string, options: RangeOptions = {}): Generator<readonly [string, T]> {
      const table = tables.get(tableName(prefix))
      if (table === undefined) return
      for (const key of keysInRange(table.keys, prefix, options)) yield [key, JSON.parse(table.values.get(key)!)]
    },
  }
}

function keysInRange(keys: readonly string[], prefix: string, options: RangeOptions): string[] {
  const { limit = Number.POSITIVE_INFINITY, reverse = false, after } = options
  let start = lowerBound(keys, prefix)
  let end = lowerBound(keys, `${prefix}\u{7f}`)
  if (after !== undefined && reverse) end = Math.min(end, lowerBound(keys, after))
  if (after !== undefined && !reverse) start = Math.max(start, lowerBound(keys, `${after}\0`))
  if (start >= end) return []
  if (reverse) return keys.slice(Math.max(start, end - limit), end).reverse()
  return keys.slice(start, Math.min(end, start + limit))
}

/** The place of the first key that is not below `key`. */
function lowerBound(keys: readonly string[], key: string): number {
  let low = 0
  let high = keys.length
  // Events arrive in order: the common place is the end.
  if (high > 0 && keys[high - 1]! < key) return high
  while (low < high) {
    const middle = (low + high) >>> 1
    if (keys[middle]! < key) low = middle + 1
    else high = middle
  }
  return low
}
