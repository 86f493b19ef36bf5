import {
  ACCOUNT,
  ALICE,
  alice,
  allowAll,
  type Case,
  IAM,
  KMS,
  OTHER,
  ROOT,
  role,
  root,
  rootOf,
  service,
  user,
  type Verdict,
} from "../world.ts"

const page = `${IAM}/reference_policies_elements_principal.html`
const notPrincipalPage = `${IAM}/reference_policies_elements_notprincipal.html`
const keyPolicies = `${KMS}/key-policy-overview.html`

const allow = (Principal: unknown) => ({ Effect: "Allow", Principal, Action: "kms:Encrypt", Resource: "*" })
const deny = (element: object) => ({ Effect: "Deny", ...element, Action: "kms:Encrypt", Resource: "*" })

const ROLE = `arn:aws:iam::${ACCOUNT}:role/App`
const SESSION = `arn:aws:sts::${ACCOUNT}:assumed-role/App/s1`
const app = role("App")
const federated = {
  type: "FederatedUser",
  accountId: ACCOUNT,
  arn: `arn:aws:sts::${ACCOUNT}:federated-user/Frieda`,
  identityArn: `arn:aws:sts::${ACCOUNT}:federated-user/Frieda`,
  name: "Frieda",
} as const

type Row = readonly [
  name: string,
  principal: unknown,
  caller: Case["request"] & object,
  verdict: Verdict,
  page?: string,
]

const named: readonly Row[] = [
  ["a user is named by its ARN", { AWS: ALICE }, { caller: alice }, "keyPolicy"],
  ["another user is not", { AWS: ALICE }, { caller: user("Bob") }, "no keyPolicy"],
  ["a user's name keeps its case", { AWS: ALICE }, { caller: user("alice") }, "no keyPolicy"],
  [
    "a user with a path is named with its path",
    { AWS: `arn:aws:iam::${ACCOUNT}:user/dev/Eve` },
    { caller: user("dev/Eve") },
    "keyPolicy",
  ],
  [
    "a user with a path is not named without it",
    { AWS: `arn:aws:iam::${ACCOUNT}:user/Eve` },
    { caller: user("dev/Eve") },
    "no keyPolicy",
  ],
  [
    "the same name in another account is another user",
    { AWS: `arn:aws:iam::${OTHER}:user/Alice` },
    { caller: alice },
    "no keyPolicy",
  ],
  ["a role is named for all its sessions", { AWS: ROLE }, { caller: app }, "keyPolicy"],
  ["another session of the role as well", { AWS: ROLE }, { caller: role("App", "other") }, "keyPolicy"],
  [
    "a role with a path is named with its path",
    { AWS: `arn:aws:iam::${ACCOUNT}:role/service/App` },
    { caller: role("service/App") },
    "keyPolicy",
  ],
  ["a session is named by its own ARN", { AWS: SESSION }, { caller: app }, "keyPolicy"],
  ["one session's ARN names no other session", { AWS: SESSION }, { caller: role("App", "s2") }, "no keyPolicy"],
  ["a role is no user of the same name", { AWS: `arn:aws:iam::${ACCOUNT}:user/App` }, { caller: app }, "no keyPolicy"],
  ["a federated user is named by its ARN", { AWS: federated.arn }, { caller: federated }, "keyPolicy"],
  [
    "a list names each of its members",
    { AWS: ["arn:aws:iam::111122223333:user/Bob", ALICE] },
    { caller: alice },
    "keyPolicy",
  ],
  [
    "a list names nobody else",
    { AWS: ["arn:aws:iam::111122223333:user/Bob", ROLE] },
    { caller: alice },
    "no keyPolicy",
  ],
  [
    "the account's root is named by the root's ARN",
    { AWS: ROOT },
    { caller: root() },
    "keyPolicy",
    `${KMS}/key-policy-default.html`,
  ],
  [
    "the account's root is named by the account id",
    { AWS: ACCOUNT },
    { caller: root() },
    "keyPolicy",
    `${KMS}/key-policy-default.html`,
  ],
  [
    "the account's root is not named by a user's ARN",
    { AWS: ALICE },
    { caller: root() },
    "no keyPolicy",
    `${KMS}/key-policy-default.html`,
  ],
  [
    "an account names its users only through identity policies",
    { AWS: ROOT },
    { caller: alice },
    "no identityPolicy",
    `${KMS}/key-policy-default.html`,
  ],
  [
    "an account id does the same",
    { AWS: ACCOUNT },
    { caller: alice },
    "no identityPolicy",
    `${KMS}/key-policy-default.html`,
  ],
  ["another account names nobody here", { AWS: rootOf(OTHER) }, { caller: alice }, "no keyPolicy"],
  [
    "an account of another partition names nobody here",
    { AWS: `arn:aws-cn:iam::${ACCOUNT}:root` },
    { caller: alice },
    "no keyPolicy",
  ],
  ["everybody, as a string", "*", { caller: alice }, "keyPolicy"],
  ["everybody, as an AWS principal", { AWS: "*" }, { caller: alice }, "keyPolicy"],
  ["everybody includes roles", { AWS: "*" }, { caller: app }, "keyPolicy"],
  ["everybody includes the root", { AWS: "*" }, { caller: root() }, "keyPolicy"],
  ["everybody includes services", "*", { caller: service("logs.us-west-2.amazonaws.com") }, "keyPolicy"],
  [
    "a service is named by its name",
    { Service: "logs.us-west-2.amazonaws.com" },
    { caller: service("logs.us-west-2.amazonaws.com") },
    "keyPolicy",
  ],
  [
    "another service is not",
    { Service: "s3.amazonaws.com" },
    { caller: service("logs.us-west-2.amazonaws.com") },
    "no keyPolicy",
  ],
  ["a service principal names no user", { Service: "s3.amazonaws.com" }, { caller: alice }, "no keyPolicy"],
  ["a service is of no account", { AWS: ROOT }, { caller: service("s3.amazonaws.com") }, "no keyPolicy"],
  [
    "an identity provider names its sessions",
    { Federated: "cognito-identity.amazonaws.com" },
    { caller: { ...app, federatedProvider: "cognito-identity.amazonaws.com" } },
    "keyPolicy",
  ],
  [
    "an identity provider names no other session",
    { Federated: "cognito-identity.amazonaws.com" },
    { caller: app },
    "no keyPolicy",
  ],
  [
    "a canonical user id names nobody who calls KMS",
    { CanonicalUser: "a".repeat(64) },
    { caller: alice },
    "no keyPolicy",
  ],
  [
    "a user is named by its unique id",
    { AWS: "AIDACKCEVSQ6C2EXAMPLE" },
    { caller: user("Alice", ACCOUNT, { userId: "AIDACKCEVSQ6C2EXAMPLE" }) },
    "keyPolicy",
    `${IAM}/reference_identifiers.html`,
  ],
  [
    "a role is named by its unique id, whatever the session",
    { AWS: "AROACKCEVSQ6C2EXAMPLE" },
    { caller: role("App", "s1", ACCOUNT, { userId: "AROACKCEVSQ6C2EXAMPLE:s1" }) },
    "keyPolicy",
    `${IAM}/reference_identifiers.html`,
  ],
  [
    "a new user of the same name has another unique id",
    { AWS: "AIDACKCEVSQ6C2EXAMPLE" },
    { caller: user("Alice", ACCOUNT, { userId: "AIDAANOTHERC2EXAMPLE0" }) },
    "no keyPolicy",
    `${IAM}/reference_identifiers.html`,
  ],
  [
    "principals of several types stand side by side",
    { AWS: ALICE, Service: "s3.amazonaws.com" },
    { caller: service("s3.amazonaws.com") },
    "keyPolicy",
  ],
]

const denied: readonly Row[] = [
  ["Deny names a user", { Principal: { AWS: ALICE } }, { caller: alice }, "denied by key policy"],
  ["Deny on another user is nothing to this one", { Principal: { AWS: ALICE } }, { caller: user("Bob") }, "keyPolicy"],
  [
    "Deny on an account denies everybody in it",
    { Principal: { AWS: ROOT } },
    { caller: alice },
    "denied by key policy",
  ],
  ["Deny on an account id denies its roles", { Principal: { AWS: ACCOUNT } }, { caller: app }, "denied by key policy"],
  ["Deny on an account denies its root", { Principal: { AWS: ROOT } }, { caller: root() }, "denied by key policy"],
  ["Deny on everybody", { Principal: "*" }, { caller: app }, "denied by key policy"],
  [
    "Deny on a role denies its sessions",
    { Principal: { AWS: ROLE } },
    { caller: role("App", "x") },
    "denied by key policy",
  ],
  ["Deny on one session leaves the others", { Principal: { AWS: SESSION } }, { caller: role("App", "x") }, "keyPolicy"],
]

const notPrincipal: readonly Row[] = [
  [
    "NotPrincipal denies whoever it does not name",
    { NotPrincipal: { AWS: [ALICE, ROOT] } },
    { caller: user("Bob") },
    "denied by key policy",
  ],
  [
    "NotPrincipal spares a user named with the account",
    { NotPrincipal: { AWS: [ALICE, ROOT] } },
    { caller: alice },
    "keyPolicy",
  ],
  [
    "NotPrincipal denies a user named without the account",
    { NotPrincipal: { AWS: [ALICE] } },
    { caller: alice },
    "denied by key policy",
  ],
  [
    "NotPrincipal with the account alone spares no user",
    { NotPrincipal: { AWS: ROOT } },
    { caller: alice },
    "denied by key policy",
  ],
  ["NotPrincipal with the account spares its root", { NotPrincipal: { AWS: ROOT } }, { caller: root() }, "keyPolicy"],
  [
    "NotPrincipal spares a session named with role and account",
    { NotPrincipal: { AWS: [SESSION, ROLE, ROOT] } },
    { caller: app },
    "keyPolicy",
  ],
  [
    "NotPrincipal denies a session named by its role only",
    { NotPrincipal: { AWS: [ROLE, ROOT] } },
    { caller: app },
    "denied by key policy",
  ],
  [
    "NotPrincipal denies the role's other sessions",
    { NotPrincipal: { AWS: [SESSION, ROLE, ROOT] } },
    { caller: role("App", "s2") },
    "denied by key policy",
  ],
  [
    "NotPrincipal spares a service it names",
    { NotPrincipal: { Service: "s3.amazonaws.com" } },
    { caller: service("s3.amazonaws.com") },
    "keyPolicy",
  ],
  [
    "NotPrincipal that names a service denies users",
    { NotPrincipal: { Service: "s3.amazonaws.com" } },
    { caller: alice },
    "denied by key policy",
  ],
]

export const principalCases: readonly Case[] = [
  ...named.map(([name, principal, request, verdict, where = page]) => ({
    page: where,
    name,
    key: [allow(principal)],
    request,
    verdict,
  })),
  ...denied.map(([name, element, request, verdict]) => ({
    page: keyPolicies,
    name,
    key: [allow("*"), deny(element as object)],
    request,
    verdict,
  })),
  ...notPrincipal.map(([name, element, request, verdict]) => ({
    page: notPrincipalPage,
    name,
    key: [allow("*"), deny(element as object)],
    request,
    verdict,
  })),
  {
    page,
    name: "a user of another account named by its ARN needs an identity policy too",
    key: [allow({ AWS: `arn:aws:iam::${OTHER}:user/Carol` })],
    request: { caller: user("Carol", OTHER) },
    verdict: "no identityPolicy",
  },
  {
    page,
    name: "a user of another account named by its ARN and allowed at home",
    key: [allow({ AWS: `arn:aws:iam::${OTHER}:user/Carol` })],
    identity: [allowAll],
    request: { caller: user("Carol", OTHER) },
    verdict: "accountDelegation",
  },
]
