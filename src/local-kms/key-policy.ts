import { policyRequest } from "./authorization.ts"
import type { Call } from "./call.ts"
import { limitExceeded, malformedPolicy } from "./faults.ts"
import { keyArn, type Scope } from "./identifiers.ts"
import {
  canPutKeyPolicyAgain,
  describeProblem,
  LOCKOUT_MESSAGE,
  namedPrincipals,
  type Policy,
  type PolicyProblem,
  readPolicy,
} from "./policy/index.ts"
import { isKnownPrincipal } from "./principals/records.ts"
import type { StoreReader } from "./store/store.ts"

/** What CreateKey, ReplicateKey and PutKeyPolicy say of a policy. */
interface GivenPolicy {
  readonly Policy: string
  readonly BypassPolicyLockoutSafetyCheck?: boolean | undefined
}

const INVALID_PRINCIPAL = "Policy contains a statement with one or more invalid principals."

/**
 * Whether a key may be given a policy (POL-8).
 *
 * @param owner the key's account and Region
 * @throws KmsFault `MalformedPolicyDocumentException`, `LimitExceededException`
 */
export function checkKeyPolicy(call: Call, given: GivenPolicy, owner: Scope, keyId: string): void {
  const parsed = readPolicy(given.Policy, "key")
  if (!parsed.ok) throw policyFault(parsed.problems)
  const unknown = call.registeredOnly ? unknownPrincipals(call.tx, parsed.policy) : []
  if (unknown.length > 0) throw malformedPolicy(`${INVALID_PRINCIPAL} (not registered: ${unknown.join(", ")})`)
  if (given.BypassPolicyLockoutSafetyCheck === true) return
  const request = policyRequest(call.tx, call.asker, {
    action: "kms:PutKeyPolicy",
    resource: keyArn(owner, keyId),
    resourceAccountId: owner.accountId,
    parameters: call.parameters(),
  })
  if (!canPutKeyPolicyAgain(parsed.policy, request, call.asker.known.identityPolicies))
    throw malformedPolicy(LOCKOUT_MESSAGE)
}

const policyFault = (problems: readonly PolicyProblem[]) =>
  problems[0]!.code === "LimitExceeded"
    ? limitExceeded(problems[0]!.message)
    : malformedPolicy(problems.map(describeProblem).join("; "))

/** POL-8.2. */
const unknownPrincipals = (reader: StoreReader, policy: Policy): string[] =>
  namedPrincipals(policy).filter((text) => !isKnownPrincipal(reader, text))
