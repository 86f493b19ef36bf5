import {
  ACCOUNT,
  ALIAS,
  ALICE,
  allowAll,
  type Case,
  delegation,
  IAM,
  KMS,
  OTHER,
  ROOT,
  role,
  root,
  rootOf,
  type StatementJson,
  user,
} from "../world.ts"

const logic = `${IAM}/reference_policies_evaluation-logic.html`
const keyPolicyPage = `${KMS}/key-policy-default.html`
const iamPage = `${KMS}/iam-policies.html`
const crossAccountPage = `${KMS}/key-policy-modifying-external-accounts.html`
const sessionPage = `${IAM}/access_policies.html`
const grantPage = `${KMS}/grants.html`
const aliasPage = `${KMS}/alias-access.html`
const permissions = `${KMS}/kms-api-permissions-reference.html`

const allow = (principal: unknown, Action: unknown = "kms:*"): StatementJson => ({
  Effect: "Allow",
  Principal: principal,
  Action,
  Resource: "*",
})
const deny = (principal: unknown, Action: unknown = "kms:*"): StatementJson => ({
  Effect: "Deny",
  Principal: principal,
  Action,
  Resource: "*",
})
const denyAll: StatementJson = { Effect: "Deny", Action: "*", Resource: "*" }
const grant = { grantId: "a".repeat(64), allows: true, why: "the caller is the grantee" }
const accountGrant = { ...grant, grantId: "c".repeat(64), throughAccount: true as const }
const otherGrant = { grantId: "b".repeat(64), allows: false, why: "the grantee is another principal" }

const carol = user("Carol", OTHER)
const external = { caller: carol }

const sameAccount: readonly Case[] = [
  {
    page: keyPolicyPage,
    name: "a key policy that names the caller is enough",
    key: [allow({ AWS: ALICE })],
    verdict: "keyPolicy",
  },
  {
    page: keyPolicyPage,
    name: "without a statement in the key policy an identity policy is nothing",
    key: [allow({ AWS: ROOT }, "kms:Decrypt")],
    identity: [allowAll],
    verdict: "no keyPolicy",
  },
  {
    page: keyPolicyPage,
    name: "the default key policy and an identity policy",
    identity: [allowAll],
    verdict: "accountDelegation",
  },
  { page: keyPolicyPage, name: "the default key policy alone", verdict: "no identityPolicy" },
  {
    page: keyPolicyPage,
    name: "the default key policy and the root",
    request: { caller: root() },
    verdict: "keyPolicy",
  },
  {
    page: keyPolicyPage,
    name: "a key policy without the account locks the root out",
    key: [allow({ AWS: ALICE })],
    request: { caller: root() },
    verdict: "no keyPolicy",
  },
  {
    page: keyPolicyPage,
    name: "a delegation of some actions does not delegate others",
    key: [allow({ AWS: ROOT }, "kms:Describe*")],
    identity: [allowAll],
    verdict: "no keyPolicy",
  },
  {
    page: keyPolicyPage,
    name: "the identity policy must allow the action itself",
    identity: [{ Effect: "Allow", Action: "kms:Decrypt", Resource: "*" }],
    verdict: "no identityPolicy",
  },
  {
    page: keyPolicyPage,
    name: "a delegation with a condition that holds",
    key: [{ ...allow({ AWS: ROOT }), Condition: { StringEquals: { "kms:CallerAccount": ACCOUNT } } }],
    identity: [allowAll],
    verdict: "accountDelegation",
  },
  {
    page: keyPolicyPage,
    name: "a delegation with a condition that fails",
    key: [{ ...allow({ AWS: ROOT }), Condition: { StringEquals: { "kms:CallerAccount": OTHER } } }],
    identity: [allowAll],
    verdict: "no keyPolicy",
  },
  {
    page: iamPage,
    name: "an identity policy with a condition that fails",
    identity: [{ ...allowAll, Condition: { StringEquals: { "kms:CallerAccount": OTHER } } }],
    verdict: "no identityPolicy",
  },
  {
    page: iamPage,
    name: "a role through its account",
    identity: [allowAll],
    request: { caller: role("App") },
    verdict: "accountDelegation",
  },
  {
    page: logic,
    name: "a Deny in the key policy wins over its Allow",
    key: [allow({ AWS: ALICE }), deny({ AWS: ALICE })],
    verdict: "denied by key policy",
  },
  {
    page: logic,
    name: "in whatever order",
    key: [deny({ AWS: ALICE }), allow({ AWS: ALICE })],
    verdict: "denied by key policy",
  },
  {
    page: logic,
    name: "a Deny in an identity policy wins over the key policy",
    key: [allow({ AWS: ALICE })],
    identity: [denyAll],
    verdict: "denied by identity policy",
  },
  {
    page: logic,
    name: "a Deny in an identity policy wins over its own Allow",
    identity: [allowAll, denyAll],
    verdict: "denied by identity policy",
  },
  {
    page: logic,
    name: "a Deny in the key policy wins over an identity policy",
    key: [delegation, deny("*", "kms:Encrypt")],
    identity: [allowAll],
    verdict: "denied by key policy",
  },
  {
    page: logic,
    name: "a Deny on another action is nothing",
    key: [allow({ AWS: ALICE }), deny({ AWS: ALICE }, "kms:Decrypt")],
    verdict: "keyPolicy",
  },
  {
    page: logic,
    name: "a Deny whose condition fails is nothing",
    key: [allow({ AWS: ALICE }), { ...deny("*"), Condition: { StringEquals: { "kms:CallerAccount": OTHER } } }],
    verdict: "keyPolicy",
  },
  {
    page: logic,
    name: "a Deny on the root binds the root",
    key: [delegation, deny({ AWS: ROOT }, "kms:Encrypt")],
    request: { caller: root() },
    verdict: "denied by key policy",
  },
  {
    page: logic,
    name: "no policies at all",
    key: [allow({ AWS: `arn:aws:iam::${ACCOUNT}:user/Bob` })],
    verdict: "no keyPolicy",
  },
  {
    page: logic,
    name: "a Deny about everything but a service",
    key: [
      allow({ AWS: ALICE }),
      { ...deny("*"), Condition: { StringNotEquals: { "kms:ViaService": "s3.us-west-2.amazonaws.com" } } },
    ],
    verdict: "denied by key policy",
  },
]

const otherAccount: readonly Case[] = [
  {
    page: crossAccountPage,
    name: "another account named in the key policy, and an identity policy there",
    key: [allow({ AWS: rootOf(OTHER) })],
    identity: [allowAll],
    request: external,
    verdict: "accountDelegation",
  },
  {
    page: crossAccountPage,
    name: "another account named in the key policy, and no identity policy there",
    key: [allow({ AWS: rootOf(OTHER) })],
    request: external,
    verdict: "no identityPolicy",
  },
  {
    page: crossAccountPage,
    name: "an identity policy there without a statement here",
    identity: [allowAll],
    request: external,
    verdict: "no keyPolicy",
  },
  {
    page: crossAccountPage,
    name: "a principal there named by its ARN still needs its identity policy",
    key: [allow({ AWS: carol.identityArn })],
    request: external,
    verdict: "no identityPolicy",
  },
  {
    page: crossAccountPage,
    name: "a principal there named by its ARN, with its identity policy",
    key: [allow({ AWS: carol.identityArn })],
    identity: [allowAll],
    request: external,
    verdict: "accountDelegation",
  },
  {
    page: crossAccountPage,
    name: "the other account's root needs no identity policy",
    key: [allow({ AWS: rootOf(OTHER) })],
    request: { caller: root(OTHER) },
    verdict: "accountDelegation",
  },
  {
    page: crossAccountPage,
    name: "everybody in the key policy, and no identity policy there",
    key: [allow("*")],
    request: external,
    verdict: "no identityPolicy",
  },
  {
    page: crossAccountPage,
    name: "everybody in the key policy, and an identity policy there",
    key: [allow("*")],
    identity: [allowAll],
    request: external,
    verdict: "accountDelegation",
  },
  {
    page: crossAccountPage,
    name: "a Deny in the identity policy there",
    key: [allow("*")],
    identity: [denyAll],
    request: external,
    verdict: "denied by identity policy",
  },
  {
    page: crossAccountPage,
    name: "the identity policy there must name this key",
    key: [allow({ AWS: rootOf(OTHER) })],
    identity: [{ Effect: "Allow", Action: "kms:*", Resource: `arn:aws:kms:*:${OTHER}:key/*` }],
    request: external,
    verdict: "no identityPolicy",
  },
  ...[
    "Encrypt",
    "Decrypt",
    "ReEncryptFrom",
    "ReEncryptTo",
    "GenerateDataKey",
    "GenerateDataKeyWithoutPlaintext",
    "GenerateMac",
    "VerifyMac",
    "DescribeKey",
    "GetKeyRotationStatus",
    "GetPublicKey",
    "CreateGrant",
    "ListGrants",
    "RevokeGrant",
  ].map(
    (name): Case => ({
      page: permissions,
      name: `${name} is possible from another account`,
      key: [allow("*")],
      identity: [allowAll],
      request: { ...external, action: `kms:${name}` },
      verdict: "accountDelegation",
    }),
  ),
  ...[
    "PutKeyPolicy",
    "GetKeyPolicy",
    "ScheduleKeyDeletion",
    "CancelKeyDeletion",
    "EnableKey",
    "DisableKey",
    "EnableKeyRotation",
    "DisableKeyRotation",
    "TagResource",
    "UpdateKeyDescription",
    "ImportKeyMaterial",
    "ListKeyPolicies",
    "ListResourceTags",
    "RotateKeyOnDemand",
    "ReplicateKey",
  ].map(
    (name): Case => ({
      page: permissions,
      name: `${name} is impossible from another account`,
      key: [allow("*")],
      identity: [allowAll],
      request: { ...external, action: `kms:${name}` },
      verdict: "no crossAccount",
    }),
  ),
]

const everything = { resource: "*" }

const withoutKey: readonly Case[] = [
  ...["CreateKey", "ListKeys", "ListAliases", "GenerateRandom", "ListRetirableGrants", "CreateCustomKeyStore"].flatMap(
    (name): Case[] => [
      {
        page: permissions,
        name: `${name} needs an identity policy`,
        request: { ...everything, action: `kms:${name}` },
        verdict: "no identityPolicy",
      },
      {
        page: permissions,
        name: `${name} with an identity policy`,
        identity: [allowAll],
        request: { ...everything, action: `kms:${name}` },
        verdict: "identityPolicy",
      },
    ],
  ),
  {
    page: permissions,
    name: "the root needs no identity policy",
    request: { ...everything, action: "kms:CreateKey", caller: root() },
    verdict: "root",
  },
  {
    page: permissions,
    name: "a Deny in an identity policy",
    identity: [allowAll, denyAll],
    request: { ...everything, action: "kms:CreateKey" },
    verdict: "denied by identity policy",
  },
  {
    page: permissions,
    name: "a policy on keys only does not allow CreateKey",
    identity: [{ Effect: "Allow", Action: "kms:*", Resource: "arn:aws:kms:*:*:key/*" }],
    request: { ...everything, action: "kms:CreateKey" },
    verdict: "no identityPolicy",
  },
  {
    page: permissions,
    name: "key policies say nothing about CreateKey",
    key: [allow("*")],
    request: { ...everything, action: "kms:CreateKey" },
    verdict: "no identityPolicy",
  },
  {
    page: aliasPage,
    name: "an alias operation on the alias: identity policies alone",
    key: [allow("*")],
    request: { action: "kms:CreateAlias", resource: ALIAS },
    verdict: "no identityPolicy",
  },
  {
    page: aliasPage,
    name: "an alias operation on the alias, allowed",
    identity: [allowAll],
    request: { action: "kms:UpdateAlias", resource: ALIAS },
    verdict: "identityPolicy",
  },
  {
    page: aliasPage,
    name: "an alias operation on the alias, by the root",
    request: { action: "kms:DeleteAlias", resource: ALIAS, caller: root() },
    verdict: "root",
  },
  {
    page: aliasPage,
    name: "an alias operation on the key: its key policy",
    key: [allow({ AWS: ALICE }, "kms:CreateAlias")],
    request: { action: "kms:CreateAlias" },
    verdict: "keyPolicy",
  },
  {
    page: aliasPage,
    name: "an alias operation on the key through the account",
    identity: [allowAll],
    request: { action: "kms:DeleteAlias" },
    verdict: "accountDelegation",
  },
  {
    page: aliasPage,
    name: "an alias operation on the key without permission there",
    key: [allow({ AWS: ALICE }, "kms:Encrypt")],
    identity: [allowAll],
    request: { action: "kms:CreateAlias" },
    verdict: "no keyPolicy",
  },
  {
    page: aliasPage,
    name: "an alias of another account",
    identity: [allowAll],
    request: { ...external, action: "kms:CreateAlias", resource: ALIAS },
    verdict: "no crossAccount",
  },
]

const withGrants: readonly Case[] = [
  {
    page: grantPage,
    name: "a grant is enough without any policy",
    key: [allow({ AWS: `arn:aws:iam::${ACCOUNT}:user/Bob` })],
    grants: [grant],
    verdict: "grant",
  },
  {
    page: grantPage,
    name: "a grant that does not match is nothing",
    key: [allow({ AWS: `arn:aws:iam::${ACCOUNT}:user/Bob` })],
    grants: [otherGrant],
    verdict: "no keyPolicy",
  },
  {
    page: grantPage,
    name: "the second grant matches",
    key: [allow({ AWS: `arn:aws:iam::${ACCOUNT}:user/Bob` })],
    grants: [otherGrant, grant],
    verdict: "grant",
  },
  {
    page: grantPage,
    name: "a grant beside a delegation without an identity policy",
    grants: [grant],
    verdict: "grant",
  },
  {
    page: grantPage,
    name: "a Deny in the key policy wins over a grant",
    key: [deny("*", "kms:Encrypt")],
    grants: [grant],
    verdict: "denied by key policy",
  },
  {
    page: grantPage,
    name: "a Deny in an identity policy wins over a grant",
    identity: [denyAll],
    grants: [grant],
    verdict: "denied by identity policy",
  },
  {
    page: grantPage,
    name: "a grant to a principal of another account",
    key: [delegation],
    grants: [grant],
    request: external,
    verdict: "grant",
  },
  {
    page: grantPage,
    name: "a policy is named before a grant",
    key: [allow({ AWS: ALICE })],
    grants: [grant],
    verdict: "keyPolicy",
  },
  {
    page: `${KMS}/grant-delete.html`,
    name: "RetireGrant is a matter of the grant",
    grants: [grant],
    request: { action: "kms:RetireGrant" },
    verdict: "grant",
  },
  {
    page: `${KMS}/grant-delete.html`,
    name: "RetireGrant in a key policy allows nothing",
    key: [allow({ AWS: ALICE }, "kms:RetireGrant")],
    request: { action: "kms:RetireGrant" },
    verdict: "no grant",
  },
  {
    page: `${KMS}/grant-delete.html`,
    name: "RetireGrant in an identity policy alone is not enough",
    identity: [allowAll],
    grants: [otherGrant],
    request: { action: "kms:RetireGrant" },
    verdict: "no grant",
  },
  {
    page: `${KMS}/grant-delete.html`,
    name: "a Deny on RetireGrant holds",
    identity: [denyAll],
    grants: [grant],
    request: { action: "kms:RetireGrant" },
    verdict: "denied by identity policy",
  },
  {
    page: `${KMS}/grant-delete.html`,
    name: "a Deny on RetireGrant in a key policy has no effect",
    key: [{ ...allow({ AWS: "*" }, "kms:RetireGrant"), Effect: "Deny" }],
    grants: [grant],
    request: { action: "kms:RetireGrant" },
    verdict: "grant",
  },
  {
    page: `${KMS}/grant-delete.html`,
    name: "RetireGrant in an identity policy is enough where the grant names the account",
    identity: [allowAll],
    grants: [otherGrant, accountGrant],
    request: { action: "kms:RetireGrant" },
    verdict: "grant",
  },
  {
    page: grantPage,
    name: "a grant to the account is not enough without an identity policy",
    key: [allow({ AWS: `arn:aws:iam::${ACCOUNT}:user/Bob` })],
    grants: [accountGrant],
    verdict: "no keyPolicy",
  },
  {
    page: grantPage,
    name: "a grant to the account, with an identity policy",
    key: [allow({ AWS: `arn:aws:iam::${ACCOUNT}:user/Bob` })],
    identity: [allowAll],
    grants: [accountGrant],
    verdict: "grant",
  },
]

/** POL-12.5 */
const inSession: readonly Case[] = [
  {
    page: sessionPage,
    name: "a session policy that allows leaves what the role has",
    session: [allowAll],
    identity: [allowAll],
    request: { caller: role("App") },
    verdict: "accountDelegation",
  },
  {
    page: sessionPage,
    name: "a session policy that does not allow it takes away what an identity policy gives",
    session: [{ Effect: "Allow", Action: "kms:Encrypt", Resource: "*" }],
    identity: [allowAll],
    request: { caller: role("App"), action: "kms:Decrypt" },
    verdict: "no sessionPolicy",
  },
  {
    page: sessionPage,
    name: "a session policy takes away what a key policy gives the role",
    session: [{ Effect: "Allow", Action: "kms:Encrypt", Resource: "*" }],
    key: [allow({ AWS: role("App").identityArn })],
    request: { caller: role("App"), action: "kms:Decrypt" },
    verdict: "no sessionPolicy",
  },
  {
    page: sessionPage,
    name: "a session policy takes nothing of what a key policy gives the session by its own ARN",
    session: [{ Effect: "Allow", Action: "kms:Encrypt", Resource: "*" }],
    key: [allow({ AWS: role("App").arn })],
    request: { caller: role("App"), action: "kms:Decrypt" },
    verdict: "keyPolicy",
  },
  {
    page: sessionPage,
    name: "a session policy adds nothing",
    session: [allowAll],
    request: { caller: role("App"), action: "kms:Decrypt" },
    verdict: "no identityPolicy",
  },
  {
    page: sessionPage,
    name: "a Deny in a session policy refuses what the key policy gives the session",
    session: [denyAll],
    key: [allow({ AWS: role("App").arn })],
    request: { caller: role("App"), action: "kms:Decrypt" },
    verdict: "denied by identity policy",
  },
  {
    page: sessionPage,
    name: "a session policy that does not allow it takes away what a grant gives",
    session: [{ Effect: "Allow", Action: "kms:Encrypt", Resource: "*" }],
    grants: [grant],
    request: { caller: role("App"), action: "kms:Decrypt" },
    verdict: "no sessionPolicy",
  },
]

export const evaluationCases: readonly Case[] = [
  ...sameAccount,
  ...otherAccount,
  ...withoutKey,
  ...withGrants,
  ...inSession,
]
