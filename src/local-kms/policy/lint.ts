import { kmsActions } from "./actions.ts"
import { compiled } from "./compile.ts"
import type { Policy } from "./document.ts"
import { lintConditions } from "./lint-conditions.ts"
import type { Linted, LintFinding } from "./lint-finding.ts"
import { lintKeyPolicy } from "./lint-key-policy.ts"
import { lintStatement } from "./lint-statement.ts"

export interface LintOptions {
  /** The account of the key, where known: tells own principals from others. */
  readonly accountId?: string
}

/** What is well-formed and still wrong or risky in a policy (POL-9.1), worst first. */
export function lint(policy: Policy, options: LintOptions = {}): readonly LintFinding[] {
  const statements = compiled(policy).map((statement) => ({
    statement: statement.statement,
    compiled: statement,
    actions:
      statement.statement.resources === undefined
        ? []
        : kmsActions.filter(({ name }) => statement.matchesAction(name.toLowerCase())),
  }))
  const linted: Linted = { policy, statements, ...options }
  const findings = [
    ...statements.flatMap((statement) => [...lintStatement(statement, linted), ...lintConditions(statement, linted)]),
    ...(policy.kind === "key" ? lintKeyPolicy(linted) : []),
  ]
  const order = ["error", "warning", "note"]
  return findings.sort((a, b) => order.indexOf(a.severity) - order.indexOf(b.severity))
}
