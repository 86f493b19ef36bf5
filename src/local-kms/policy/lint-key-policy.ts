import type { KmsAction } from "./actions.ts"
import type { StatedPrincipal } from "./document.ts"
import { finding, type Linted, type LintedStatement, type LintFinding } from "./lint-finding.ts"
import { operators } from "./operators.ts"

/** Rules that look at a key policy as a whole: who ends up with what. */
export function lintKeyPolicy(linted: Linted): LintFinding[] {
  return [
    ...lintAdministration(linted),
    ...lintSeparation(linted),
    ...linted.statements.flatMap((statement) => [
      ...lintWildcard(statement),
      ...lintDeny(statement),
      ...lintOtherAccounts(statement, linted),
      ...lintGrants(statement),
    ]),
  ]
}

const allows = ({ statement }: LintedStatement): boolean => statement.effect === "Allow"
const includes = ({ actions }: LintedStatement, name: string): boolean => actions.some((action) => action.name === name)

const principalsOf = ({ statement }: LintedStatement): readonly StatedPrincipal[] => statement.principals?.values ?? []

function lintAdministration({ statements, accountId }: Linted): LintFinding[] {
  const administering = statements.filter((candidate) => allows(candidate) && includes(candidate, "kms:PutKeyPolicy"))
  const canBeInAccount = (stated: StatedPrincipal): boolean =>
    stated.type === "account" || stated.type === "arn"
      ? accountId === undefined || stated.accountId === accountId
      : stated.type === "anyone" || stated.type === "uniqueId"
  if (!administering.some((candidate) => principalsOf(candidate).some(canBeInAccount)))
    return [
      finding(
        "nobody-can-administer",
        "error",
        "Nobody in the key's account may call kms:PutKeyPolicy: the policy could never be changed again.",
      ),
    ]
  const namesAccount = statements.some(
    (candidate) =>
      allows(candidate) &&
      principalsOf(candidate).some(
        (stated) => stated.type === "account" && (accountId === undefined || stated.accountId === accountId),
      ),
  )
  if (namesAccount) return []
  return [
    finding(
      "missing-account-root",
      "warning",
      "No statement allows the account (arn:aws:iam::…:root): identity policies have no effect on the key, and if the named principals are deleted, nobody can manage it.",
    ),
  ]
}

/** What each principal is allowed over all statements, by the text that names it. */
function allowedActions({ statements }: Linted): Map<string, { stated: StatedPrincipal; actions: Set<KmsAction> }> {
  const all = new Map<string, { stated: StatedPrincipal; actions: Set<KmsAction> }>()
  for (const candidate of statements.filter(allows))
    for (const stated of principalsOf(candidate)) {
      const entry = all.get(stated.text) ?? { stated, actions: new Set() }
      for (const action of candidate.actions) entry.actions.add(action)
      all.set(stated.text, entry)
    }
  return all
}

/** Actions with which an administrator could destroy data or let itself in. */
const critical = ["kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:DeleteImportedKeyMaterial", "kms:DisableKey"]

function lintSeparation(linted: Linted): LintFinding[] {
  return [...allowedActions(linted).values()].flatMap(({ stated, actions }) => {
    const manages = [...actions].find(({ name }) => critical.includes(name))
    const uses = [...actions].find(({ kind, authority }) => kind === "use" && authority === "key")
    if (manages === undefined || uses === undefined) return []
    const isAccount = stated.type === "account"
    return [
      finding(
        "manages-and-uses",
        isAccount ? "note" : "warning",
        isAccount
          ? `Identity policies of ${stated.text} may let one principal both manage the key and use it.`
          : `${stated.text} both manages the key (${manages.name}) and uses it (${uses.name}).`,
      ),
    ]
  })
}

const callerKeys =
  /^(?:kms:calleraccount|aws:(?:principal(?:arn|account|orgid|orgpaths|tag\/.+)|userid|username|sourceaccount|sourcearn|sourceorgid))$/i

function lintWildcard(candidate: LintedStatement): LintFinding[] {
  const { statement } = candidate
  if (!allows(candidate) || !principalsOf(candidate).some(({ type }) => type === "anyone")) return []
  const narrows = statement.conditions.some(
    ({ key, comparison, set, ifExists }) =>
      callerKeys.test(key) && operators.get(comparison)?.negated === false && !ifExists && set !== "ForAllValues",
  )
  return narrows
    ? []
    : [
        finding(
          "wildcard-principal",
          "error",
          'Principal "*" allows every principal of the account, and other accounts as far as their identity policies allow; narrow it with a condition such as kms:CallerAccount.',
          statement,
        ),
      ]
}

function lintDeny(candidate: LintedStatement): LintFinding[] {
  const { statement } = candidate
  const isForEveryone =
    statement.principals?.negated === false && principalsOf(candidate).some(({ type }) => type === "anyone")
  if (
    allows(candidate) ||
    !isForEveryone ||
    statement.conditions.length > 0 ||
    !includes(candidate, "kms:PutKeyPolicy")
  )
    return []
  return [
    finding(
      "deny-everyone",
      "error",
      "An unconditional Deny for everybody includes kms:PutKeyPolicy: the policy could never be changed again.",
      statement,
    ),
  ]
}

function lintOtherAccounts(candidate: LintedStatement, { accountId }: Linted): LintFinding[] {
  const { statement, actions } = candidate
  if (!allows(candidate) || accountId === undefined) return []
  const stated = principalsOf(candidate)
  const others = stated.filter(
    (principal) => (principal.type === "account" || principal.type === "arn") && principal.accountId !== accountId,
  )
  if (others.length === 0) return []
  const names = others.map(({ text }) => text).join(", ")
  const findings = [
    finding(
      "external-account",
      "note",
      `Principals outside the key's account: ${names}. They need an identity policy of their own account as well.`,
      statement,
    ),
  ]
  const never = actions.filter(({ crossAccount }) => !crossAccount)
  if (others.length === stated.length && never.length > 0)
    findings.push(
      finding(
        "cross-account-action",
        "warning",
        `Never allowed from another account, whatever the policy says: ${never.map(({ name }) => name).join(", ")}.`,
        statement,
      ),
    )
  return findings
}

const grantKeys = /^kms:(?:Grant|Retiring)/i

function lintGrants(candidate: LintedStatement): LintFinding[] {
  const { statement } = candidate
  if (!allows(candidate) || !includes(candidate, "kms:CreateGrant") || includes(candidate, "kms:PutKeyPolicy"))
    return []
  if (statement.conditions.some(({ key }) => grantKeys.test(key))) return []
  return [
    finding(
      "unlimited-grants",
      "warning",
      "kms:CreateGrant without a condition hands every permission on the key to anybody; limit it with kms:GrantIsForAWSResource or kms:GrantOperations.",
      statement,
    ),
  ]
}
