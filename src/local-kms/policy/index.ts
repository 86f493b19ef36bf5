export { findAction, hasConditionKey, kmsActions } from "./actions.ts"
export { readPolicy } from "./compile.ts"
export { accessDeniedMessage } from "./denial.ts"
export type { Policy, PolicyKind } from "./document.ts"
export {
  type AttachedPolicy,
  type Decision,
  evaluate,
  evaluateTrust,
  type GrantFinding,
  type PolicySet,
} from "./evaluate.ts"
export { type Explanation, explain } from "./explain.ts"
export { parseStrictJson } from "./json.ts"
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
export { type Replay, replay } from "./replay.ts"
export type { Caller, KeyFacts, PolicyRequest } from "./request.ts"
