import { randomBytes, wipe } from "../crypto/index.ts"
import { keyMaterialId } from "./ciphertext.ts"
import { internalFault } from "./faults.ts"
import { keyArn, type Scope } from "./identifiers.ts"
import type { StoreReader, StoreTransaction } from "./store/store.ts"
import type { Vault } from "./vault.ts"

export const DAY_MS = 86_400_000

export type KeyState = "Enabled" | "Disabled" | "PendingImport" | "PendingDeletion" | "PendingReplicaDeletion"
export type KeyOrigin = "AWS_KMS" | "EXTERNAL"
export interface Tag {
  readonly TagKey: string
  readonly TagValue: string
}

/** What belongs to a key in one Region (KMS-3.5). Times are milliseconds since 1970. */
export interface RegionalKey {
  readonly createdAt: number
  readonly description: string
  readonly state: KeyState
  readonly deletionAt?: number
  /** Days between the last replica's deletion and this key's. */
  readonly pendingWindowInDays?: number
  readonly tags: readonly Tag[]
}

/** One key material, sealed. The newest CURRENT one encrypts; each decrypts what it encrypted, for ever. */
export interface KeyMaterial {
  readonly id: string
  readonly sealed: string
  readonly createdAt: number
  readonly state: "CURRENT" | "NON_CURRENT"
}

/** What all Regions' copies of a key have in common (KMS-3.6). */
export interface SharedKey {
  readonly keySpec: "SYMMETRIC_DEFAULT"
  readonly keyUsage: "ENCRYPT_DECRYPT"
  readonly origin: KeyOrigin
  /** The Regions that hold it, the primary first; absent for a single-Region key. */
  readonly regions?: readonly string[]
  readonly materials: readonly KeyMaterial[]
}

export interface Key extends RegionalKey, SharedKey {
  readonly scope: Scope
  readonly keyId: string
  readonly arn: string
}

// KMS-3.4: where the records stand.
const regionalPath = ({ accountId, region }: Scope, keyId: string): string => `key/${accountId}/${region}/${keyId}`
const sharedPath = (accountId: string, keyId: string): string => `shared/${accountId}/${keyId}`
const materialPath = (materialId: string): string => `material/${materialId}`
const duePath = (at: number, { accountId, region }: Scope, keyId: string): string =>
  `due/${String(at).padStart(15, "0")}/${accountId}/${region}/${keyId}`

export const keysPrefix = ({ accountId, region }: Scope): string => `key/${accountId}/${region}/`

/** Where keys are read and written, in one transaction. */
export interface KeyRecords {
  load(scope: Scope, keyId: string): Key | undefined
  /** The account and key id that a ciphertext's material belongs to, in whatever Region. */
  owner(materialId: string): { readonly accountId: string; readonly keyId: string } | undefined
  saveRegional(key: Key, change: Partial<RegionalKey>): Key
  /** Like `saveRegional`, for changes that take fields away. */
  replaceRegional(key: Key, regional: RegionalKey): Key
  saveShared(key: Key, change: Partial<SharedKey>): Key
  insert(scope: Scope, keyId: string, regional: RegionalKey, shared: SharedKey): Key
  remove(key: Key): void
}

export function keyRecords(tx: StoreTransaction): KeyRecords {
  const records: KeyRecords = {
    load: (scope, keyId) => loadKey(tx, scope, keyId),
    owner: (materialId) => tx.get<{ accountId: string; keyId: string }>(materialPath(materialId)),
    saveRegional: (key, change) => records.replaceRegional(key, { ...pickRegional(key), ...change }),
    replaceRegional(key, regional) {
      if (key.deletionAt !== undefined) tx.remove(duePath(key.deletionAt, key.scope, key.keyId))
      if (regional.deletionAt !== undefined) tx.put(duePath(regional.deletionAt, key.scope, key.keyId), {})
      tx.put(regionalPath(key.scope, key.keyId), regional)
      return { scope: key.scope, keyId: key.keyId, arn: key.arn, ...pickShared(key), ...regional }
    },
    saveShared(key, change) {
      const after = { ...pickShared(key), ...change }
      tx.put(sharedPath(key.scope.accountId, key.keyId), after)
      const { accountId } = key.scope
      for (const { id } of after.materials) tx.put(materialPath(id), { accountId, keyId: key.keyId })
      return { ...key, ...after }
    },
    insert(scope, keyId, regional, shared) {
      const key = { ...shared, ...regional, scope, keyId, arn: keyArn(scope, keyId) }
      return records.saveShared(records.saveRegional(key, {}), {})
    },
    remove(key) {
      if (key.deletionAt !== undefined) tx.remove(duePath(key.deletionAt, key.scope, key.keyId))
      tx.remove(regionalPath(key.scope, key.keyId))
      const regions = key.regions?.filter((region) => region !== key.scope.region) ?? []
      if (regions.length > 0) {
        records.saveShared(key, { regions })
        return
      }
      tx.remove(sharedPath(key.scope.accountId, key.keyId))
      for (const { id } of key.materials) tx.remove(materialPath(id))
    },
  }
  return records
}

function loadKey(reader: StoreReader, scope: Scope, keyId: string): Key | undefined {
  const regional = reader.get<RegionalKey>(regionalPath(scope, keyId))
  const shared = reader.get<SharedKey>(sharedPath(scope.accountId, keyId))
  if (regional === undefined || shared === undefined) return undefined
  return { scope, keyId, arn: keyArn(scope, keyId), ...regional, ...shared }
}

function pickRegional(key: Key): RegionalKey {
  const { createdAt, description, state, deletionAt, pendingWindowInDays, tags } = key
  return {
    createdAt,
    description,
    state,
    tags,
    ...(deletionAt === undefined ? {} : { deletionAt }),
    ...(pendingWindowInDays === undefined ? {} : { pendingWindowInDays }),
  }
}

function pickShared(key: Key): SharedKey {
  const { keySpec, keyUsage, origin, regions, materials } = key
  return { keySpec, keyUsage, origin, materials, ...(regions === undefined ? {} : { regions }) }
}

/** The key whose waiting period ended first, taken off the list of those that wait. */
export function takeDueDeletion(tx: StoreTransaction, now: number, partition: string): Key | undefined {
  for (;;) {
    const [first] = tx.range("due/", { limit: 1 })
    if (first === undefined) return undefined
    const [path] = first
    const [, at, accountId, region, keyId] = path.split("/") as [string, string, string, string, string]
    if (Number(at) > now) return undefined
    tx.remove(path)
    const key = loadKey(tx, { partition, region, accountId }, keyId)
    if (key !== undefined) return key
  }
}

const sealPurpose = (accountId: string, keyId: string, materialId: string): string =>
  `material/${accountId}/${keyId}/${materialId}`

/** New random material of 256 bits, sealed. */
export function generateMaterial(vault: Vault, accountId: string, keyId: string, now: number): KeyMaterial {
  const material = randomBytes(32)
  const id = keyMaterialId(keyId, material)
  const sealed = vault.seal(sealPurpose(accountId, keyId, id), material)
  wipe(material)
  return { id, sealed, createdAt: now, state: "CURRENT" }
}

export const currentMaterial = (key: Key): KeyMaterial | undefined =>
  key.materials.findLast((material) => material.state === "CURRENT")

/**
 * Lends the bytes of one material to `use` and overwrites them afterwards.
 *
 * @throws KmsFault `KMSInternalException` when the stored material is damaged
 */
export function withMaterial<T>(vault: Vault, key: Key, material: KeyMaterial, use: (bytes: Uint8Array) => T): T {
  const bytes = vault.open(sealPurpose(key.scope.accountId, key.keyId, material.id), material.sealed)
  if (bytes === undefined) throw internalFault(`The stored key material of ${key.arn} is damaged.`)
  try {
    return use(bytes)
  } finally {
    wipe(bytes)
  }
}
