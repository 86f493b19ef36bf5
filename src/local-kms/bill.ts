import { type Bill, kmsBill, monthOf, type RequestClass, requestClass } from "../cost/index.ts"
import { readLives } from "./lives.ts"
import { readCounts } from "./meter.ts"
import type { StoreReader } from "./store/store.ts"

export interface BillOptions {
  /** For instance `2026-05` (UTC). Default: the month that it is, up to now. */
  readonly month?: string
  /** Whose bill; the account that calls pays for a request, the one that owns a key for the key. Default: the KMS's account. */
  readonly accountId?: string
}

/** What AWS would charge an account for what the meter counted and for the keys it has, or had. */
export function actualBill(reader: StoreReader, accountId: string, now: Date, month = monthOf(now)): Bill {
  const lives = new Map(readLives(reader))
  const requests: Partial<Record<RequestClass, number>> = {}
  for (const { operation, keyArn, count } of readCounts(reader, month, accountId)) {
    const kind = requestClass(operation, lives.get(keyArn ?? "")?.keySpec)
    requests[kind] = (requests[kind] ?? 0) + count
  }
  const keys = [...lives]
    .filter(([arn]) => arn.split(":")[4] === accountId)
    .map(([, { createdAt, pendingSince, rotations }]) => ({
      createdAt: new Date(createdAt),
      ...(pendingSince === undefined ? {} : { endedAt: new Date(pendingSince) }),
      rotations: rotations.map((at) => new Date(at)),
    }))
  return kmsBill({ month, keys, requests, until: now })
}
