import { hasConditionKey, isKnownConditionKey, multiValuedKeys } from "./actions.ts"
import type { CompiledCondition } from "./condition.ts"
import type { Condition } from "./document.ts"
import { finding, type Linted, type LintedStatement, type LintFinding } from "./lint-finding.ts"
import { operators } from "./operators.ts"
import type { Lookup } from "./pattern.ts"

/** Rules about conditions: those that can never match, and those that match otherwise than they read. */
export function lintConditions(linted: LintedStatement, { policy }: Linted): LintFinding[] {
  const { statement, compiled } = linted
  const findings = statement.conditions.flatMap((condition) => [
    ...lintKey(condition, linted, policy.kind === "key"),
    ...lintValues(condition, linted),
    ...lintSetOperator(condition, linted),
    ...lintVariables(condition, linted, policy.version),
  ])
  return [...findings, ...contradictions(compiled.conditions, linted)]
}

/** Whether the condition fails when the request lacks the key. */
const needsKey = ({ comparison, set, ifExists, values }: Condition): boolean => {
  if (comparison === "Null") return values.every((value) => value.toLowerCase() === "false")
  return !ifExists && set !== "ForAllValues" && (set === "ForAnyValue" || operators.get(comparison)?.negated === false)
}

function lintKey(condition: Condition, { statement, actions }: LintedStatement, isKeyPolicy: boolean): LintFinding[] {
  const { key } = condition
  const report = (message: string): LintFinding[] => [finding("condition-never-matches", "error", message, statement)]
  if (!needsKey(condition)) return []
  if (/^kms:/i.test(key) && !isKnownConditionKey(key)) return report(`AWS KMS has no condition key ${key}.`)
  if (isKeyPolicy && key.toLowerCase() === "kms:resourcealiases")
    return report("kms:ResourceAliases is there for identity policies only; in a key policy it never matches.")
  if (actions.length > 0 && /^(?:kms|aws):/i.test(key) && !actions.some((action) => hasConditionKey(action, key)))
    return report(`None of the statement's actions has the condition key ${key}.`)
  return []
}

const VIA_SERVICE = /^[a-z0-9-]+\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?$/
const ACCOUNT = /^\d{12}$/
const oneOf = (...values: readonly string[]): RegExp => new RegExp(`^(?:${values.join("|")})$`)

/** The values that AWS gives a key, where they are few or of one form. */
const forms: ReadonlyMap<string, RegExp> = new Map([
  ["kms:calleraccount", ACCOUNT],
  ["aws:principalaccount", ACCOUNT],
  ["kms:viaservice", VIA_SERVICE],
  ["kms:keyorigin", oneOf("AWS_KMS", "EXTERNAL", "AWS_CLOUDHSM", "EXTERNAL_KEY_STORE")],
  ["kms:keyusage", oneOf("ENCRYPT_DECRYPT", "SIGN_VERIFY", "GENERATE_VERIFY_MAC", "KEY_AGREEMENT")],
  ["kms:multiregionkeytype", oneOf("PRIMARY", "REPLICA")],
  ["kms:expirationmodel", oneOf("KEY_MATERIAL_EXPIRES", "KEY_MATERIAL_DOES_NOT_EXPIRE")],
  ["kms:grantconstrainttype", oneOf("EncryptionContextEquals", "EncryptionContextSubset")],
  ["kms:requestalias", /^alias\//],
  ["kms:resourcealiases", /^alias\//],
])

const exactComparisons = ["StringEquals", "StringEqualsIgnoreCase"]
const arnComparisons = ["ArnEquals", "ArnLike"]

function lintValues(condition: Condition, { statement }: LintedStatement): LintFinding[] {
  const { comparison, key, values, operator } = condition
  const form = forms.get(key.toLowerCase())
  const isPlain = (value: string): boolean => !value.includes("${")
  const findings: LintFinding[] = []
  if (form !== undefined && comparison === "StringEquals")
    for (const value of values.filter((value) => isPlain(value) && !form.test(value)))
      findings.push(finding("condition-never-matches", "error", `${key} never has the value ${value}.`, statement))
  if (exactComparisons.includes(comparison))
    for (const value of values.filter((value) => /[*?]/.test(value.replace(/\$\{[*?$]\}/g, ""))))
      findings.push(
        finding(
          "literal-wildcard",
          "warning",
          `${operator} takes ${value} literally; StringLike has wildcards.`,
          statement,
        ),
      )
  if (arnComparisons.includes(comparison))
    for (const value of values.filter(
      (value) => value !== "*" && value.replace(/\$\{[^}]*\}/g, "").split(":").length < 6,
    ))
      findings.push(
        finding("condition-never-matches", "error", `${operator} compares ARNs, which ${value} is not.`, statement),
      )
  return findings
}

function lintSetOperator({ key, set, operator, comparison }: Condition, { statement }: LintedStatement): LintFinding[] {
  const isMultiValued = multiValuedKeys.has(key.toLowerCase())
  if (comparison === "Null" || isMultiValued === (set !== undefined)) return []
  const message = isMultiValued
    ? `${key} may have several values: say ForAnyValue or ForAllValues.`
    : `${key} has at most one value, so ${operator} matches otherwise than it reads; leave the set operator out.`
  return [finding("set-operator", "warning", message, statement)]
}

function lintVariables({ values, key }: Condition, { statement }: LintedStatement, version: string): LintFinding[] {
  if (version === "2012-10-17" || !values.some((value) => value.includes("${"))) return []
  return [
    finding(
      "variables-not-evaluated",
      "warning",
      `The variables of ${key} are plain text in version ${version}; version 2012-10-17 has variables.`,
      statement,
    ),
  ]
}

/** Conditions on one key that no value satisfies together, as far as trying the values they name can tell (POL-9.2). */
function contradictions(conditions: readonly CompiledCondition[], { statement }: LintedStatement): LintFinding[] {
  const byKey = new Map<string, CompiledCondition[]>()
  for (const compiled of conditions) {
    const key = compiled.condition.key.toLowerCase()
    byKey.set(key, [...(byKey.get(key) ?? []), compiled])
  }
  return [...byKey.values()]
    .filter((group) => group.length > 1 && isDecidable(group) && !isSatisfiable(group))
    .map((group) =>
      finding(
        "condition-never-matches",
        "error",
        `No value of ${group[0]!.condition.key} satisfies all of ${group.map(({ condition }) => condition.operator).join(", ")}.`,
        statement,
      ),
    )
}

/** Whether the values it holds for are those it names (and with IfExists none). */
const enumerates = ({ comparison, values }: Condition): boolean =>
  /^(?:StringEquals|Bool|BinaryEquals|NumericEquals|DateEquals)$/.test(comparison) ||
  (comparison === "Null" && values.every((value) => value.toLowerCase() === "true"))

/** Sets and variables are beyond trying; else one condition must name its values, or all be bounds. */
const isDecidable = (group: readonly CompiledCondition[]): boolean =>
  group.every(({ condition: { set, values } }) => set === undefined && !values.some((value) => value.includes("${"))) &&
  (group.some(({ condition }) => enumerates(condition)) ||
    group.every(({ condition }) => /^(?:Numeric|Date|Null)/.test(condition.comparison)))

function isSatisfiable(group: readonly CompiledCondition[]): boolean {
  const named = group.flatMap(({ condition }) => (condition.comparison === "Null" ? [] : condition.values))
  const candidates: (string | undefined)[] = [undefined, "", ...named, ...between(named)]
  return candidates.some((value) => {
    const lookup: Lookup = () => (value === undefined ? undefined : [value])
    return group.every(({ holds }) => holds(lookup))
  })
}

/** Numbers and dates around and between those named, as bounds exclude or include them. */
function between(values: readonly string[]): string[] {
  const numbers = values.map((value) => (/^[+-]?\d+(?:\.\d+)?$/.test(value) ? Number(value) : Date.parse(value) / 1000))
  const sorted = numbers.filter((number) => !Number.isNaN(number)).sort((a, b) => a - b)
  const middles = sorted.slice(1).map((number, index) => (number + sorted[index]!) / 2)
  return [...sorted.flatMap((number) => [number - 1, number + 1]), ...middles].map(String)
}
