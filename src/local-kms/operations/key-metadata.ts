import { keyArn, type Scope } from "../identifiers.ts"
import type { Key } from "../keys.ts"
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
    KeyManager: "CUSTOMER",
    CustomerMasterKeySpec: key.keySpec,
    KeySpec: key.keySpec,
    EncryptionAlgorithms: ["SYMMETRIC_DEFAULT"],
    MultiRegion: key.regions !== undefined,
    ...(key.regions === undefined ? {} : { MultiRegionConfiguration: multiRegionConfiguration(key, key.regions) }),
    ...(material === undefined ? {} : { CurrentKeyMaterialId: material.id }),
  }
}

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
