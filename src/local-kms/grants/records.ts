import type { EncryptionContext } from "../../core/index.ts"
import type { Scope } from "../identifiers.ts"
import type { Key } from "../keys.ts"
import type { RangeOptions, StoreReader, StoreTransaction } from "../store/store.ts"
import { bucketOf, contextConstraint } from "./constraints.ts"
import { isConstrained } from "./operations.ts"

export interface GrantConstraints {
  readonly EncryptionContextEquals?: EncryptionContext | undefined
  readonly EncryptionContextSubset?: EncryptionContext | undefined
  /** The resource on whose behalf a service must ask. */
  readonly SourceArn?: string | undefined
}

/** Times are milliseconds since 1970. A principal is an ARN, a service principal a host name such as `ec2.amazonaws.com`. */
export interface Grant {
  /** 64 hex digits, unique in the store. */
  readonly grantId: string
  readonly name?: string | undefined
  readonly createdAt: number
  /** Until then only with a token (GRT-3.2); absent without a propagation delay. */
  readonly effectiveAt?: number | undefined
  readonly granteePrincipal?: string | undefined
  /** `AIDA…` or `AROA…` of a grantee that was registered when the grant was made (GRT-4.6). */
  readonly granteeId?: string | undefined
  readonly granteeServicePrincipal?: string | undefined
  readonly retiringPrincipal?: string | undefined
  readonly retiringId?: string | undefined
  readonly retiringServicePrincipal?: string | undefined
  /** Of whoever created it. */
  readonly issuingAccountId: string
  /** For instance `Decrypt`, each once. */
  readonly operations: readonly string[]
  readonly constraints?: GrantConstraints | undefined
}

/** Where a grant stands. */
export interface GrantPlace {
  readonly accountId: string
  readonly region: string
  readonly keyId: string
}

type Owner = Pick<Key, "scope" | "keyId">

// GRT-1.3: the records; GRT-1.4: by Region. No ARN, name or host has a `|`, so that none is the beginning of another.
const ofKey = ({ scope: { accountId, region }, keyId }: Owner): string => `${accountId}/${region}/${keyId}/`
const grantsPrefix = (key: Owner): string => `grant/${ofKey(key)}`
const granteePrefix = (key: Owner, grantee: string): string => `grantee/${ofKey(key)}${grantee}|`
const usePrefix = (key: Owner, grantee: string, operation: string, bucket: string): string =>
  `grant-use/${ofKey(key)}${grantee}|${operation}|${bucket}|`
const namedPrefix = (key: Owner, name: string): string => `grant-named/${ofKey(key)}${name}|`
const countPath = (key: Owner): string => `grant-count/${ofKey(key)}`
/** @param retiring an ARN, or a service's name */
export const retirablePrefix = (region: string, retiring: string): string => `grant-retirable/${region}/${retiring}|`

export const granteeOf = ({ granteePrincipal, granteeServicePrincipal }: Grant): string | undefined =>
  granteePrincipal ?? granteeServicePrincipal

export const getGrant = (reader: StoreReader, key: Owner, grantId: string): Grant | undefined =>
  reader.get<Grant>(grantsPrefix(key) + grantId)

export const countGrants = (reader: StoreReader, key: Owner): number =>
  reader.get<{ readonly grants: number }>(countPath(key))?.grants ?? 0

export function putGrant(tx: StoreTransaction, key: Owner, grant: Grant): void {
  const place: GrantPlace = { accountId: key.scope.accountId, region: key.scope.region, keyId: key.keyId }
  tx.put(grantsPrefix(key) + grant.grantId, grant)
  for (const path of indexPaths(key, grant)) tx.put(path, place)
  tx.put(countPath(key), { grants: countGrants(tx, key) + 1 })
}

export function removeGrant(tx: StoreTransaction, key: Owner, grant: Grant): void {
  for (const path of [grantsPrefix(key) + grant.grantId, ...indexPaths(key, grant)]) tx.remove(path)
  tx.put(countPath(key), { grants: countGrants(tx, key) - 1 })
}

/** GRT-5.5: what goes with its key. */
export function removeGrantsOf(tx: StoreTransaction, key: Owner): void {
  for (const grant of [...allGrants(tx, key)]) removeGrant(tx, key, grant)
  tx.remove(countPath(key))
}

function indexPaths(key: Owner, grant: Grant): string[] {
  const { grantId, name } = grant
  const grantee = granteeOf(grant)
  const retiring = grant.retiringPrincipal ?? grant.retiringServicePrincipal
  const bucket = bucketOf(contextConstraint(grant.constraints ?? {}))
  const bucketFor = (operation: string): string => (isConstrained(operation) ? bucket : bucketOf(undefined))
  return [
    ...(grantee === undefined
      ? []
      : [
          granteePrefix(key, grantee) + grantId,
          ...grant.operations.map((name) => usePrefix(key, grantee, name, bucketFor(name)) + grantId),
        ]),
    ...(name === undefined ? [] : [namedPrefix(key, name) + grantId]),
    ...(retiring === undefined ? [] : [retirablePrefix(key.scope.region, retiring) + ofKey(key) + grantId]),
  ]
}

/** By their ids. */
export function* allGrants(reader: StoreReader, key: Owner, afterId?: string): Generator<Grant> {
  for (const [, grant] of reader.range<Grant>(grantsPrefix(key), following(grantsPrefix(key), afterId))) yield grant
}

export const grantsTo = (reader: StoreReader, key: Owner, grantee: string, afterId?: string): Generator<Grant> =>
  indexed(reader, key, granteePrefix(key, grantee), afterId)

/** GRT-5.6: those to somebody that have an operation, and whose constraint may fit. */
export const grantsFitting = (
  reader: StoreReader,
  key: Owner,
  grantee: string,
  operation: string,
  bucket: string,
): Generator<Grant> => indexed(reader, key, usePrefix(key, grantee, operation, bucket))

export const grantsNamed = (reader: StoreReader, key: Owner, name: string): Generator<Grant> =>
  indexed(reader, key, namedPrefix(key, name))

function* indexed(reader: StoreReader, key: Owner, prefix: string, afterId?: string): Generator<Grant> {
  for (const [path] of reader.range(prefix, following(prefix, afterId)))
    yield getGrant(reader, key, path.slice(prefix.length))!
}

const following = (prefix: string, afterId: string | undefined): RangeOptions =>
  afterId === undefined ? {} : { after: prefix + afterId }

/** The account and key of another grant in the same partition. */
export const ownerAt = ({ accountId, region, keyId }: GrantPlace, { partition }: Scope): Owner => ({
  scope: { partition, region, accountId },
  keyId,
})
