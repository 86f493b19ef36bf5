import { putAlias } from "./alias-records.ts"
import { serviceEvent } from "./audit.ts"
import type { Call } from "./call.ts"
import { unsupported } from "./faults.ts"
import { newKeyId, type Scope } from "./identifiers.ts"
import { DAY_MS, type Key } from "./keys.ts"
import { generateMaterial } from "./materials.ts"
import type { Principal } from "./principal.ts"
import { type AwsService, managedAlias, viaService } from "./services.ts"

const ROTATION_DAYS = 365

const descriptions: Readonly<Record<string, string>> = {
  s3: "Default key that protects my S3 objects when no other key is defined",
  ebs: "Default key that protects my EBS volumes when no other key is defined",
}

const USES = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:CreateGrant"]
const READS = ["kms:Describe*", "kms:Get*", "kms:List*", "kms:RevokeGrant"]

/** The policy of an AWS managed key: its account may use it through its service, and look at it. Nobody can change it. */
const managedKeyPolicy = (service: AwsService, { region, accountId, partition }: Scope): string =>
  JSON.stringify(
    {
      Version: "2012-10-17",
      Id: `auto-${service.name}-1`,
      Statement: [
        {
          Sid: `Use through ${service.name} by all principals of the account that may use ${service.name}`,
          Effect: "Allow",
          Principal: { AWS: "*" },
          Action: [...USES, "kms:DescribeKey"],
          Resource: "*",
          Condition: {
            StringEquals: { "kms:CallerAccount": accountId, "kms:ViaService": viaService(service, region) },
          },
        },
        {
          Sid: "Metadata for the account",
          Effect: "Allow",
          Principal: { AWS: `arn:${partition}:iam::${accountId}:root` },
          Action: READS,
          Resource: "*",
        },
      ],
    },
    null,
    2,
  )

/** What makes a managed key when there is none yet. A read never does. */
const WRITES: ReadonlySet<string> = new Set([
  "kms:Encrypt",
  "kms:GenerateDataKey",
  "kms:GenerateDataKeyWithoutPlaintext",
  "kms:ReEncryptTo",
  "kms:CreateGrant",
])

export const makesManagedKey = (service: AwsService | undefined, aliasName: string, action: string): boolean =>
  service !== undefined && aliasName === managedAlias(service) && WRITES.has(action)

/** KMS-4.1: makes the one key that a service has in the caller's account and Region. */
export function makeManagedKey(call: Call, service: AwsService): Key {
  const { scope, now, vault } = call
  const keyId = newKeyId(false)
  const key = call.keys.insert(
    scope,
    keyId,
    {
      createdAt: now,
      description: descriptions[service.name] ?? `Default key of ${service.name}`,
      state: "Enabled",
      tags: [],
      policy: managedKeyPolicy(service, scope),
    },
    {
      keySpec: "SYMMETRIC_DEFAULT",
      keyUsage: "ENCRYPT_DECRYPT",
      origin: "AWS_KMS",
      managedFor: service.name,
      rotation: { periodInDays: ROTATION_DAYS, nextAt: now + ROTATION_DAYS * DAY_MS },
      materials: [generateMaterial(vault, { scope, keyId, keySpec: "SYMMETRIC_DEFAULT" }, now)],
    },
  )
  putAlias(call.tx, scope, managedAlias(service), { targetKeyId: keyId, createdAt: now, updatedAt: now })
  call.notes.before.push(serviceEvent("CreateKey", now, scope, key.arn, { keyId: key.arn }))
  return key
}

const rotations: ReadonlySet<string> = new Set([
  "kms:EnableKeyRotation",
  "kms:DisableKeyRotation",
  "kms:RotateKeyOnDemand",
])

/**
 * KMS-4.2: what an AWS managed key's account may do is in its policy; of the rotation it is told why not.
 *
 * @throws KmsFault `UnsupportedOperationException`
 */
export function refuseManagedRotation(key: Key, action: string, principal: Principal): void {
  if (key.managedFor !== undefined && principal.accountId === key.scope.accountId && rotations.has(action))
    throw unsupported(`${key.arn} is an AWS managed key: it is rotated every year, and that cannot be changed.`)
}
