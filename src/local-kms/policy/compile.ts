import { type CompiledCondition, compileCondition } from "./condition.ts"
import type { Policy, PolicyKind, Statement, ValueList } from "./document.ts"
import { type ParsedPolicy, parsePolicy } from "./parse.ts"
import { isResolvable, type Lookup, matchesPattern, type Pattern, wildcardPattern } from "./pattern.ts"
import { matchPrincipals, type PrincipalMatch } from "./principals.ts"
import type { PolicyRequest } from "./request.ts"

/** A statement whose patterns and values are read once and for all requests. */
export interface CompiledStatement {
  readonly statement: Statement
  readonly conditions: readonly CompiledCondition[]
  /** @param action in lower case */
  matchesAction(action: string): boolean
  matchesResource(resource: string, lookup: Lookup): boolean
}

const compiledStatements = new WeakMap<Policy, readonly CompiledStatement[]>()

export function compiled(policy: Policy): readonly CompiledStatement[] {
  let statements = compiledStatements.get(policy)
  if (statements === undefined) {
    statements = policy.statements.map((statement) => compileStatement(statement, policy))
    compiledStatements.set(policy, statements)
  }
  return statements
}

function compileStatement(statement: Statement, { version }: Policy): CompiledStatement {
  const { actions, resources, conditions } = statement
  return {
    statement,
    conditions: conditions.map((condition) => compileCondition(condition, version)),
    matchesAction: compileActions(actions),
    matchesResource: compileResources(
      resources?.values.map((value) => wildcardPattern(value, version)),
      resources,
    ),
  }
}

const noVariables: Lookup = () => undefined

/** POL-3.1: case never counts, and there are no variables. */
function compileActions(actions: ValueList | undefined): CompiledStatement["matchesAction"] {
  if (actions === undefined) return () => false
  const patterns = actions.values.map((value) => wildcardPattern(value.toLowerCase(), "2008-10-17"))
  return (action) => patterns.some((pattern) => matchesPattern(pattern, action, noVariables)) !== actions.negated
}

/** POL-3.2. */
function compileResources(
  patterns: readonly Pattern[] | undefined,
  resources: ValueList | undefined,
): CompiledStatement["matchesResource"] {
  if (patterns === undefined || resources === undefined) return () => false
  if (patterns.some(({ text }) => text === "*")) return () => !resources.negated
  return (resource, lookup) => {
    if (resources.negated && !patterns.every((pattern) => isResolvable(pattern, lookup))) return false
    return patterns.some((pattern) => matchesPattern(pattern, resource, lookup)) !== resources.negated
  }
}

/** Whether, and how, a statement applies to a request. Principals come last but for conditions: most fail on the action. */
export function matchStatement(
  { statement, conditions, matchesAction, matchesResource }: CompiledStatement,
  request: PolicyRequest,
  action: string,
  lookup: Lookup,
): PrincipalMatch {
  if (!matchesAction(action)) return "none"
  const principal = matchPrincipals(statement, request.caller)
  if (principal === "none" || !matchesResource(request.resource, lookup)) return "none"
  return conditions.every(({ holds }) => holds(lookup)) ? principal : "none"
}

const CACHE_SIZE = 1000

/** Each request brings the policies' texts from the store: the newest parsed ones are kept. */
const cache: Readonly<Record<PolicyKind, Map<string, ParsedPolicy>>> = { key: new Map(), identity: new Map() }

/** The same as parsing, remembered by text; the least recently used go first. */
export function readPolicy(text: string, kind: PolicyKind): ParsedPolicy {
  const known = cache[kind]
  const parsed = known.get(text) ?? parsePolicy(text, kind)
  known.delete(text)
  known.set(text, parsed)
  if (known.size > CACHE_SIZE) known.delete(known.keys().next().value!)
  return parsed
}
