/** A policy that was read and found well-formed. Evaluation takes nothing else (POL-1.1). */
export interface Policy {
  readonly kind: PolicyKind
  /** Without a version element, the older one. Variables work in the newer one only. */
  readonly version: PolicyVersion
  readonly id?: string
  readonly statements: readonly Statement[]
}

/** A key policy stands with the key; an identity policy with a user, a group or a role. */
export type PolicyKind = "key" | "identity"

export type PolicyVersion = "2008-10-17" | "2012-10-17"

export interface Statement {
  /** Counted from 0. */
  readonly index: number
  readonly sid?: string
  readonly effect: "Allow" | "Deny"
  /** In key policies only, and there always. */
  readonly principals?: PrincipalList
  /** Absent: the statement has no effect (POL-1.7). */
  readonly actions?: ValueList
  /** Absent: the statement has no effect (POL-1.7). */
  readonly resources?: ValueList
  readonly conditions: readonly Condition[]
}

/** `Action`, or when negated `NotAction`; likewise resources. */
export interface ValueList {
  readonly negated: boolean
  readonly values: readonly string[]
}

/** `Principal`, or when negated `NotPrincipal`. */
export interface PrincipalList {
  readonly negated: boolean
  readonly values: readonly StatedPrincipal[]
}

/** One principal as a policy states it; `text` is what the document says. */
export type StatedPrincipal = { readonly text: string } & (
  | { readonly type: "anyone" }
  /** Twelve digits, or the ARN of the account's root. */
  | { readonly type: "account"; readonly accountId: string; readonly partition?: string }
  /** A user, a role, a role session or a federated user. */
  | { readonly type: "arn"; readonly accountId: string }
  /** What AWS leaves in a policy when the user or role is deleted. */
  | { readonly type: "uniqueId" }
  | { readonly type: "service" }
  | { readonly type: "federated" }
  | { readonly type: "canonicalUser" }
)

/** One key under one operator; the conditions of a statement hold together. */
export interface Condition {
  /** As the document says, for instance `ForAnyValue:StringLikeIfExists`. */
  readonly operator: string
  /** The operator alone, for instance `StringLike`. */
  readonly comparison: string
  readonly set?: "ForAllValues" | "ForAnyValue"
  readonly ifExists: boolean
  /** As the document says; comparisons of key names ignore case. */
  readonly key: string
  /** At least one. */
  readonly values: readonly string[]
}

/** How texts name a statement. */
export const statementLabel = ({ index, sid }: Pick<Statement, "index" | "sid">): string =>
  sid === undefined || sid === "" ? `statement ${index + 1}` : `statement ${index + 1} "${sid}"`
