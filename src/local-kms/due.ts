import { aliasNamesOf, removeAlias } from "./alias-records.ts"
import { serviceEvent } from "./audit.ts"
import { removeGrantsOf } from "./grants/records.ts"
import { DAY_MS, type ImportedMaterial, type Key, keyRecords, takeDue } from "./keys.ts"
import { isComplete, pendingMaterial } from "./materials.ts"
import type { StoreTransaction } from "./store/store.ts"
import { appendEvent, type Trail } from "./trail/append.ts"

/**
 * KMS-2.3: deletes the keys whose waiting period has ended and the imported material that has expired. Runs at the
 * beginning of every request, so that no request ever sees either.
 */
export function doWhatIsDue(tx: StoreTransaction, now: number, partition: string, trail: Trail): void {
  for (;;) {
    const due = takeDue(tx, now, partition)
    if (due === undefined) return
    const { kind, key } = due
    if (kind === "delete") deleteKey(tx, key, now, trail)
    else expireMaterials(tx, key, now, trail)
  }
}

function deleteKey(tx: StoreTransaction, key: Key, now: number, trail: Trail): void {
  keyRecords(tx).remove(key)
  for (const name of aliasNamesOf(tx, key.scope, key.keyId)) removeAlias(tx, key.scope, name)
  removeGrantsOf(tx, key)
  appendEvent(tx, serviceEvent("DeleteKey", now, key.scope, key.arn, { keyId: key.arn }), trail)
  startPrimarysPeriod(tx, key, now)
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

function expireMaterials(tx: StoreTransaction, key: Key, now: number, trail: Trail): void {
  for (const [id, { validTo }] of Object.entries(key.imported ?? {})) {
    if (validTo === undefined || validTo > now) continue
    const details = { keyId: key.arn, keyMaterialId: id }
    appendEvent(tx, serviceEvent("DeleteExpiredKeyMaterial", now, key.scope, key.arn, details), trail)
  }
  const isValid = ([, { validTo }]: [string, ImportedMaterial]): boolean => validTo === undefined || validTo > now
  const imported = Object.fromEntries(Object.entries(key.imported ?? {}).filter(isValid))
  dropImported(tx, key, imported)
}

/**
 * Lets go of imported bytes. Without a material that may have encrypted something the key waits for its import again; one
 * that only waited for its rotation is forgotten.
 */
export function dropImported(tx: StoreTransaction, key: Key, imported: NonNullable<Key["imported"]>): Key {
  const keys = keyRecords(tx)
  let after = keys.saveRegional(key, { imported })
  const waits = after.state === "Enabled" || after.state === "Disabled"
  if (waits && !isComplete(after)) after = keys.saveRegional(after, { state: "PendingImport" })
  const pending = pendingMaterial(after)
  if (pending === undefined || isHeldSomewhere(tx, after, pending.id)) return after
  return keys.saveShared(after, { materials: after.materials.filter(({ id }) => id !== pending.id) })
}

const isHeldSomewhere = (tx: StoreTransaction, key: Key, materialId: string): boolean =>
  (key.regions ?? [key.scope.region]).some(
    (region) => keyRecords(tx).load({ ...key.scope, region }, key.keyId)?.imported?.[materialId] !== undefined,
  )
