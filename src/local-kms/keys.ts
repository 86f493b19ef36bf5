import { keyArn, type Scope } from "./identifiers.ts"
import type { KeySpec, KeyUsage } from "./key-specs.ts"
import type { StoreReader, StoreTransaction } from "./store/store.ts"

export const DAY_MS = 86_400_000

export type KeyState = "Enabled" | "Disabled" | "PendingImport" | "PendingDeletion" | "PendingReplicaDeletion"
export type KeyOrigin = "AWS_KMS" | "EXTERNAL"
export interface Tag {
  readonly TagKey: string
  readonly TagValue: string
}

/** Imported bytes of one material, sealed. */
export interface ImportedMaterial {
  readonly sealed: string
  /** Absent when it does not expire. */
  readonly validTo?: number
}

/** What belongs to a key in one Region (KMS-3.5). Times are milliseconds since 1970. */
export interface RegionalKey {
  readonly createdAt: number
  readonly description: string
  readonly state: KeyState
  readonly deletionAt?: number | undefined
  /** Days between the last replica's deletion and this key's. */
  readonly pendingWindowInDays?: number | undefined
  readonly tags: readonly Tag[]
  /** The key policy as it was given; absent for the default one. */
  readonly policy?: string | undefined
  /** Of a key of origin EXTERNAL: by material id, what this Region holds. Each Region imports for itself. */
  readonly imported?: Readonly<Record<string, ImportedMaterial>> | undefined
}

/** One key material. The CURRENT one encrypts; each decrypts what it encrypted, for ever. */
export interface KeyMaterial {
  readonly id: string
  /** Absent for imported material, whose bytes are in `RegionalKey.imported`. */
  readonly sealed?: string
  readonly createdAt: number
  readonly state: "CURRENT" | "NON_CURRENT" | "PENDING_ROTATION"
  /** Absent on the first material and on one that waits for its rotation. */
  readonly rotation?: { readonly type: "AUTOMATIC" | "ON_DEMAND"; readonly at: number }
  /** What ImportKeyMaterial was told. */
  readonly description?: string
}

/** What all Regions' copies of a key have in common (KMS-3.6). */
export interface SharedKey {
  readonly keySpec: KeySpec
  readonly keyUsage: KeyUsage
  readonly origin: KeyOrigin
  /** The AWS service whose key it is, for instance `s3`; absent for a customer's own. */
  readonly managedFor?: string | undefined
  /** The Regions that hold it, the primary first; absent for a single-Region key. */
  readonly regions?: readonly string[] | undefined
  /** Automatic rotation, while it is enabled. */
  readonly rotation?: { readonly periodInDays: number; readonly nextAt: number } | undefined
  /** In the order in which they came. */
  readonly materials: readonly KeyMaterial[]
}

export interface Key extends RegionalKey, SharedKey {
  readonly scope: Scope
  readonly keyId: string
  readonly arn: string
}

const REGIONAL = [
  "createdAt",
  "description",
  "state",
  "deletionAt",
  "pendingWindowInDays",
  "tags",
  "policy",
  "imported",
] as const satisfies readonly (keyof RegionalKey)[]
const SHARED = [
  "keySpec",
  "keyUsage",
  "origin",
  "managedFor",
  "regions",
  "rotation",
  "materials",
] as const satisfies readonly (keyof SharedKey)[]

function pick<T extends object, K extends keyof T>(from: T, names: readonly K[]): Pick<T, K> {
  const picked: Partial<T> = {}
  for (const name of names) if (from[name] !== undefined) picked[name] = from[name]
  return picked as Pick<T, K>
}

// KMS-3.4: where the records stand.
const regionalPath = ({ accountId, region }: Scope, keyId: string): string => `key/${accountId}/${region}/${keyId}`
const sharedPath = (accountId: string, keyId: string): string => `shared/${accountId}/${keyId}`
const materialPath = (materialId: string): string => `material/${materialId}`
const countPath = ({ accountId, region }: Scope): string => `count/${accountId}/${region}`
const usedPath = ({ accountId, region }: Scope, keyId: string): string => `used/${accountId}/${region}/${keyId}`

export const keysPrefix = ({ accountId, region }: Scope): string => `key/${accountId}/${region}/`

/** What a key waits for: its deletion, or the expiry of material that was imported. */
export type DueKind = "delete" | "expire"
const duePath = (kind: DueKind, at: number, { accountId, region }: Scope, keyId: string): string =>
  `due/${String(at).padStart(15, "0")}/${kind}/${accountId}/${region}/${keyId}`

/** The last successful use of a key in cryptography (GetKeyLastUsage). */
export interface LastUse {
  readonly operation: string
  readonly at: number
  readonly eventId: string
  readonly requestId: string
}

/** Where keys are read and written, in one transaction. */
export interface KeyRecords {
  load(scope: Scope, keyId: string): Key | undefined
  /** The account and key id that a ciphertext's material belongs to, in whatever Region. */
  owner(materialId: string): { readonly accountId: string; readonly keyId: string } | undefined
  /** Fields that `change` has as `undefined` are taken away. */
  saveRegional(key: Key, change: Partial<RegionalKey>): Key
  saveShared(key: Key, change: Partial<SharedKey>): Key
  insert(scope: Scope, keyId: string, regional: RegionalKey, shared: SharedKey): Key
  remove(key: Key): void
  /** How many keys of the customer an account has in a Region. */
  count(scope: Scope): number
  lastUse(key: Key): LastUse | undefined
  noteUse(scope: Scope, keyId: string, use: LastUse): void
}

export function keyRecords(tx: StoreTransaction): KeyRecords {
  const countKeys = (scope: Scope, change: number): void =>
    tx.put(countPath(scope), { keys: records.count(scope) + change })
  const records: KeyRecords = {
    load: (scope, keyId) => loadKey(tx, scope, keyId),
    owner: (materialId) => tx.get<{ accountId: string; keyId: string }>(materialPath(materialId)),
    saveRegional(key, change) {
      const after: Key = { ...key, ...change }
      const waiting = new Set(duePaths(after))
      for (const path of duePaths(key)) if (!waiting.has(path)) tx.remove(path)
      for (const path of waiting) tx.put(path, {})
      tx.put(regionalPath(key.scope, key.keyId), pick(after, REGIONAL))
      return after
    },
    saveShared(key, change) {
      const after: Key = { ...key, ...change }
      const { accountId } = key.scope
      tx.put(sharedPath(accountId, key.keyId), pick(after, SHARED))
      const kept = new Set(after.materials.map(({ id }) => id))
      for (const { id } of key.materials) if (!kept.has(id)) tx.remove(materialPath(id))
      for (const id of kept) tx.put(materialPath(id), { accountId, keyId: key.keyId })
      return after
    },
    insert(scope, keyId, regional, shared) {
      const key: Key = { ...pick(shared, SHARED), ...pick(regional, REGIONAL), scope, keyId, arn: keyArn(scope, keyId) }
      if (shared.managedFor === undefined) countKeys(scope, 1)
      return records.saveShared(records.saveRegional(key, {}), {})
    },
    remove(key) {
      for (const path of duePaths(key)) tx.remove(path)
      tx.remove(regionalPath(key.scope, key.keyId))
      tx.remove(usedPath(key.scope, key.keyId))
      if (key.managedFor === undefined) countKeys(key.scope, -1)
      const regions = key.regions?.filter((region) => region !== key.scope.region) ?? []
      if (regions.length > 0) {
        records.saveShared(key, { regions })
        return
      }
      tx.remove(sharedPath(key.scope.accountId, key.keyId))
      for (const { id } of key.materials) tx.remove(materialPath(id))
    },
    count: (scope) => tx.get<{ keys: number }>(countPath(scope))?.keys ?? 0,
    lastUse: (key) => tx.get<LastUse>(usedPath(key.scope, key.keyId)),
    noteUse: (scope, keyId, use) => tx.put(usedPath(scope, keyId), use),
  }
  return records
}

export function loadKey(reader: StoreReader, scope: Scope, keyId: string): Key | undefined {
  const regional = reader.get<RegionalKey>(regionalPath(scope, keyId))
  if (regional === undefined) return undefined
  const shared = reader.get<SharedKey>(sharedPath(scope.accountId, keyId))
  return shared && { scope, keyId, arn: keyArn(scope, keyId), ...regional, ...shared }
}

function duePaths(key: Key): string[] {
  const { deletionAt, imported = {} } = key
  const expiries = Object.values(imported).flatMap(({ validTo }) => validTo ?? [])
  return [
    ...(deletionAt === undefined ? [] : [duePath("delete", deletionAt, key.scope, key.keyId)]),
    ...expiries.map((at) => duePath("expire", at, key.scope, key.keyId)),
  ]
}

/** The key whose time has come first, taken off the list of those that wait. */
export function takeDue(
  tx: StoreTransaction,
  now: number,
  partition: string,
): { readonly kind: DueKind; readonly key: Key } | undefined {
  for (;;) {
    const [first] = tx.range("due/", { limit: 1 })
    if (first === undefined) return undefined
    const [path] = first
    const [, at, kind, accountId, region, keyId] = path.split("/") as [string, string, DueKind, string, string, string]
    if (Number(at) > now) return undefined
    tx.remove(path)
    const key = loadKey(tx, { partition, region, accountId }, keyId)
    if (key !== undefined) return { kind, key }
  }
}
