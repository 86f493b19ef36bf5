export { type ActionKind, findAction, hasConditionKey, type KmsAction, kmsActions } from "./actions.ts"
export { readPolicy } from "./compile.ts"
export { accessDeniedMessage, denialReason } from "./denial.ts"
export type { Policy, PolicyKind, Statement } from "./document.ts"
export {
  type Allowed,
  type AttachedPolicy,
  type Decision,
  evaluate,
  evaluateTrust,
  type GrantFinding,
  type PolicySet,
  type Refused,
  type StatementReference,
} from "./evaluate.ts"
export { type Explanation, explain } from "./explain.ts"
export { type LintOptions, lint } from "./lint.ts"
export type { LintFinding, LintRule } from "./lint-finding.ts"
export { canPutKeyPolicyAgain, LOCKOUT_MESSAGE, namedPrincipals } from "./lockout.ts"
export {
  accountUsePolicy,
  administratorsPolicy,
  defaultKeyPolicy,
  formatPolicy,
  type KeyOwner,
  managementPolicy,
  type PolicyDocument,
  splitUsePolicy,
  usePolicy,
  usersOnlyPolicy,
} from "./new-policy.ts"
export { aliasCondition, type ConditionValues, grantConstraint, parameterConditions } from "./parameter-conditions.ts"
export { type ParsedPolicy, parseIdentityPolicy, parseKeyPolicy } from "./parse.ts"
export { describeProblem, type PolicyProblem } from "./problems.ts"
export { describeDecision, renderExplanation } from "./render.ts"
export { type Replay, type ReplayedCall, type ReplayOptions, replay } from "./replay.ts"
export type { Caller, KeyFacts, PolicyRequest } from "./request.ts"
