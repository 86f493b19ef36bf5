import { statementLabel } from "./document.ts"
import type { Decision, GrantFinding, StatementReference } from "./evaluate.ts"
import type { Explanation, PolicyExplanation, StatementExplanation } from "./explain.ts"

/** An explanation for people: the answer and its reason first, then every policy, statement by statement. */
export function renderExplanation({ request, decision, message, policies, grants }: Explanation): string {
  const lines = [
    `${decision.allowed ? "ALLOWED" : "REFUSED"}: ${request.action} on ${request.resource}`,
    `  for ${request.caller.arn}`,
    `  ${describeDecision(decision)}`,
    ...(message === undefined ? [] : [`  AccessDeniedException: ${message}`]),
    ...policies.flatMap(renderPolicy),
    ...renderGrants(grants),
  ]
  return `${lines.join("\n")}\n`
}

const SHOWN_GRANTS = 20

/** A key may have tens of thousands. */
function renderGrants(grants: readonly GrantFinding[]): string[] {
  const lines = grants
    .slice(0, SHOWN_GRANTS)
    .map(({ grantId, allows, why }) => `grant ${grantId}: ${allows ? "allows" : "does not allow"}: ${why}`)
  const more = grants.length - lines.length
  return more === 0 ? lines : [...lines, `and ${more} more ${more === 1 ? "grant" : "grants"}, which come after these`]
}

const refer = ({ policy, ...statement }: StatementReference): string => `${policy}, ${statementLabel(statement)}`

const missing = {
  keyPolicy: "No statement of the key policy allows it, neither for the caller nor for the caller's account.",
  identityPolicy: "An identity policy would have to allow it, and none does.",
  grant:
    "Only a grant allows this action: its retiring principal, a grantee with RetireGrant, or the account may retire it.",
  sessionPolicy: "The session was limited when its role was assumed, and its session policy does not allow it.",
  crossAccount: "The action is never allowed from another account.",
} as const

/** One sentence: what allowed the request, or what stood against it. */
export function describeDecision(decision: Decision): string {
  if (!decision.allowed)
    return decision.reason === "explicitDeny"
      ? `Explicitly denied by ${refer(decision.statement)}; nothing can outweigh a Deny.`
      : missing[decision.missing]
  switch (decision.by) {
    case "keyPolicy":
      return `Allowed by ${refer(decision.statements[0])}, which names the caller.`
    case "accountDelegation": {
      const [inKeyPolicy, inIdentityPolicy] = decision.statements.map(refer)
      return inIdentityPolicy === undefined
        ? `Allowed by ${inKeyPolicy}, which names the account of which the caller is the root.`
        : `Allowed by ${inKeyPolicy}, together with ${inIdentityPolicy}.`
    }
    case "identityPolicy":
      return `Allowed by ${refer(decision.statements[0])}; no key policy has a say in it.`
    case "root":
      return "Allowed: the caller is the account's root, and no key policy has a say in it."
    case "grant": {
      const [inIdentityPolicy] = decision.statements.map(refer)
      const together =
        inIdentityPolicy === undefined ? "" : `, which names the account, together with ${inIdentityPolicy}`
      return `Allowed by the grant ${decision.grantId}${together}.`
    }
  }
}

function renderPolicy({ name, kind, inheritedFrom, statements }: PolicyExplanation): string[] {
  const title = kind === "key" ? name : `identity policy ${name}`
  return [
    `${title}${inheritedFrom === undefined ? "" : ` (from ${inheritedFrom})`}:`,
    ...statements.flatMap(renderStatement),
  ]
}

function renderStatement(statement: StatementExplanation): string[] {
  const { effect, applies, elements } = statement
  return [
    `  ${statementLabel(statement)} (${effect}): ${applies ? "applies" : "does not apply"}`,
    ...elements.map(({ element, matched, text }) => `    ${matched ? "yes" : "no "} ${element}: ${text}`),
  ]
}
