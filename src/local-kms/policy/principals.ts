import type { PrincipalList, StatedPrincipal, Statement } from "./document.ts"
import type { Caller } from "./request.ts"

/**
 * How a statement names the caller: `direct` by itself; `account` only through its account, which for an Allow means
 * that identity policies decide further (POL-2.3).
 */
export type PrincipalMatch = "none" | "account" | "direct"

export function matchPrincipals({ effect, principals }: Statement, caller: Caller): PrincipalMatch {
  // A statement of an identity policy is about whoever the policy is attached to.
  if (principals === undefined) return "direct"
  if (principals.negated) return isExcepted(principals, caller) ? "none" : "direct"
  const match = strongestMatch(principals.values, caller)
  // POL-2.4: a Deny on an account denies everybody in it.
  return effect === "Deny" && match === "account" ? "direct" : match
}

function strongestMatch(stated: readonly StatedPrincipal[], caller: Caller): PrincipalMatch {
  let strongest: PrincipalMatch = "none"
  for (const principal of stated) {
    const match = matchPrincipal(principal, caller)
    if (match === "direct") return match
    if (match === "account") strongest = match
  }
  return strongest
}

/** POL-2.2. */
function matchPrincipal(stated: StatedPrincipal, caller: Caller): PrincipalMatch {
  switch (stated.type) {
    case "anyone":
      return "direct"
    case "account":
      return matchAccount(stated, caller)
    case "arn":
      return isAwsPrincipal(caller) && (stated.text === caller.identityArn || stated.text === caller.arn)
        ? "direct"
        : "none"
    case "uniqueId":
      return isAwsPrincipal(caller) && stated.text === caller.userId?.split(":")[0] ? "direct" : "none"
    case "service":
      return caller.type === "AWSService" && stated.text === caller.name ? "direct" : "none"
    case "federated":
      return stated.text === caller.federatedProvider ? "direct" : "none"
    // Amazon S3's name for an account; AWS KMS has no caller of that name.
    case "canonicalUser":
      return "none"
  }
}

const isAwsPrincipal = ({ type }: Caller): boolean => type !== "AWSService"

function matchAccount(
  { accountId, partition }: { readonly accountId: string; readonly partition?: string },
  caller: Caller,
): PrincipalMatch {
  if (!isAwsPrincipal(caller) || caller.accountId !== accountId) return "none"
  if (partition !== undefined && caller.arn.split(":")[1] !== partition) return "none"
  return caller.type === "Root" ? "direct" : "account"
}

/**
 * POL-2.5: NotPrincipal spares a caller only if it names every form the caller has: account and user; or account, role
 * and session.
 */
function isExcepted({ values }: PrincipalList, caller: Caller): boolean {
  if (values.some(({ type }) => type === "anyone")) return true
  if (caller.type === "AWSService" || caller.type === "Root") return strongestMatch(values, caller) === "direct"
  const namesAccount = values.some((stated) => stated.type === "account" && matchPrincipal(stated, caller) !== "none")
  const names = (arn: string): boolean => values.some((stated) => stated.type === "arn" && stated.text === arn)
  return namesAccount && names(caller.identityArn) && names(caller.arn)
}
