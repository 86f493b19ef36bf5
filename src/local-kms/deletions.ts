import { serviceEvent } from "./audit.ts"
import { DAY_MS, type Key, keyRecords, takeDueDeletion } from "./keys.ts"
import { removeAliasesOf } from "./operations/aliases.ts"
import type { StoreTransaction } from "./store/store.ts"
import { appendEvent, type Trail } from "./trail/append.ts"

/**
 * Deletes the keys whose waiting period has ended, with their material and aliases. Runs at the beginning of every
 * request, so that no request ever sees such a key.
 */
export function deleteDueKeys(tx: StoreTransaction, now: number, partition: string, trail: Trail): void {
  for (;;) {
    const key = takeDueDeletion(tx, now, partition)
    if (key === undefined) return
    keyRecords(tx).remove(key)
    removeAliasesOf(tx, key)
    appendEvent(tx, serviceEvent("DeleteKey", now, key.scope, key.arn, { keyId: key.arn }), trail)
    startPrimarysPeriod(tx, key, now)
  }
}

/** A primary key waits for its replicas; its own waiting period begins when the last one is gone. */
function startPrimarysPeriod(tx: StoreTransaction, replica: Key, now: number): void {
  const region = replica.regions?.[0]
  if (region === undefined || region === replica.scope.region) return
  const keys = keyRecords(tx)
  const primary = keys.load({ ...replica.scope, region }, replica.keyId)
  if (primary?.state !== "PendingReplicaDeletion" || primary.regions!.length > 1) return
  const { pendingWindowInDays = 30, createdAt, description, tags } = primary
  const deletionAt = now + pendingWindowInDays * DAY_MS
  keys.replaceRegional(primary, { createdAt, description, tags, state: "PendingDeletion", deletionAt })
}
