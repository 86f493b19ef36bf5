import {
  type AttachedPolicy,
  type Caller,
  type Decision,
  describeProblem,
  evaluate,
  type GrantFinding,
  type Policy,
  type PolicyKind,
  type PolicyRequest,
  type PolicySet,
  parseIdentityPolicy,
  parseKeyPolicy,
} from "../../../src/local-kms/policy/index.ts"

export const ACCOUNT = "111122223333"
export const OTHER = "444455556666"
export const REGION = "us-west-2"
export const KEY = `arn:aws:kms:${REGION}:${ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab`
export const OTHER_KEY = `arn:aws:kms:${REGION}:${ACCOUNT}:key/0987dcba-09fe-87dc-65ba-ab0987654321`
export const ALIAS = `arn:aws:kms:${REGION}:${ACCOUNT}:alias/app`

export const rootOf = (account: string): string => `arn:aws:iam::${account}:root`
export const ROOT = rootOf(ACCOUNT)

export const root = (accountId = ACCOUNT): Caller => ({
  type: "Root",
  accountId,
  arn: rootOf(accountId),
  identityArn: rootOf(accountId),
  name: accountId,
})

export const user = (name: string, accountId = ACCOUNT, extra: Partial<Caller> = {}): Caller => {
  const arn = `arn:aws:iam::${accountId}:user/${name}`
  return { type: "IAMUser", accountId, arn, identityArn: arn, name: name.split("/").at(-1)!, ...extra }
}

export const role = (name: string, session = "s1", accountId = ACCOUNT, extra: Partial<Caller> = {}): Caller => ({
  type: "AssumedRole",
  accountId,
  arn: `arn:aws:sts::${accountId}:assumed-role/${name.split("/").at(-1)}/${session}`,
  identityArn: `arn:aws:iam::${accountId}:role/${name}`,
  name: name.split("/").at(-1)!,
  ...extra,
})

export const service = (name: string): Caller => ({
  type: "AWSService",
  accountId: "000000000000",
  arn: name,
  identityArn: name,
  name,
})

export const alice = user("Alice")
export const ALICE = alice.identityArn

export type StatementJson = Readonly<Record<string, unknown>>
export type Version = "2012-10-17" | "2008-10-17"

export const policyText = (statements: unknown, Version: Version = "2012-10-17"): string =>
  JSON.stringify({ Version, Statement: statements })

export function policyOf(kind: PolicyKind, text: string): Policy {
  const parsed = kind === "key" ? parseKeyPolicy(text) : parseIdentityPolicy(text)
  if (!parsed.ok) throw new Error(parsed.problems.map(describeProblem).join("; "))
  return parsed.policy
}

export const keyPolicyOf = (statements: readonly StatementJson[], version?: Version): Policy =>
  policyOf("key", policyText(statements, version))

export const identityPoliciesOf = (statements: readonly StatementJson[], version?: Version): AttachedPolicy[] =>
  statements.length === 0 ? [] : [{ policy: policyOf("identity", policyText(statements, version)), name: "Attached" }]

/** Everything to the account: what lets identity policies decide. */
export const delegation: StatementJson = {
  Sid: "Enable IAM policies",
  Effect: "Allow",
  Principal: { AWS: ROOT },
  Action: "kms:*",
  Resource: "*",
}
export const allowAll: StatementJson = { Effect: "Allow", Action: "*", Resource: "*" }

export const requestOf = (overrides: Partial<PolicyRequest> = {}): PolicyRequest => ({
  caller: alice,
  action: "kms:Encrypt",
  resource: KEY,
  resourceAccountId: ACCOUNT,
  key: { origin: "AWS_KMS", keySpec: "SYMMETRIC_DEFAULT", keyUsage: "ENCRYPT_DECRYPT", multiRegion: false },
  now: Date.parse("2026-03-01T12:00:00Z"),
  ...overrides,
})

/** One row of a table: a request, policies, and what comes of it. */
export interface Case {
  /** The page of AWS's documentation that says so, below docs.aws.amazon.com. */
  readonly page: string
  readonly name: string
  /** Statements of the key policy. Default: the account is allowed everything. */
  readonly key?: readonly StatementJson[]
  /** Statements of one identity policy of the caller. Default none. */
  readonly identity?: readonly StatementJson[]
  /** Statements of the session policy. Default: the caller has none. */
  readonly session?: readonly StatementJson[]
  readonly version?: Version
  readonly request?: Partial<PolicyRequest>
  readonly grants?: readonly GrantFinding[]
  readonly verdict: Verdict
}

export type Verdict =
  | "keyPolicy"
  | "accountDelegation"
  | "identityPolicy"
  | "root"
  | "grant"
  | "denied by key policy"
  | "denied by identity policy"
  | "no keyPolicy"
  | "no identityPolicy"
  | "no grant"
  | "no crossAccount"
  | "no sessionPolicy"

export function verdictOf(decision: Decision): Verdict {
  if (decision.allowed) return decision.by
  return decision.reason === "explicitDeny" ? `denied by ${decision.statement.kind} policy` : `no ${decision.missing}`
}

export function policiesOf({
  key = [delegation],
  identity = [],
  session,
  version,
  grants,
}: Omit<Case, "page" | "name" | "verdict">): PolicySet {
  return {
    keyPolicy: keyPolicyOf(key, version),
    identityPolicies: identityPoliciesOf(identity, version),
    ...(session === undefined ? {} : { sessionPolicy: identityPoliciesOf(session, version)[0]!.policy }),
    ...(grants === undefined ? {} : { grants: () => grants }),
  }
}

export const decide = (row: Omit<Case, "page" | "name" | "verdict">): Decision =>
  evaluate(requestOf(row.request), policiesOf(row))

export const IAM = "IAM/latest/UserGuide"
export const KMS = "kms/latest/developerguide"
