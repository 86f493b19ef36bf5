import type { StoreReader, StoreTransaction } from "./store/store.ts"

/** How often the KMS was called. Refused and failed requests count as well, as they do on a bill. */
export interface Usage {
  readonly requests: number
  readonly byOperation: Readonly<Record<string, number>>
  /** Requests about a key, by key ARN and operation. */
  readonly byKey: Readonly<Record<string, Readonly<Record<string, number>>>>
  /** By month (UTC), for instance `2026-05`. */
  readonly byMonth: Readonly<Record<string, number>>
}

const PREFIX = "meter/"

interface Count {
  readonly month: string
  readonly accountId: string
  readonly operation: string
  readonly keyArn?: string
  readonly count: number
}

/** KMS-3.8: one counter for each month, calling account, operation and key. */
export function countRequest(
  tx: StoreTransaction,
  now: number,
  accountId: string,
  operation: string,
  keyArn: string | undefined,
): void {
  const month = new Date(now).toISOString().slice(0, 7)
  const path = `${PREFIX}${month}/${accountId}/${operation}/${keyArn ?? "-"}`
  const count = (tx.get<Count>(path)?.count ?? 0) + 1
  tx.put(path, { month, accountId, operation, ...(keyArn === undefined ? {} : { keyArn }), count })
}

/** The counters of one month and calling account. */
export function* readCounts(reader: StoreReader, month: string, accountId: string): Generator<Count> {
  for (const [, count] of reader.range<Count>(`${PREFIX}${month}/${accountId}/`)) yield count
}

export function readUsage(reader: StoreReader): Usage {
  let requests = 0
  const byOperation: Record<string, number> = {}
  const byKey: Record<string, Record<string, number>> = {}
  const byMonth: Record<string, number> = {}
  for (const [, { month, operation, keyArn, count }] of reader.range<Count>(PREFIX)) {
    requests += count
    add(byOperation, operation, count)
    add(byMonth, month, count)
    if (keyArn === undefined) continue
    byKey[keyArn] ??= {}
    add(byKey[keyArn], operation, count)
  }
  return { requests, byOperation, byKey, byMonth }
}

const add = (counts: Record<string, number>, name: string, count: number): void => {
  counts[name] = (counts[name] ?? 0) + count
}
