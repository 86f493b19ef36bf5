import type { Scope } from "./identifiers.ts"
import type { StoreReader, StoreTransaction } from "./store/store.ts"

export interface AliasRecord {
  readonly targetKeyId: string
  readonly createdAt: number
  readonly updatedAt: number
}

// KMS-3.4: aliases by their name, and again by the key they stand for.
export const aliasPath = ({ accountId, region }: Scope, aliasName: string): string =>
  `alias/${accountId}/${region}/${aliasName}`
const byKeyPrefix = ({ accountId, region }: Scope, keyId: string): string => `alias-of/${accountId}/${region}/${keyId}/`

export const getAlias = (reader: StoreReader, scope: Scope, aliasName: string): AliasRecord | undefined =>
  reader.get<AliasRecord>(aliasPath(scope, aliasName))

export function putAlias(tx: StoreTransaction, scope: Scope, aliasName: string, record: AliasRecord): void {
  const before = getAlias(tx, scope, aliasName)
  if (before !== undefined) tx.remove(byKeyPrefix(scope, before.targetKeyId) + aliasName)
  tx.put(aliasPath(scope, aliasName), record)
  tx.put(byKeyPrefix(scope, record.targetKeyId) + aliasName, {})
}

export function removeAlias(tx: StoreTransaction, scope: Scope, aliasName: string): void {
  const before = getAlias(tx, scope, aliasName)
  if (before !== undefined) tx.remove(byKeyPrefix(scope, before.targetKeyId) + aliasName)
  tx.remove(aliasPath(scope, aliasName))
}

/** The names of a key, sorted. @param limit at most so many */
export function aliasNamesOf(reader: StoreReader, scope: Scope, keyId: string, limit?: number): string[] {
  const prefix = byKeyPrefix(scope, keyId)
  const entries = reader.range(prefix, limit === undefined ? {} : { limit })
  return [...entries].map(([path]) => path.slice(prefix.length))
}
