import type { Condition, PolicyKind, PolicyVersion } from "./document.ts"
import { operators } from "./operators.ts"
import type { Problems } from "./problems.ts"

const OPERATOR = /^(?:(ForAllValues|ForAnyValue):)?([A-Za-z]+?)(IfExists)?$/
const KEY = /^[A-Za-z0-9-]+:.+$/

export interface ConditionRules {
  readonly kind: PolicyKind
  readonly version: PolicyVersion
}

export function readConditions(raw: unknown, path: string, rules: ConditionRules, problems: Problems): Condition[] {
  if (!isObject(raw)) {
    problems.add(path, "Condition must be an object of operators")
    return []
  }
  return Object.entries(raw).flatMap(([operator, keys]) =>
    readOperator(operator, keys, `${path}.${operator}`, rules, problems),
  )
}

const isObject = (raw: unknown): raw is Record<string, unknown> =>
  typeof raw === "object" && raw !== null && !Array.isArray(raw)

function readOperator(
  operator: string,
  keys: unknown,
  path: string,
  rules: ConditionRules,
  problems: Problems,
): Condition[] {
  const [, set, comparison = "", ifExists] = OPERATOR.exec(operator) ?? []
  if (!operators.has(comparison) && comparison !== "Null") {
    problems.add(path, `Unknown condition operator ${operator}`)
    return []
  }
  if (comparison === "Null" && (ifExists !== undefined || set !== undefined)) {
    problems.add(path, "Null takes neither a set operator nor IfExists")
    return []
  }
  if (!isObject(keys) || Object.keys(keys).length === 0) {
    problems.add(path, "A condition operator must hold an object of condition keys")
    return []
  }
  return Object.entries(keys).map(([key, stated]) => {
    const condition: Condition = {
      operator,
      comparison,
      ...(set === undefined ? {} : { set: set as "ForAllValues" | "ForAnyValue" }),
      ifExists: ifExists !== undefined,
      key,
      values: readValues(stated, `${path}.${key}`, problems),
    }
    checkCondition(condition, `${path}.${key}`, rules, problems)
    return condition
  })
}

/** Strings, numbers and booleans alike become text (POL-1.8). */
function readValues(stated: unknown, path: string, problems: Problems): string[] {
  const values = Array.isArray(stated) ? stated : [stated]
  if (values.length === 0) problems.add(path, "A condition must have at least one value")
  return values.flatMap((value: unknown) => {
    if (typeof value === "string" || typeof value === "boolean") return [String(value)]
    if (typeof value === "number") return [String(value)]
    problems.add(path, "The values of a condition are strings, numbers or booleans")
    return []
  })
}

function checkCondition(condition: Condition, path: string, rules: ConditionRules, problems: Problems): void {
  const { comparison, key, set, values } = condition
  if (!KEY.test(key)) problems.add(path, `'${key}' is no condition key such as aws:SourceIp`)
  for (const value of values) {
    const problem = comparison === "Null" ? checkNull(value) : operators.get(comparison)!.read(value, rules.version)
    if (typeof problem === "string") problems.add(path, problem)
  }
  if (rules.kind === "key" && set === "ForAllValues") refuseForAllValues(key, path, problems)
}

const checkNull = (value: string): string | undefined =>
  /^(?:true|false)$/i.test(value) ? undefined : `'${value}' is no boolean`

/** POL-1.9. The first text is recorded from AWS's documentation, the second formed after it. */
function refuseForAllValues(key: string, path: string, problems: Problems): void {
  const lower = key.toLowerCase()
  const text = (name: string, what: string): string =>
    `OverlyPermissiveCondition:${name}: Using the ForAllValues set operator with a single-valued condition key matches ` +
    `requests without the specified ${what} or with an unspecified ${what}. To fix, remove ForAllValues.`
  if (lower.startsWith("kms:encryptioncontext:")) problems.add(path, text("EncryptionContext", "encryption context"))
  if (lower.startsWith("aws:requesttag/")) problems.add(path, text("RequestTag", "tag"))
}
