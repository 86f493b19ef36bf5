import type { KmsAction } from "./actions.ts"
import type { CompiledStatement } from "./compile.ts"
import type { Policy, Statement } from "./document.ts"

export type LintRule =
  | "alias-as-resource"
  | "condition-never-matches"
  | "cross-account-action"
  | "deny-everyone"
  | "external-account"
  | "literal-wildcard"
  | "manages-and-uses"
  | "missing-account-root"
  | "no-effect"
  | "nobody-can-administer"
  | "not-action-allow"
  | "not-principal"
  | "set-operator"
  | "unknown-action"
  | "unlimited-grants"
  | "variables-not-evaluated"
  | "wildcard-principal"

export interface LintFinding {
  readonly rule: LintRule
  /** `error`: surely not what was meant; `warning`: probably not; `note`: worth knowing. */
  readonly severity: "error" | "warning" | "note"
  /** Absent when the finding is about the policy as a whole. */
  readonly statement?: { readonly index: number; readonly sid?: string }
  readonly message: string
}

/** A statement with what several rules ask of it. */
export interface LintedStatement {
  readonly statement: Statement
  readonly compiled: CompiledStatement
  /** The actions of AWS KMS that it is about; none when it has no effect. */
  readonly actions: readonly KmsAction[]
}

export interface Linted {
  readonly policy: Policy
  readonly statements: readonly LintedStatement[]
  readonly accountId?: string
}

export const finding = (
  rule: LintRule,
  severity: LintFinding["severity"],
  message: string,
  statement?: Statement,
): LintFinding => ({
  rule,
  severity,
  message,
  ...(statement === undefined
    ? {}
    : { statement: { index: statement.index, ...(statement.sid === undefined ? {} : { sid: statement.sid }) } }),
})
