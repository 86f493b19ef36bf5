import type { Key } from "../keys.ts"
import type { Caller, GrantFinding, PolicyRequest } from "../policy/index.ts"
import type { StoreReader } from "../store/store.ts"
import { bucketsFor, type ContextConstraint, contextConstraint, isAsStrict, meetsConstraint } from "./constraints.ts"
import { isConstrained } from "./operations.ts"
import { allGrants, type Grant, getGrant, grantsFitting } from "./records.ts"

/** What the question is about beside the request. */
export interface GrantQuestion {
  /** The ids of the grants of which the request brought tokens. */
  readonly tokenGrants: ReadonlySet<string>
  /** The grant that is to be retired. */
  readonly retired?: string | undefined
}

/**
 * GRT-1.1: what the grants on a key that could allow a request say about it: those to the caller, and of a RetireGrant the one that
 * it names. Asked only where policies do not settle the request; each grant is read when it is looked at.
 *
 * @param request the caller, the action (for instance `kms:Decrypt`), and the encryption context; of a CreateGrant the
 * context is its constraint's
 */
export function* grantsFor(
  reader: StoreReader,
  key: Key,
  request: PolicyRequest,
  question: GrantQuestion,
): Generator<GrantFinding> {
  if (request.action === "kms:RetireGrant") {
    if (question.retired === undefined) return yield* allFindings(reader, key, request, question)
    const grant = getGrant(reader, key, question.retired)
    if (grant !== undefined) yield finding(grant, request, false)
    return
  }
  const { tokenGrants } = question
  const operation = operationOf(request)
  const buckets = bucketsFor(isConstrained(operation) ? (request.encryptionContext ?? {}) : {})
  for (const name of granteeNames(request.caller))
    for (const bucket of buckets)
      for (const grant of grantsFitting(reader, key, name, operation, bucket))
        yield finding(grant, request, tokenGrants.has(grant.grantId))
}

/** The same of every grant on the key, those to the caller first, for explanations. */
export function* allFindings(
  reader: StoreReader,
  key: Key,
  request: PolicyRequest,
  { tokenGrants }: GrantQuestion,
): Generator<GrantFinding> {
  const isTo = (grant: Grant): boolean => naming(request.caller, grantee(grant)) !== undefined
  const grants = [...allGrants(reader, key)]
  for (const grant of [...grants.filter(isTo), ...grants.filter((grant) => !isTo(grant))])
    yield finding(grant, request, tokenGrants.has(grant.grantId))
}

function finding(grant: Grant, request: PolicyRequest, hasToken: boolean): GrantFinding {
  const { grantId, operations } = grant
  if (request.action === "kms:RetireGrant") {
    const named = mayRetire(grant, request)
    if (named === undefined) return { grantId, allows: false, why: "the caller is none of those who may retire it" }
    return { grantId, ...allows(named), why: `${who(named)} may retire it` }
  }
  const named = naming(request.caller, grantee(grant))
  if (named === undefined) return { grantId, allows: false, why: "the grantee is another principal" }
  const why = againstUse(grant, request, hasToken)
  if (why !== undefined) return { grantId, allows: false, why }
  return { grantId, ...allows(named), why: `it lets ${who(named)} ${operations.join(", ")}` }
}

/** How a grant names somebody: as such, or by the account. */
type Naming = "caller" | "account"

const allows = (named: Naming): Pick<GrantFinding, "allows" | "throughAccount"> =>
  named === "caller" ? { allows: true } : { allows: true, throughAccount: true }

const who = (named: Naming): string =>
  named === "caller" ? "the caller" : "those of the caller's account whom an identity policy lets"

const rootArn = ({ arn, accountId }: Caller): string => `arn:${arn.split(":")[1]}:iam::${accountId}:root`

/** GRT-4.1: a role's session by its own ARN or the role's, a service by its name, everybody by the account's root. */
const granteeNames = (caller: Caller): readonly string[] =>
  caller.type === "AWSService" ? [caller.name] : [...new Set([caller.identityArn, caller.arn, rootArn(caller)])]

/** Somebody as a grant has it. */
interface Named {
  readonly arn: string | undefined
  readonly id: string | undefined
  readonly service: string | undefined
}

const grantee = ({ granteePrincipal, granteeId, granteeServicePrincipal }: Grant): Named => ({
  arn: granteePrincipal,
  id: granteeId,
  service: granteeServicePrincipal,
})

function naming(caller: Caller, { arn, id, service }: Named): Naming | undefined {
  if (caller.type === "AWSService") return service === caller.name ? "caller" : undefined
  // GRT-4.6
  if (id !== undefined && caller.userId?.split(":")[0] !== id) return undefined
  if (arn === caller.arn || arn === caller.identityArn) return "caller"
  return arn === rootArn(caller) ? "account" : undefined
}

const operationOf = ({ action }: PolicyRequest): string => action.slice("kms:".length)

/** What stands against a use of the grant by its grantee; `undefined` where nothing does. */
function againstUse(grant: Grant, request: PolicyRequest, hasToken: boolean): string | undefined {
  const { constraints = {}, operations, effectiveAt = 0 } = grant
  const operation = operationOf(request)
  if (!operations.includes(operation)) return `${operation} is not among its operations, ${operations.join(", ")}`
  // GRT-4.4
  if (constraints.SourceArn !== undefined && conditionOf(request, "aws:SourceArn") !== constraints.SourceArn)
    return `it is for requests on behalf of ${constraints.SourceArn} only`
  // GRT-3.2
  if (request.now < effectiveAt && !hasToken) return "it is not in effect yet, and the request has no token of it"
  if (operation === "CreateGrant") return againstChild(grant, request)
  const constraint = contextConstraint(constraints)
  if (constraint === undefined || !isConstrained(operation)) return undefined
  if (meetsConstraint(constraint, request.encryptionContext ?? {})) return undefined
  return `the encryption context does not meet its constraint ${shown(constraint)}`
}

/** GRT-4.5: what stands against a grant that the grantee makes by this one. */
function againstChild(parent: Grant, request: PolicyRequest): string | undefined {
  const more = listOf(request, "kms:GrantOperations").filter((operation) => !parent.operations.includes(operation))
  if (more.length > 0) return `the new grant would allow more: ${more.join(", ")}`
  const { constraints = {} } = parent
  if (
    constraints.SourceArn !== undefined &&
    conditionOf(request, "kms:GrantConstraintSourceArn") !== constraints.SourceArn
  )
    return `the new grant would lack its constraint to ${constraints.SourceArn}`
  const constraint = contextConstraint(constraints)
  if (constraint === undefined || isAsStrict(childConstraint(request), constraint)) return undefined
  return `the new grant's constraint would be less strict than ${shown(constraint)}`
}

function childConstraint(request: PolicyRequest): ContextConstraint | undefined {
  const type = conditionOf(request, "kms:GrantConstraintType")
  return type === "EncryptionContextEquals" || type === "EncryptionContextSubset"
    ? { type, context: request.encryptionContext ?? {} }
    : undefined
}

/** GRT-5.2: its retiring principal, a grantee with RetireGrant, and the accounts that issued it and that have the key. */
function mayRetire(grant: Grant, { caller, resourceAccountId }: PolicyRequest): Naming | undefined {
  const { retiringPrincipal, retiringId, retiringServicePrincipal } = grant
  const isGrantee = grant.operations.includes("RetireGrant")
  const named = [
    naming(caller, { arn: retiringPrincipal, id: retiringId, service: retiringServicePrincipal }),
    isGrantee ? naming(caller, grantee(grant)) : undefined,
  ]
  if (named.includes("caller")) return "caller"
  const isOfAccount = [grant.issuingAccountId, resourceAccountId].includes(caller.accountId)
  if (caller.type === "AWSService" || (!isOfAccount && !named.includes("account"))) return undefined
  return caller.type === "Root" ? "caller" : "account"
}

const shown = ({ type, context }: ContextConstraint): string => `${type} ${JSON.stringify(context)}`

function conditionOf({ conditions = {} }: PolicyRequest, name: string): string | undefined {
  const value = conditions[name]
  return typeof value === "string" ? value : undefined
}

function listOf({ conditions = {} }: PolicyRequest, name: string): readonly string[] {
  const value = conditions[name] ?? []
  return typeof value === "string" ? [value] : value
}
