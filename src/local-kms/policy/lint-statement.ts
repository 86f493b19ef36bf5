import { findAction, kmsActions } from "./actions.ts"
import { finding, type Linted, type LintedStatement, type LintFinding } from "./lint-finding.ts"
import { matchesPattern, wildcardPattern } from "./pattern.ts"

const aliasActions = ["kms:CreateAlias", "kms:UpdateAlias", "kms:DeleteAlias"]

/** Rules that look at one statement's elements, conditions aside. */
export function lintStatement(linted: LintedStatement, { policy }: Linted): LintFinding[] {
  const { statement } = linted
  const { effect, actions, resources, principals } = statement
  const findings: LintFinding[] = []
  if (actions === undefined)
    findings.push(finding("no-effect", "error", "Without Action the statement has no effect.", statement))
  if (resources === undefined)
    findings.push(finding("no-effect", "error", "Without Resource the statement has no effect.", statement))
  if (actions?.negated && effect === "Allow")
    findings.push(
      finding(
        "not-action-allow",
        "warning",
        "Allow with NotAction allows every other action, also those that AWS adds later.",
        statement,
      ),
    )
  if (principals?.negated)
    findings.push(
      finding(
        "not-principal",
        "warning",
        "NotPrincipal spares a caller only if it names the account, the user or role, and the role's session; a Deny on everybody with a condition on aws:PrincipalArn is easier to get right.",
        statement,
      ),
    )
  findings.push(...lintActions(linted, policy.kind === "key"))
  if (policy.kind === "key") findings.push(...lintKeyResource(linted))
  else findings.push(...lintAliasResources(linted))
  return findings
}

function lintActions({ statement }: LintedStatement, isKeyPolicy: boolean): LintFinding[] {
  const { actions } = statement
  if (actions === undefined) return []
  return actions.values.flatMap((value) => {
    const pattern = wildcardPattern(value.toLowerCase(), "2008-10-17")
    const isOfKms = value === "*" || value.toLowerCase().startsWith("kms:")
    // An identity policy may well be about other services.
    if (!isOfKms && !isKeyPolicy) return []
    if (!kmsActions.some(({ name }) => matchesPattern(pattern, name.toLowerCase(), () => undefined)))
      return [finding("unknown-action", "warning", `AWS KMS has no action ${value}.`, statement)]
    const authority = findAction(value)?.authority
    if (!isKeyPolicy || authority === undefined || authority === "key") return []
    const why = authority === "grant" ? "grants alone allow it" : "it is about no key: identity policies allow it"
    return [finding("no-effect", "note", `${value} has no effect in a key policy: ${why}.`, statement)]
  })
}

function lintKeyResource({ statement }: LintedStatement): LintFinding[] {
  const { resources } = statement
  if (resources === undefined || (!resources.negated && resources.values.includes("*"))) return []
  const message = resources.values.includes("*")
    ? "NotResource with * leaves nothing: the statement has no effect."
    : 'In a key policy Resource is "*", this key; another value is compared with the key\'s ARN and easily matches nothing.'
  return [finding("no-effect", "warning", message, statement)]
}

/** An alias in Resource is about the alias, never about the key behind it. */
function lintAliasResources({ statement, actions }: LintedStatement): LintFinding[] {
  const { resources } = statement
  if (resources === undefined || resources.negated || actions.every(({ name }) => aliasActions.includes(name)))
    return []
  return resources.values
    .filter((value) => /:alias\//.test(value))
    .map((value) =>
      finding(
        "alias-as-resource",
        "warning",
        `${value} lets nobody use the key behind the alias: name the key, or use the condition key kms:ResourceAliases or kms:RequestAlias.`,
        statement,
      ),
    )
}
