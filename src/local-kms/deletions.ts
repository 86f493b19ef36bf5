import { aliasNamesOf, removeAlias } from "./alias-records.ts"
import { serviceEvent } from "./audit.ts"
import { DAY_MS, type Key, keyRecords, takeDue } from "./keys.ts"
import type { StoreTransaction } from "./store/store.ts"
import { appendEvent, type Trail } from "./trail/append.ts"

/**
 * Deletes the keys whose waiting period has ended, with their material and aliases. Runs at the beginning of every
 * request, so that no request ever sees such a key.
 */
export function deleteDueKeys(tx: StoreTransaction, now: number, partition: string, trail: Trail): void {
  for (;;) {
    const due = takeDue(tx, now, partition)
    if (due === undefined) return
    const { key } = due
    keyRecords(tx).remove(key)
    for (const name of aliasNamesOf(tx, key.scope, key.keyId)) removeAlias(tx, key.scope, name)
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
  const { pendingWindowInDays = 30 } = primary
  const deletionAt = now + pendingWindowInDays * DAY_MS
  keys.saveRegional(primary, { state: "PendingDeletion", deletionAt, pendingWindowInDays: undefined })
}
