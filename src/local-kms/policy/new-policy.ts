import { parsePolicy } from "./parse.ts"
import { describeProblem } from "./problems.ts"

/** A policy as JSON has it. */
export interface PolicyDocument {
  readonly Version: "2012-10-17"
  readonly Id?: string
  readonly Statement: readonly StatementDocument[]
}

export interface StatementDocument {
  readonly Sid: string
  readonly Effect: "Allow" | "Deny"
  readonly Principal?: { readonly AWS: string | readonly string[] }
  readonly Action: string | readonly string[]
  readonly Resource: string | readonly string[]
}

/** Use of key material for data, and looking at the key. */
const USE = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]
const ENCRYPT = ["kms:Encrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:DescribeKey"]
const DECRYPT = ["kms:Decrypt", "kms:DescribeKey"]

/** Every action on a key but its use and CreateGrant, which would hand out its use. */
const MANAGE = [
  "kms:Describe*",
  "kms:Get*",
  "kms:List*",
  "kms:Put*",
  "kms:Update*",
  "kms:Enable*",
  "kms:Disable*",
  "kms:Delete*",
  "kms:CreateAlias",
  "kms:TagResource",
  "kms:UntagResource",
  "kms:RotateKeyOnDemand",
  "kms:ImportKeyMaterial",
  "kms:ReplicateKey",
  "kms:SynchronizeMultiRegionKey",
  "kms:RevokeGrant",
  "kms:ScheduleKeyDeletion",
  "kms:CancelKeyDeletion",
]

export interface KeyOwner {
  /** The key's account, twelve digits. */
  readonly accountId: string
  /** Default `aws`. */
  readonly partition?: string
  /** ARNs of users and roles that manage the key, beside those whose identity policies let them. Default none. */
  readonly administrators?: readonly string[]
}

const root = ({ accountId, partition = "aws" }: Pick<KeyOwner, "accountId" | "partition">): string =>
  `arn:${partition}:iam::${accountId}:root`

const allow = (Sid: string, principals: readonly string[], Action: readonly string[]): StatementDocument => ({
  Sid,
  Effect: "Allow",
  Principal: { AWS: principals.length === 1 ? principals[0]! : principals },
  Action,
  Resource: "*",
})

const optional = (Sid: string, principals: readonly string[], actions: readonly string[]): StatementDocument[] =>
  principals.length === 0 ? [] : [allow(Sid, principals, actions)]

/** Management only: were `kms:*` delegated, identity policies could let anybody of the account use the key as well. */
const management = (owner: KeyOwner): StatementDocument[] => [
  allow("Identity policies may let principals of the account manage the key", [root(owner)], MANAGE),
  ...optional("Administrators manage the key", owner.administrators ?? [], MANAGE),
]

/** @throws TypeError for an ARN or account that no policy may name */
function keyPolicy(Statement: readonly StatementDocument[]): PolicyDocument {
  const document: PolicyDocument = { Version: "2012-10-17", Statement }
  const parsed = parsePolicy(formatPolicy(document), "key")
  if (!parsed.ok) throw new TypeError(parsed.problems.map(describeProblem).join("; "))
  return document
}

/** As the API takes it: JSON, indented by two spaces. */
export const formatPolicy = (document: PolicyDocument): string => JSON.stringify(document, null, 2)

/** Only the named users and roles encrypt and decrypt; the account manages the key (POL-10.1). */
export const usersOnlyPolicy = (owner: KeyOwner, users: readonly string[]): PolicyDocument =>
  keyPolicy([...management(owner), ...optional("Users use the key", users, USE)])

/** Some principals only encrypt, others only decrypt (POL-10.2). */
export const splitUsePolicy = (
  owner: KeyOwner,
  { encrypt, decrypt }: { readonly encrypt: readonly string[]; readonly decrypt: readonly string[] },
): PolicyDocument =>
  keyPolicy([
    ...management(owner),
    ...optional("Encrypt only", encrypt, ENCRYPT),
    ...optional("Decrypt only", decrypt, DECRYPT),
  ])

/**
 * Administrators manage the key and do not use it: those that are named, and, since a group is no principal, the members
 * of groups to which `managementPolicy` is attached (POL-10.3).
 */
export const administratorsPolicy = (
  owner: KeyOwner & { readonly administrators: readonly string[] },
  users: readonly string[] = [],
): PolicyDocument => keyPolicy([...management(owner), ...optional("Users use the key", users, USE)])

/**
 * A whole account encrypts and decrypts, and neither manages the key nor delegates; its identity policies say who of it
 * (POL-10.4). For the key's own account name administrators, as then nobody else can manage the key.
 *
 * @throws TypeError also when that would leave a key that nobody can manage
 */
export function accountUsePolicy(owner: KeyOwner, userAccountId: string): PolicyDocument {
  const { partition = "aws", administrators = [] } = owner
  const use = allow("The account uses the key", [root({ accountId: userAccountId, partition })], USE)
  if (userAccountId !== owner.accountId) return keyPolicy([...management(owner), use])
  if (administrators.length === 0)
    throw new TypeError("a key whose own account may only use it needs administrators: nobody else can manage it")
  return keyPolicy([allow("Administrators manage the key", administrators, MANAGE), use])
}

const identityPolicy = (Sid: string, Action: readonly string[], resources: readonly string[]): PolicyDocument => ({
  Version: "2012-10-17",
  Statement: [{ Sid, Effect: "Allow", Action, Resource: resources }],
})

/** An identity policy, for instance of a group, to manage keys that delegate management. @param keyArns at least one */
export const managementPolicy = (keyArns: readonly string[]): PolicyDocument =>
  identityPolicy("ManageKeys", MANAGE, keyArns)

/** An identity policy to use keys whose policies name the account. @param keyArns at least one */
export const usePolicy = (keyArns: readonly string[]): PolicyDocument => identityPolicy("UseKeys", USE, keyArns)

/** What CreateKey gives a key without a policy (POL-6.9). */
export const defaultKeyPolicy = (owner: Pick<KeyOwner, "accountId" | "partition">): string =>
  `{
  "Version" : "2012-10-17",
  "Id" : "key-default-1",
  "Statement" : [ {
    "Sid" : "Enable IAM User Permissions",
    "Effect" : "Allow",
    "Principal" : {
      "AWS" : "${root(owner)}"
    },
    "Action" : "kms:*",
    "Resource" : "*"
  } ]
}`
