import type { Condition, PolicyVersion } from "./document.ts"
import { type Comparison, operators } from "./operators.ts"
import { isResolvable, type Lookup } from "./pattern.ts"

export interface CompiledCondition {
  readonly condition: Condition
  holds(lookup: Lookup): boolean
}

export function compileCondition(condition: Condition, version: PolicyVersion): CompiledCondition {
  const key = condition.key.toLowerCase()
  if (condition.comparison === "Null") return { condition, holds: compileNull(key, condition.values) }
  const operator = operators.get(condition.comparison)
  if (operator === undefined) throw new TypeError(`unknown condition operator ${condition.operator}`)
  const comparisons = condition.values.map((value) => readComparison(operator.read(value, version)))
  return { condition, holds: (lookup) => holds(condition, operator.negated, comparisons, lookup(key), lookup) }
}

function readComparison(comparison: Comparison | string): Comparison {
  if (typeof comparison === "string") throw new TypeError(comparison)
  return comparison
}

/** POL-5.5: `true` asks for the key's absence; one of several values is enough. */
function compileNull(key: string, values: readonly string[]): (lookup: Lookup) => boolean {
  const wanted = values.map((value) => value.toLowerCase() === "true")
  return (lookup) => wanted.includes(!isPresent(lookup(key)))
}

const isPresent = (values: readonly string[] | undefined): values is readonly string[] =>
  values !== undefined && values.length > 0

function holds(
  { set, ifExists }: Condition,
  negated: boolean,
  comparisons: readonly Comparison[],
  values: readonly string[] | undefined,
  lookup: Lookup,
): boolean {
  const present = isPresent(values)
  if (!present) return missingKey(set, ifExists, negated)
  // POL-4.3: "none of these" says nothing while one of them is unknown.
  if (negated && comparisons.some(({ pattern }) => pattern !== undefined && !isResolvable(pattern, lookup)))
    return false
  const matches = (value: string): boolean => comparisons.some((comparison) => comparison.matches(value, lookup))
  if (set === "ForAllValues") return isEmpty(values) || values.every((value) => matches(value) !== negated)
  if (set === "ForAnyValue") return !isEmpty(values) && values.some((value) => matches(value) !== negated)
  // Without a set operator a negated comparison is the opposite of its positive one, also over several values.
  return values.some(matches) !== negated
}

/** POL-5.3 and POL-5.4. */
function missingKey(set: Condition["set"], ifExists: boolean, negated: boolean): boolean {
  if (ifExists || set === "ForAllValues") return true
  return set === undefined && negated
}

/** A set of empty values counts as no set (POL-5.4). */
const isEmpty = (values: readonly string[]): boolean => values.every((value) => value === "")
