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
import { findPrincipal, getPrincipal, hasPrincipalId, hasPrincipals } from "./principals/records.ts"
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
  const unknown = unknownPrincipals(call.tx, parsed.policy, owner.accountId)
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

/** POL-8.2: of an account in which no user or role is registered every name is taken to be right. */
function unknownPrincipals(reader: StoreReader, policy: Policy, accountId: string): string[] {
  return namedPrincipals(policy).filter((text) => {
    if (!text.startsWith("arn:")) return hasPrincipals(reader, accountId) && !hasPrincipalId(reader, text)
    const [, , , , account, resource] = text.split(":") as [string, string, string, string, string, string]
    if (!hasPrincipals(reader, account)) return false
    // A session is of the role whose name it bears, and a federated user of nobody that can be registered.
    const [kind, name] = resource.split("/") as [string, string]
    if (kind === "federated-user") return false
    if (kind !== "assumed-role") return findPrincipal(reader, text) === undefined
    return getPrincipal(reader, { accountId: account, type: "role", name }) === undefined
  })
}
