import type { EncryptionContext } from "../../core/index.ts"
import type { Key } from "../keys.ts"
import type { Caller, GrantFinding, PolicyRequest } from "../policy/index.ts"
import type { StoreReader } from "../store/store.ts"
import { type ContextConstraint, isAsStrict, meetsConstraint } from "./constraints.ts"
import { isConstrained } from "./operations.ts"
import { allGrants, type Grant, type GrantConstraints, getGrant, grantsTo } from "./records.ts"
import { findToken } from "./tokens.ts"

/** What the question is about beside the request. */
export interface GrantQuestion {
  /** As the request brought them. */
  readonly grantTokens: readonly string[]
  /** The grant that is to be retired. */
  readonly retired?: string | undefined
}

/**
 * What the grants on a key that could allow a request say about it: those to the caller, and of a RetireGrant the one that
 * it names. Asked only where policies do not settle the request.
 *
 * @param request the caller, the action (for instance `kms:Decrypt`), and the encryption context; of a CreateGrant the
 * context is its constraint's
 */
export function grantsFor(
  reader: StoreReader,
  key: Key,
  request: PolicyRequest,
  question: GrantQuestion,
): readonly GrantFinding[] {
  if (question.retired !== undefined) {
    const grant = getGrant(reader, key, question.retired)
    return grant === undefined ? [] : [finding(grant, request, false)]
  }
  if (request.action === "kms:RetireGrant") return allFindings(reader, key, request, question.grantTokens)
  const candidates = granteeNames(request.caller).flatMap((name) => [...grantsTo(reader, key, name)])
  return findings(reader, candidates, request, question.grantTokens)
}

/** The same of every grant on the key, for explanations. */
export const allFindings = (
  reader: StoreReader,
  key: Key,
  request: PolicyRequest,
  grantTokens: readonly string[],
): readonly GrantFinding[] => findings(reader, [...allGrants(reader, key)], request, grantTokens)

function findings(
  reader: StoreReader,
  grants: readonly Grant[],
  request: PolicyRequest,
  grantTokens: readonly string[],
): GrantFinding[] {
  const withToken = new Set(grantTokens.flatMap((token) => findToken(reader, token)?.grantId ?? []))
  return grants.map((grant) => finding(grant, request, withToken.has(grant.grantId)))
}

function finding(grant: Grant, request: PolicyRequest, hasToken: boolean): GrantFinding {
  const against =
    request.action === "kms:RetireGrant" ? againstRetiring(grant, request) : againstUse(grant, request, hasToken)
  return { grantId: grant.grantId, allows: against === undefined, why: against ?? because(grant, request) }
}

const because = ({ operations }: Grant, { action }: PolicyRequest): string =>
  action === "kms:RetireGrant" ? "the caller may retire it" : `it lets the caller ${operations.join(", ")}`

/** How a grant names a caller: a role's session by its own ARN or the role's, a service by its name (GRT-4.1). */
const granteeNames = ({ type, arn, identityArn, name }: Caller): readonly string[] =>
  type === "AWSService" ? [name] : [...new Set([identityArn, arn])]

const isNamed = (caller: Caller, principal: string | undefined, service: string | undefined): boolean =>
  granteeNames(caller).includes((caller.type === "AWSService" ? service : principal) ?? "")

/** GRT-4.1: what stands against a use of the grant; `undefined` where nothing does. */
function againstUse(grant: Grant, request: PolicyRequest, hasToken: boolean): string | undefined {
  const { constraints = {}, operations, effectiveAt = 0 } = grant
  const operation = request.action.slice("kms:".length)
  if (!isNamed(request.caller, grant.granteePrincipal, grant.granteeServicePrincipal))
    return "the grantee is another principal"
  if (!operations.includes(operation)) return `${operation} is not among its operations, ${operations.join(", ")}`
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

/** GRT-5.2: its retiring principal, a grantee with RetireGrant, and the root of the account that issued it. */
function againstRetiring(grant: Grant, { caller }: PolicyRequest): string | undefined {
  const { operations, retiringPrincipal, retiringServicePrincipal, issuingAccountId } = grant
  if (isNamed(caller, retiringPrincipal, retiringServicePrincipal)) return undefined
  const isGrantee = isNamed(caller, grant.granteePrincipal, grant.granteeServicePrincipal)
  if (isGrantee && operations.includes("RetireGrant")) return undefined
  if (caller.type === "Root" && caller.accountId === issuingAccountId) return undefined
  return "the caller is neither its retiring principal, nor a grantee with RetireGrant, nor the account that issued it"
}

export function contextConstraint({
  EncryptionContextEquals,
  EncryptionContextSubset,
}: GrantConstraints): ContextConstraint | undefined {
  if (EncryptionContextEquals !== undefined) return of("EncryptionContextEquals", EncryptionContextEquals)
  return EncryptionContextSubset && of("EncryptionContextSubset", EncryptionContextSubset)
}

const of = (type: ContextConstraint["type"], context: EncryptionContext): ContextConstraint => ({ type, context })

const shown = ({ type, context }: ContextConstraint): string => `${type} ${JSON.stringify(context)}`

function conditionOf({ conditions = {} }: PolicyRequest, name: string): string | undefined {
  const value = conditions[name]
  return typeof value === "string" ? value : undefined
}

function listOf({ conditions = {} }: PolicyRequest, name: string): readonly string[] {
  const value = conditions[name] ?? []
  return typeof value === "string" ? [value] : value
}
