import { keyArn, type Scope } from "../identifiers.ts"
import { type KeySpec, keySpecs } from "../key-specs.ts"
import type { ImportedMaterial, Key } from "../keys.ts"
import { currentMaterial } from "../materials.ts"
import type { Output } from "./operation.ts"

/** `KeyMetadata` as DescribeKey and CreateKey return it. */
export function keyMetadata(key: Key): Output {
  const material = currentMaterial(key)
  return {
    AWSAccountId: key.scope.accountId,
    KeyId: key.keyId,
    Arn: key.arn,
    CreationDate: new Date(key.createdAt),
    Enabled: key.state === "Enabled",
    Description: key.description,
    KeyUsage: key.keyUsage,
    KeyState: key.state,
    ...(key.deletionAt === undefined ? {} : { DeletionDate: new Date(key.deletionAt) }),
    ...(key.state === "PendingReplicaDeletion" ? { PendingDeletionWindowInDays: key.pendingWindowInDays } : {}),
    Origin: key.origin,
    ...expiration(key),
    KeyManager: key.managedFor === undefined ? "CUSTOMER" : "AWS",
    CustomerMasterKeySpec: key.keySpec,
    KeySpec: key.keySpec,
    ...algorithms(key.keySpec),
    MultiRegion: key.regions !== undefined,
    ...(key.regions === undefined ? {} : { MultiRegionConfiguration: multiRegionConfiguration(key, key.regions) }),
    // Keys whose material never changes have nothing to tell apart.
    ...(material === undefined || key.keySpec !== "SYMMETRIC_DEFAULT" ? {} : { CurrentKeyMaterialId: material.id }),
  }
}

const algorithms = (keySpec: KeySpec): Output => {
  const spec = keySpecs[keySpec]
  return "macAlgorithm" in spec
    ? { MacAlgorithms: [spec.macAlgorithm] }
    : { EncryptionAlgorithms: ["SYMMETRIC_DEFAULT"] }
}

/** Of imported material, while it is there. */
function expiration(key: Key): Output {
  const imported = key.imported?.[currentMaterial(key)?.id ?? ""]
  return imported === undefined ? {} : expirationOf(imported)
}

export const expirationOf = ({ validTo }: ImportedMaterial): Output =>
  validTo === undefined
    ? { ExpirationModel: "KEY_MATERIAL_DOES_NOT_EXPIRE" }
    : { ExpirationModel: "KEY_MATERIAL_EXPIRES", ValidTo: new Date(validTo) }

function multiRegionConfiguration(key: Key, regions: readonly string[]): Output {
  const [primary, ...replicas] = regions.map((region) => regionalCopy(key.scope, region, key.keyId))
  return {
    MultiRegionKeyType: isPrimary(key) ? "PRIMARY" : "REPLICA",
    PrimaryKey: primary,
    ReplicaKeys: replicas,
  }
}

const regionalCopy = (scope: Scope, region: string, keyId: string): Output => ({
  Arn: keyArn({ ...scope, region }, keyId),
  Region: region,
})

export const isPrimary = (key: Key): boolean => key.regions?.[0] === key.scope.region
