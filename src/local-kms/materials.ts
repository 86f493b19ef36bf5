import { randomBytes, wipe } from "../crypto/index.ts"
import { keyMaterialId } from "./ciphertext.ts"
import { internalFault } from "./faults.ts"
import type { Scope } from "./identifiers.ts"
import { type KeySpec, keySpecs } from "./key-specs.ts"
import type { Key, KeyMaterial } from "./keys.ts"
import type { Vault } from "./vault.ts"

// KMS-3.3: sealed material opens for its own key only.
const sealPurpose = (accountId: string, keyId: string, materialId: string): string =>
  `material/${accountId}/${keyId}/${materialId}`

/** Which key a material is made for. */
export interface MaterialOwner {
  readonly scope: Pick<Scope, "accountId">
  readonly keyId: string
  readonly keySpec: KeySpec
}

/** New random material of the length that the key's spec has, sealed. */
export function generateMaterial(vault: Vault, owner: MaterialOwner, now: number): KeyMaterial {
  const material = randomBytes(keySpecs[owner.keySpec].materialLength)
  try {
    return { ...sealMaterial(vault, owner, material), createdAt: now, state: "CURRENT" }
  } finally {
    wipe(material)
  }
}

/** @param material stays the caller's, to overwrite */
export function sealMaterial(
  vault: Vault,
  { scope, keyId }: MaterialOwner,
  material: Uint8Array,
): { readonly id: string; readonly sealed: string } {
  const id = keyMaterialId(keyId, material)
  return { id, sealed: vault.seal(sealPurpose(scope.accountId, keyId, id), material) }
}

export const currentMaterial = (key: Key): KeyMaterial | undefined =>
  key.materials.findLast((material) => material.state === "CURRENT")

export const pendingMaterial = (key: Key): KeyMaterial | undefined =>
  key.materials.find((material) => material.state === "PENDING_ROTATION")

/** Whether every material that may have encrypted something is there, in this Region. */
export const isComplete = (key: Key): boolean =>
  key.materials.length > 0 &&
  key.materials.every((material) => material.state === "PENDING_ROTATION" || sealedBytes(key, material) !== undefined)

const sealedBytes = (key: Key, material: KeyMaterial): string | undefined =>
  material.sealed ?? key.imported?.[material.id]?.sealed

/**
 * Lends the bytes of one material to `use` and overwrites them afterwards.
 *
 * @throws KmsFault `KMSInternalException` when the stored material is missing or damaged
 */
export function withMaterial<T>(vault: Vault, key: Key, material: KeyMaterial, use: (bytes: Uint8Array) => T): T {
  const sealed = sealedBytes(key, material)
  const bytes = sealed && vault.open(sealPurpose(key.scope.accountId, key.keyId, material.id), sealed)
  if (!bytes) throw internalFault(`The stored key material of ${key.arn} is damaged.`)
  try {
    return use(bytes)
  } finally {
    wipe(bytes)
  }
}
