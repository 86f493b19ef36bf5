import { findAction } from "./actions.ts"
import { type CompiledStatement, compiled } from "./compile.ts"
import { requestContext } from "./context.ts"
import { accessDeniedMessage } from "./denial.ts"
import type { Condition, Policy, PolicyKind, Statement, ValueList } from "./document.ts"
import { type Decision, evaluate, type GrantFinding, type PolicySet } from "./evaluate.ts"
import type { Lookup } from "./pattern.ts"
import { matchPrincipals, type PrincipalMatch } from "./principals.ts"
import { isKeyRequest, type PolicyRequest } from "./request.ts"

/** One element of a statement against one request. */
export interface ElementExplanation {
  /** For instance `Principal`, `NotAction` or `Condition StringEquals kms:ViaService`. */
  readonly element: string
  readonly matched: boolean
  /** What the policy says and what the request has. */
  readonly text: string
}

export interface StatementExplanation {
  readonly index: number
  readonly sid?: string
  readonly effect: "Allow" | "Deny"
  /** True when every element matched: the statement applies. */
  readonly applies: boolean
  /** `account`: the statement allows the caller's account, so that identity policies decide further. */
  readonly principal: PrincipalMatch
  readonly elements: readonly ElementExplanation[]
}

export interface PolicyExplanation {
  /** `key policy`, or the name of an identity policy. */
  readonly name: string
  readonly kind: PolicyKind
  readonly inheritedFrom?: string
  readonly statements: readonly StatementExplanation[]
}

/** Why a request is answered as it is. The decision is the one that `evaluate` gives (POL-7.2). */
export interface Explanation {
  readonly request: PolicyRequest
  readonly decision: Decision
  /** The message of the refusal; absent when the request is allowed. */
  readonly message?: string
  readonly policies: readonly PolicyExplanation[]
  /** What the key's grants say; empty where no grant could matter. */
  readonly grants: readonly GrantFinding[]
}

/** Looks at every statement of every policy, also at those that cannot matter any more. */
export function explain(request: PolicyRequest, policies: PolicySet): Explanation {
  const context = requestContext(request)
  const decision = evaluate(request, policies)
  const explained: PolicyExplanation[] = []
  if (policies.keyPolicy !== undefined && isKeyRequest(request) && findAction(request.action)?.authority !== "grant")
    explained.push(explainPolicy("key policy", policies.keyPolicy, request, context("key")))
  for (const { policy, name, inheritedFrom } of policies.identityPolicies)
    explained.push({
      ...explainPolicy(name, policy, request, context("identity")),
      ...(inheritedFrom === undefined ? {} : { inheritedFrom }),
    })
  if (policies.sessionPolicy !== undefined)
    explained.push(explainPolicy("session policy", policies.sessionPolicy, request, context("identity")))
  return {
    request,
    decision,
    ...(decision.allowed ? {} : { message: accessDeniedMessage(request, decision) }),
    policies: explained,
    grants: isKeyRequest(request) ? [...(policies.grants?.(request) ?? [])] : [],
  }
}

const explainPolicy = (name: string, policy: Policy, request: PolicyRequest, lookup: Lookup): PolicyExplanation => ({
  name,
  kind: policy.kind,
  statements: compiled(policy).map((statement) => explainStatement(statement, request, lookup)),
})

function explainStatement(candidate: CompiledStatement, request: PolicyRequest, lookup: Lookup): StatementExplanation {
  const { statement } = candidate
  const principal = matchPrincipals(statement, request.caller)
  const elements = [
    ...(statement.principals === undefined ? [] : [explainPrincipal(statement, principal, request)]),
    explainList("Action", statement.actions, candidate.matchesAction(request.action.toLowerCase()), request.action),
    explainList("Resource", statement.resources, candidate.matchesResource(request.resource, lookup), request.resource),
    ...candidate.conditions.map(({ condition, holds }) => explainCondition(condition, holds(lookup), lookup)),
  ]
  const applies = elements.every(({ matched }) => matched)
  return {
    index: statement.index,
    ...(statement.sid === undefined ? {} : { sid: statement.sid }),
    effect: statement.effect,
    applies,
    principal,
    elements,
  }
}

function explainPrincipal(
  { principals }: Statement,
  match: PrincipalMatch,
  request: PolicyRequest,
): ElementExplanation {
  const { negated, values } = principals!
  const stated = list(values.map(({ text }) => text))
  const { arn, identityArn } = request.caller
  const caller = arn === identityArn ? arn : `${arn} (${identityArn})`
  const text = {
    direct: negated
      ? `the caller ${caller} is not excepted by ${stated}`
      : `the caller ${caller} is named by ${stated}`,
    account: `the account of the caller ${caller} is named by ${stated}: identity policies decide further`,
    none: negated ? `the caller ${caller} is excepted by ${stated}` : `the caller ${caller} is not named by ${stated}`,
  }[match]
  return { element: negated ? "NotPrincipal" : "Principal", matched: match !== "none", text }
}

function explainList(
  name: "Action" | "Resource",
  stated: ValueList | undefined,
  matched: boolean,
  actual: string,
): ElementExplanation {
  if (stated === undefined)
    return { element: name, matched: false, text: `the statement has no ${name}, and so no effect` }
  // Of NotAction and NotResource the opposite of matching is told.
  const isAmong = matched !== stated.negated
  return {
    element: stated.negated ? `Not${name}` : name,
    matched,
    text: `${actual} is ${isAmong ? "" : "not "}among ${list(stated.values)}`,
  }
}

function explainCondition(condition: Condition, matched: boolean, lookup: Lookup): ElementExplanation {
  const { operator, key, values } = condition
  const actual = lookup(key.toLowerCase())
  const has =
    actual === undefined || actual.length === 0 ? "the request has no such key" : `the request has ${list(actual)}`
  return { element: `Condition ${operator} ${key}`, matched, text: `the policy asks for ${list(values)}, ${has}` }
}

const SHOWN = 8

const list = (values: readonly string[]): string => {
  const shown = values.slice(0, SHOWN).map((value) => JSON.stringify(value))
  return values.length > SHOWN ? `${shown.join(", ")} and ${values.length - SHOWN} more` : shown.join(", ")
}
