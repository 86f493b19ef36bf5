import type { Refused } from "./evaluate.ts"
import type { PolicyRequest } from "./request.ts"

const kinds: Readonly<Record<string, string>> = { identityPolicy: "identity-based", sessionPolicy: "session" }

/** The end of the error text: which kind of policy refused, or did not allow (POL-7.1). */
function denialReason(action: string, refused: Refused): string {
  if (refused.reason === "explicitDeny") {
    const kind = refused.statement.kind === "key" ? "a resource-based" : "an identity-based"
    return `with an explicit deny in ${kind} policy`
  }
  const kind = kinds[refused.missing] ?? "resource-based"
  return `because no ${kind} policy allows the ${action} action`
}

/** The message of `AccessDeniedException`. */
export const accessDeniedMessage = ({ caller, action, resource }: PolicyRequest, refused: Refused): string =>
  `User: ${caller.arn} is not authorized to perform: ${action} on resource: ${resource} ${denialReason(action, refused)}`
