import { findAction } from "./actions.ts"
import { compiled, matchStatement } from "./compile.ts"
import { requestContext } from "./context.ts"
import type { Policy, Statement } from "./document.ts"
import type { Lookup } from "./pattern.ts"
import { isKeyRequest, type PolicyRequest } from "./request.ts"

/** An identity policy and where the caller has it from. */
export interface AttachedPolicy {
  readonly policy: Policy
  readonly name: string
  /** For instance `group Admins`; absent when it is the user's or role's own. */
  readonly inheritedFrom?: string
}

/** What grants say about a request. Grants never refuse: they allow, or have nothing to say. */
export interface GrantFinding {
  readonly grantId: string
  readonly allows: boolean
  /** The grant names the account of the caller: an identity policy of the caller has to allow as well (POL-6.5). */
  readonly throughAccount?: true
  /** For instance `the grantee is another principal`. */
  readonly why: string
}

export interface PolicySet {
  /** Of the key the request is about. */
  readonly keyPolicy?: Policy
  /** The caller's own and those of its groups; of an account root there are none. */
  readonly identityPolicies: readonly AttachedPolicy[]
  /** Of a session: what it may do at most (POL-12.5). */
  readonly sessionPolicy?: Policy | undefined
  /**
   * Asked only where policies do not settle the request, and read no further than to the first that allows. Returns
   * findings about the key's grants, matched already.
   */
  readonly grants?: (request: PolicyRequest) => Iterable<GrantFinding>
}

export interface StatementReference {
  /** `key policy`, or the name of an identity policy. */
  readonly policy: string
  readonly kind: "key" | "identity"
  readonly index: number
  readonly sid?: string
}

export type Decision = Allowed | Refused

export type Allowed = { readonly allowed: true } /** The key policy names the caller. */ & (
  | { readonly by: "keyPolicy"; readonly statements: readonly [StatementReference] }
  /** The key policy names the account (or, across accounts, the caller), and an identity policy allows. */
  | { readonly by: "accountDelegation"; readonly statements: readonly StatementReference[] }
  /** Actions that have no key policy to ask. */
  | { readonly by: "identityPolicy"; readonly statements: readonly [StatementReference] }
  /** An account's root may do in its account what needs no key policy. */
  | { readonly by: "root"; readonly statements: readonly [] }
  /** With the statement of an identity policy where the grant names the account. */
  | { readonly by: "grant"; readonly grantId: string; readonly statements: readonly StatementReference[] }
)

export type Refused = { readonly allowed: false } & (
  | { readonly reason: "explicitDeny"; readonly statement: StatementReference }
  | {
      readonly reason: "implicitDeny"
      /** What would have had to allow it, and did not. */
      readonly missing: "keyPolicy" | "identityPolicy" | "grant" | "crossAccount" | "sessionPolicy"
    }
)

/** Decides one request: any Deny first (POL-6.1). Pure: the same question always has the same answer. */
export function evaluate(request: PolicyRequest, policies: PolicySet): Decision {
  const context = requestContext(request)
  const action = request.action.toLowerCase()
  // POL-6.8: a key policy has no say in the retiring of grants, not even by a Deny.
  const isAsked = isKeyRequest(request) && findAction(action)?.authority !== "grant"
  const keyPolicy = isAsked ? policies.keyPolicy : undefined
  const inKeyPolicy = keyPolicy === undefined ? {} : scan(keyPolicy, request, action, context("key"))
  if (inKeyPolicy.deny !== undefined) return explicitDeny(reference(inKeyPolicy.deny, "key policy", "key"))

  const identity = scanIdentity(policies.identityPolicies, request, action, context("identity"))
  if (identity.deny !== undefined) return explicitDeny(identity.deny)
  const { sessionPolicy } = policies
  const inSession = sessionPolicy && scan(sessionPolicy, request, action, context("identity"))
  if (inSession?.deny !== undefined) return explicitDeny(reference(inSession.deny, SESSION_POLICY, "identity"))
  const decision = isKeyRequest(request)
    ? decideOnKey(request, policies, inKeyPolicy, identity.allow)
    : decideWithoutKey(request, identity.allow)
  const isLimited = inSession !== undefined && inSession.direct === undefined
  if (!decision.allowed || !isLimited) return decision
  const isNamed = keyPolicy !== undefined && namesSession(keyPolicy, request, action, context("key"))
  return isNamed ? decision : implicitDeny("sessionPolicy")
}

const SESSION_POLICY = "session policy"

/** POL-12.5: what a key policy gives to one session by its own ARN, that session has whatever its session policy says. */
const namesSession = (policy: Policy, request: PolicyRequest, action: string, lookup: Lookup): boolean =>
  compiled(policy).some(
    (candidate) =>
      candidate.statement.effect === "Allow" &&
      candidate.statement.principals?.values.some(({ text }) => text === request.caller.arn) &&
      matchStatement(candidate, request, action, lookup) === "direct",
  )

/**
 * Decides whether a role may be assumed (POL-12.4): a trust policy that names the caller is enough in the role's account;
 * where it names the account, and across accounts, an identity policy must allow as well.
 */
export function evaluateTrust(
  request: PolicyRequest,
  trustPolicy: Policy,
  { identityPolicies, sessionPolicy }: Pick<PolicySet, "identityPolicies" | "sessionPolicy">,
): Decision {
  const context = requestContext(request)
  const action = request.action.toLowerCase()
  const trust = scan(trustPolicy, request, action, context("key"))
  if (trust.deny !== undefined) return explicitDeny(reference(trust.deny, "trust policy", "key"))
  const identity = scanIdentity(identityPolicies, request, action, context("identity"))
  if (identity.deny !== undefined) return explicitDeny(identity.deny)
  const inSession = sessionPolicy && scan(sessionPolicy, request, action, context("identity"))
  if (inSession?.deny !== undefined) return explicitDeny(reference(inSession.deny, SESSION_POLICY, "identity"))
  if (inSession !== undefined && inSession.direct === undefined) return implicitDeny("sessionPolicy")
  const isSameAccount = request.caller.accountId === request.resourceAccountId
  if (isSameAccount && trust.direct !== undefined)
    return { allowed: true, by: "keyPolicy", statements: [reference(trust.direct, "trust policy", "key")] }
  const named = trust.direct ?? trust.account
  if (named === undefined) return implicitDeny("keyPolicy")
  if (identity.allow === undefined) return implicitDeny("identityPolicy")
  return {
    allowed: true,
    by: "accountDelegation",
    statements: [reference(named, "trust policy", "key"), identity.allow],
  }
}

/** The first Deny that applies, or else the first Allow. */
function scanIdentity(
  policies: readonly AttachedPolicy[],
  request: PolicyRequest,
  action: string,
  lookup: Lookup,
): { readonly deny?: StatementReference; readonly allow?: StatementReference } {
  let allow: StatementReference | undefined
  for (const { policy, name } of policies) {
    const { deny, direct } = scan(policy, request, action, lookup)
    if (deny !== undefined) return { deny: reference(deny, name, "identity") }
    if (direct !== undefined) allow ??= reference(direct, name, "identity")
  }
  return allow === undefined ? {} : { allow }
}

interface Scan {
  readonly deny?: Statement
  /** The first Allow that names the caller, and the first that names its account. */
  readonly direct?: Statement
  readonly account?: Statement
}

function scan(policy: Policy, request: PolicyRequest, action: string, lookup: Lookup): Scan {
  let direct: Statement | undefined
  let account: Statement | undefined
  for (const candidate of compiled(policy)) {
    const match = matchStatement(candidate, request, action, lookup)
    if (match === "none") continue
    const { statement } = candidate
    if (statement.effect === "Deny") return { deny: statement }
    if (match === "direct") direct ??= statement
    else account ??= statement
  }
  return { ...(direct === undefined ? {} : { direct }), ...(account === undefined ? {} : { account }) }
}

const reference = ({ index, sid }: Statement, policy: string, kind: "key" | "identity"): StatementReference => ({
  policy,
  kind,
  index,
  ...(sid === undefined ? {} : { sid }),
})

const explicitDeny = (statement: StatementReference): Refused => ({ allowed: false, reason: "explicitDeny", statement })

type Missing = Extract<Refused, { reason: "implicitDeny" }>["missing"]
const implicitDeny = (missing: Missing): Refused => ({ allowed: false, reason: "implicitDeny", missing })

/** POL-6.7: keys not yet made, lists and aliases. */
function decideWithoutKey(
  { caller, resourceAccountId }: PolicyRequest,
  identityAllow: StatementReference | undefined,
): Decision {
  if (caller.accountId !== resourceAccountId) return implicitDeny("crossAccount")
  if (caller.type === "Root") return { allowed: true, by: "root", statements: [] }
  if (identityAllow === undefined) return implicitDeny("identityPolicy")
  return { allowed: true, by: "identityPolicy", statements: [identityAllow] }
}

function decideOnKey(
  request: PolicyRequest,
  policies: PolicySet,
  { direct, account }: Scan,
  identityAllow: StatementReference | undefined,
): Decision {
  const { caller, resourceAccountId } = request
  const action = findAction(request.action)
  // POL-6.2: a service is of no account; the key policy alone decides about it.
  const isSameAccount = caller.accountId === resourceAccountId || caller.type === "AWSService"
  // POL-6.4
  if (!isSameAccount && action?.crossAccount !== true) return implicitDeny("crossAccount")
  if (action?.authority === "grant") return decideByGrant(request, policies, identityAllow) ?? implicitDeny("grant")
  if (isSameAccount && direct !== undefined)
    return { allowed: true, by: "keyPolicy", statements: [reference(direct, "key policy", "key")] }
  // POL-6.3
  const named = direct ?? account
  // POL-6.6: the root of another account has no identity policies and may use all that its account was given.
  if (named !== undefined && (identityAllow !== undefined || caller.type === "Root")) {
    const inKeyPolicy = reference(named, "key policy", "key")
    const statements = identityAllow === undefined ? [inKeyPolicy] : [inKeyPolicy, identityAllow]
    return { allowed: true, by: "accountDelegation", statements }
  }
  return (
    decideByGrant(request, policies, identityAllow) ??
    implicitDeny(named === undefined ? "keyPolicy" : "identityPolicy")
  )
}

/** POL-6.5: a grant is enough by itself, also for a grantee in another account. */
function decideByGrant(
  request: PolicyRequest,
  { grants }: PolicySet,
  identityAllow: StatementReference | undefined,
): Allowed | undefined {
  for (const { grantId, allows, throughAccount } of grants?.(request) ?? []) {
    if (!allows) continue
    if (!throughAccount) return { allowed: true, by: "grant", grantId, statements: [] }
    if (identityAllow !== undefined) return { allowed: true, by: "grant", grantId, statements: [identityAllow] }
  }
  return undefined
}
