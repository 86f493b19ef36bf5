import type { Policy } from "./document.ts"
import { type AttachedPolicy, evaluate } from "./evaluate.ts"
import type { PolicyRequest } from "./request.ts"

/** The message of `MalformedPolicyDocumentException` when a policy fails the check (POL-8.1). */
export const LOCKOUT_MESSAGE = "The new key policy will not allow you to update the key policy in the future."

/**
 * Whether the caller could change the key policy again once this one is in force: itself, or through its account and an
 * identity policy. Grants never help, as none can hold PutKeyPolicy.
 *
 * @param request the PutKeyPolicy or CreateKey at hand, with the ARN of the key (for CreateKey, of the new one)
 */
export const canPutKeyPolicyAgain = (
  newPolicy: Policy,
  request: PolicyRequest,
  identityPolicies: readonly AttachedPolicy[],
): boolean => evaluate({ ...request, action: "kms:PutKeyPolicy" }, { keyPolicy: newPolicy, identityPolicies }).allowed

/** The users, roles and sessions that a key policy names, which must exist when it is put (POL-8.2). */
export const namedPrincipals = (policy: Policy): readonly string[] => [
  ...new Set(
    policy.statements.flatMap(
      ({ principals }) =>
        principals?.values.filter(({ type }) => type === "arn" || type === "uniqueId").map(({ text }) => text) ?? [],
    ),
  ),
]
