import { type KeyFacts, parameterConditions } from "../../../../src/local-kms/policy/index.ts"
import {
  ACCOUNT,
  ALICE,
  allowAll,
  type Case,
  delegation,
  IAM,
  KMS,
  OTHER,
  REGION,
  role,
  root,
  service,
  user,
} from "../world.ts"

const page = `${KMS}/conditions-kms.html`
const awsPage = `${IAM}/reference_policies_condition-keys.html`

const key: KeyFacts = {
  origin: "AWS_KMS",
  keySpec: "SYMMETRIC_DEFAULT",
  keyUsage: "ENCRYPT_DECRYPT",
  multiRegion: true,
  multiRegionKeyType: "PRIMARY",
  tags: { Project: "Alpha" },
  aliases: ["alias/app", "alias/old"],
}

interface Row {
  readonly name: string
  readonly page?: string
  readonly condition: object
  readonly request?: Case["request"]
  readonly holds: boolean
}

const rows: readonly Row[] = [
  { name: "kms:CallerAccount", condition: { StringEquals: { "kms:CallerAccount": ACCOUNT } }, holds: true },
  {
    name: "kms:CallerAccount of somebody else",
    condition: { StringEquals: { "kms:CallerAccount": OTHER } },
    holds: false,
  },
  { name: "kms:KeyOrigin", condition: { StringEquals: { "kms:KeyOrigin": "AWS_KMS" } }, holds: true },
  { name: "kms:KeySpec", condition: { StringEquals: { "kms:KeySpec": "SYMMETRIC_DEFAULT" } }, holds: true },
  {
    name: "kms:CustomerMasterKeySpec, the older name",
    condition: { StringEquals: { "kms:CustomerMasterKeySpec": "SYMMETRIC_DEFAULT" } },
    holds: true,
  },
  { name: "kms:KeyUsage", condition: { StringEquals: { "kms:KeyUsage": "SIGN_VERIFY" } }, holds: false },
  { name: "kms:MultiRegion", condition: { Bool: { "kms:MultiRegion": true } }, holds: true },
  { name: "kms:MultiRegionKeyType", condition: { StringEquals: { "kms:MultiRegionKeyType": "PRIMARY" } }, holds: true },
  {
    name: "kms:ResourceAliases in a key policy",
    condition: { "ForAnyValue:StringEquals": { "kms:ResourceAliases": "alias/app" } },
    holds: false,
  },
  {
    name: "aws:ResourceTag",
    page: awsPage,
    condition: { StringEquals: { "aws:ResourceTag/Project": "Alpha" } },
    holds: true,
  },
  {
    name: "aws:ResourceTag with another case of the key",
    page: awsPage,
    condition: { StringEquals: { "aws:ResourceTag/project": "Alpha" } },
    holds: true,
  },
  {
    name: "aws:ResourceTag with another value",
    page: awsPage,
    condition: { StringEquals: { "aws:ResourceTag/Project": "alpha" } },
    holds: false,
  },
  {
    name: "kms:EncryptionContext pair",
    condition: { StringEquals: { "kms:EncryptionContext:tenant": "42" } },
    request: { encryptionContext: { tenant: "42" } },
    holds: true,
  },
  {
    name: "kms:EncryptionContext with another value",
    condition: { StringEquals: { "kms:EncryptionContext:tenant": "42" } },
    request: { encryptionContext: { tenant: "43" } },
    holds: false,
  },
  {
    name: "kms:EncryptionContext with a key in another case",
    condition: { StringEquals: { "kms:EncryptionContext:Tenant": "42" } },
    request: { encryptionContext: { tENANT: "42" } },
    holds: true,
  },
  {
    name: "kms:EncryptionContext with a value in another case",
    condition: { StringEquals: { "kms:EncryptionContext:tenant": "Blue" } },
    request: { encryptionContext: { tenant: "blue" } },
    holds: false,
  },
  {
    name: "kms:EncryptionContext with a pattern",
    condition: { StringLike: { "kms:EncryptionContext:aws:s3:arn": "arn:aws:s3:::bucket/*" } },
    request: { encryptionContext: { "aws:s3:arn": "arn:aws:s3:::bucket/a" } },
    holds: true,
  },
  {
    name: "kms:EncryptionContext that is missing",
    condition: { StringEquals: { "kms:EncryptionContext:tenant": "42" } },
    request: {},
    holds: false,
  },
  {
    name: "kms:EncryptionContext that must not be there",
    condition: { Null: { "kms:EncryptionContext:tenant": true } },
    request: { encryptionContext: { app: "a" } },
    holds: true,
  },
  {
    name: "kms:EncryptionContext named like a property of objects",
    condition: { StringEquals: { "kms:EncryptionContext:__proto__": "x" } },
    request: { encryptionContext: JSON.parse('{"__proto__":"x"}') as Record<string, string> },
    holds: true,
  },
  {
    name: "kms:EncryptionAlgorithm by default",
    condition: { StringEquals: { "kms:EncryptionAlgorithm": "SYMMETRIC_DEFAULT" } },
    request: { conditions: parameterConditions("kms:Encrypt", {}) },
    holds: true,
  },
  {
    name: "kms:ViaService",
    condition: { StringEquals: { "kms:ViaService": `s3.${REGION}.amazonaws.com` } },
    request: { conditions: { "kms:ViaService": `s3.${REGION}.amazonaws.com` } },
    holds: true,
  },
  {
    name: "kms:ViaService of another service",
    condition: { StringEquals: { "kms:ViaService": [`ec2.${REGION}.amazonaws.com`] } },
    request: { conditions: { "kms:ViaService": `s3.${REGION}.amazonaws.com` } },
    holds: false,
  },
  {
    name: "kms:ViaService without a service",
    condition: { StringEquals: { "kms:ViaService": `s3.${REGION}.amazonaws.com` } },
    holds: false,
  },
  {
    name: "kms:RequestAlias",
    condition: { StringEquals: { "kms:RequestAlias": "alias/app" } },
    request: { conditions: { "kms:RequestAlias": "alias/app" } },
    holds: true,
  },
  {
    name: "kms:RequestAlias when the key was named by id",
    condition: { StringLike: { "kms:RequestAlias": "alias/*" } },
    holds: false,
  },
  {
    name: "kms:RotationPeriodInDays by default",
    condition: { NumericEquals: { "kms:RotationPeriodInDays": "365" } },
    request: { action: "kms:EnableKeyRotation", conditions: parameterConditions("kms:EnableKeyRotation", {}) },
    holds: true,
  },
  {
    name: "kms:RotationPeriodInDays above a limit",
    condition: { NumericLessThanEquals: { "kms:RotationPeriodInDays": "180" } },
    request: {
      action: "kms:EnableKeyRotation",
      conditions: parameterConditions("kms:EnableKeyRotation", { rotationPeriodInDays: 200 }),
    },
    holds: false,
  },
  {
    name: "kms:ScheduleKeyDeletionPendingWindowInDays",
    condition: { NumericGreaterThanEquals: { "kms:ScheduleKeyDeletionPendingWindowInDays": 21 } },
    request: {
      action: "kms:ScheduleKeyDeletion",
      conditions: parameterConditions("kms:ScheduleKeyDeletion", { pendingWindowInDays: 7 }),
    },
    holds: false,
  },
  {
    name: "kms:BypassPolicyLockoutSafetyCheck when it is not asked for",
    condition: { Null: { "kms:BypassPolicyLockoutSafetyCheck": true } },
    request: { action: "kms:PutKeyPolicy", conditions: parameterConditions("kms:PutKeyPolicy", {}) },
    holds: true,
  },
  {
    name: "kms:BypassPolicyLockoutSafetyCheck when it is asked for",
    condition: { Bool: { "kms:BypassPolicyLockoutSafetyCheck": true } },
    request: {
      action: "kms:PutKeyPolicy",
      conditions: parameterConditions("kms:PutKeyPolicy", { bypassPolicyLockoutSafetyCheck: true }),
    },
    holds: true,
  },
  {
    name: "kms:GrantOperations, all allowed",
    condition: { "ForAllValues:StringEquals": { "kms:GrantOperations": ["Encrypt", "Decrypt"] } },
    request: {
      action: "kms:CreateGrant",
      conditions: parameterConditions("kms:CreateGrant", { operations: ["Decrypt"] }),
    },
    holds: true,
  },
  {
    name: "kms:GrantOperations, one too many",
    condition: { "ForAllValues:StringEquals": { "kms:GrantOperations": ["Encrypt", "Decrypt"] } },
    request: {
      action: "kms:CreateGrant",
      conditions: parameterConditions("kms:CreateGrant", { operations: ["Decrypt", "CreateGrant"] }),
    },
    holds: false,
  },
  {
    name: "kms:GranteePrincipal",
    condition: { StringEquals: { "kms:GranteePrincipal": ALICE } },
    request: {
      action: "kms:CreateGrant",
      conditions: parameterConditions("kms:CreateGrant", { granteePrincipal: ALICE }),
    },
    holds: true,
  },
  {
    name: "kms:GrantConstraintType",
    condition: { StringEquals: { "kms:GrantConstraintType": "EncryptionContextSubset" } },
    request: {
      action: "kms:CreateGrant",
      conditions: parameterConditions("kms:CreateGrant", { constraints: { encryptionContextSubset: { a: "b" } } }),
    },
    holds: true,
  },
  {
    name: "kms:GrantConstraintType without a constraint",
    condition: { StringEquals: { "kms:GrantConstraintType": "EncryptionContextSubset" } },
    request: { action: "kms:CreateGrant", conditions: parameterConditions("kms:CreateGrant", {}) },
    holds: false,
  },
  {
    name: "kms:GrantIsForAWSResource",
    condition: { Bool: { "kms:GrantIsForAWSResource": true } },
    request: { action: "kms:CreateGrant", conditions: { "kms:GrantIsForAWSResource": "true" } },
    holds: true,
  },
  {
    name: "kms:GrantIsForAWSResource when a user calls",
    condition: { Bool: { "kms:GrantIsForAWSResource": true } },
    request: { action: "kms:CreateGrant", conditions: { "kms:GrantIsForAWSResource": "false" } },
    holds: false,
  },
  {
    name: "kms:ExpirationModel by default",
    condition: { StringEquals: { "kms:ExpirationModel": "KEY_MATERIAL_EXPIRES" } },
    request: { action: "kms:ImportKeyMaterial", conditions: parameterConditions("kms:ImportKeyMaterial", {}) },
    holds: true,
  },
  {
    name: "kms:ValidTo",
    condition: { NumericLessThan: { "kms:ValidTo": 1800000000 } },
    request: {
      action: "kms:ImportKeyMaterial",
      conditions: parameterConditions("kms:ImportKeyMaterial", { validTo: new Date("2026-06-01T00:00:00Z") }),
    },
    holds: true,
  },
  {
    name: "kms:WrappingAlgorithm",
    condition: { StringEquals: { "kms:WrappingAlgorithm": "RSAES_OAEP_SHA_256" } },
    request: {
      action: "kms:GetParametersForImport",
      conditions: parameterConditions("kms:GetParametersForImport", { wrappingAlgorithm: "RSAES_OAEP_SHA_256" }),
    },
    holds: true,
  },
  {
    name: "kms:ReplicaRegion",
    condition: { StringEquals: { "kms:ReplicaRegion": ["eu-west-1"] } },
    request: {
      action: "kms:ReplicateKey",
      conditions: parameterConditions("kms:ReplicateKey", { replicaRegion: "us-east-1" }),
    },
    holds: false,
  },
  {
    name: "kms:MacAlgorithm",
    condition: { StringEquals: { "kms:MacAlgorithm": "HMAC_SHA_256" } },
    request: {
      action: "kms:GenerateMac",
      conditions: parameterConditions("kms:GenerateMac", { macAlgorithm: "HMAC_SHA_256" }),
    },
    holds: true,
  },
  {
    name: "kms:ReEncryptOnSameKey",
    condition: { Bool: { "kms:ReEncryptOnSameKey": true } },
    request: { action: "kms:ReEncryptTo", conditions: { "kms:ReEncryptOnSameKey": "true" } },
    holds: true,
  },
  {
    name: "aws:TagKeys",
    page: awsPage,
    condition: { "ForAllValues:StringEquals": { "aws:TagKeys": ["Project"] } },
    request: {
      action: "kms:TagResource",
      conditions: parameterConditions("kms:TagResource", { tags: [{ tagKey: "Project", tagValue: "A" }] }),
    },
    holds: true,
  },
  {
    name: "aws:TagKeys, one too many",
    page: awsPage,
    condition: { "ForAllValues:StringEquals": { "aws:TagKeys": ["Project"] } },
    request: {
      action: "kms:UntagResource",
      conditions: parameterConditions("kms:UntagResource", { tagKeys: ["Project", "Owner"] }),
    },
    holds: false,
  },
  {
    name: "aws:RequestTag",
    page: awsPage,
    condition: { StringEquals: { "aws:RequestTag/Project": "A" } },
    request: {
      action: "kms:TagResource",
      conditions: parameterConditions("kms:TagResource", { tags: [{ tagKey: "Project", tagValue: "A" }] }),
    },
    holds: true,
  },
  {
    name: "aws:PrincipalArn of a user",
    page: awsPage,
    condition: { ArnEquals: { "aws:PrincipalArn": ALICE } },
    holds: true,
  },
  {
    name: "aws:PrincipalArn of a session is its role's",
    page: awsPage,
    condition: { ArnLike: { "aws:PrincipalArn": `arn:aws:iam::${ACCOUNT}:role/App` } },
    request: { caller: role("App") },
    holds: true,
  },
  {
    name: "aws:PrincipalArn is never a session's",
    page: awsPage,
    condition: { ArnLike: { "aws:PrincipalArn": `arn:aws:sts::${ACCOUNT}:assumed-role/*` } },
    request: { caller: role("App") },
    holds: false,
  },
  {
    name: "aws:PrincipalAccount",
    page: awsPage,
    condition: { StringEquals: { "aws:PrincipalAccount": ACCOUNT } },
    holds: true,
  },
  {
    name: "aws:PrincipalType of the root",
    page: awsPage,
    condition: { StringEquals: { "aws:PrincipalType": "Account" } },
    request: { caller: root() },
    holds: true,
  },
  {
    name: "aws:PrincipalType of a user",
    page: awsPage,
    condition: { StringEquals: { "aws:PrincipalType": "User" } },
    holds: true,
  },
  {
    name: "aws:PrincipalTag",
    page: awsPage,
    condition: { StringEquals: { "aws:PrincipalTag/team": "blue" } },
    request: { caller: user("Alice", ACCOUNT, { tags: { team: "blue" } }) },
    holds: true,
  },
  {
    name: "aws:PrincipalIsAWSService",
    page: awsPage,
    condition: { Bool: { "aws:PrincipalIsAWSService": true } },
    request: { caller: service("s3.amazonaws.com") },
    holds: true,
  },
  {
    name: "aws:SourceIp",
    page: awsPage,
    condition: { IpAddress: { "aws:SourceIp": "192.0.2.0/24" } },
    request: { conditions: { "aws:SourceIp": "192.0.2.7" } },
    holds: true,
  },
  {
    name: "aws:SecureTransport",
    page: awsPage,
    condition: { Bool: { "aws:SecureTransport": "false" } },
    request: { conditions: { "aws:SecureTransport": "true" } },
    holds: false,
  },
  {
    name: "aws:EpochTime",
    page: awsPage,
    condition: { NumericGreaterThan: { "aws:EpochTime": 1772000000 } },
    holds: true,
  },
  {
    name: "aws:RequestedRegion",
    page: awsPage,
    condition: { StringEquals: { "aws:RequestedRegion": REGION } },
    holds: true,
  },
  {
    name: "aws:ResourceAccount",
    page: awsPage,
    condition: { StringEquals: { "aws:ResourceAccount": ACCOUNT } },
    holds: true,
  },
  {
    name: "two context pairs whose names differ in case only count as two values",
    condition: { StringNotEquals: { "kms:EncryptionContext:tenant": "42" } },
    request: { encryptionContext: { tenant: "43", Tenant: "42" } },
    holds: false,
  },
  {
    name: "two context pairs whose names differ in case only count as two values, whichever comes last",
    condition: { StringNotEquals: { "kms:EncryptionContext:tenant": "42" } },
    request: { encryptionContext: { Tenant: "42", tenant: "43" } },
    holds: false,
  },
]

export const conditionKeyCases: readonly Case[] = [
  ...rows.map(
    ({ name, page: where = page, condition, request = {}, holds }): Case => ({
      page: where,
      name: `condition keys: ${name}`,
      key: [{ Effect: "Allow", Principal: "*", Action: "kms:*", Resource: "*", Condition: condition }],
      request: { key, ...request },
      verdict: holds ? "keyPolicy" : "no keyPolicy",
    }),
  ),
  {
    page,
    name: "kms:ResourceAliases in an identity policy",
    key: [delegation],
    identity: [{ ...allowAll, Condition: { "ForAnyValue:StringEquals": { "kms:ResourceAliases": "alias/app" } } }],
    request: { key },
    verdict: "accountDelegation",
  },
  {
    page,
    name: "kms:ResourceAliases of a key without that alias",
    key: [delegation],
    identity: [{ ...allowAll, Condition: { "ForAnyValue:StringEquals": { "kms:ResourceAliases": "alias/none" } } }],
    request: { key },
    verdict: "no identityPolicy",
  },
  {
    page,
    name: "kms:KeySpec of a key that is to be made",
    identity: [{ ...allowAll, Condition: { StringEquals: { "kms:KeySpec": "SYMMETRIC_DEFAULT" } } }],
    request: { action: "kms:CreateKey", resource: "*", conditions: parameterConditions("kms:CreateKey", {}) },
    verdict: "identityPolicy",
  },
  {
    page,
    name: "kms:MultiRegion of a key that is to be made",
    identity: [{ ...allowAll, Condition: { Bool: { "kms:MultiRegion": false } } }],
    request: {
      action: "kms:CreateKey",
      resource: "*",
      conditions: parameterConditions("kms:CreateKey", { multiRegion: true }),
    },
    verdict: "no identityPolicy",
  },
]
