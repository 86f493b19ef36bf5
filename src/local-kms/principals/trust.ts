import {
  accessDeniedMessage,
  evaluateTrust,
  type ParsedPolicy,
  type PolicyRequest,
  parseKeyPolicy,
  parseStrictJson,
} from "../policy/index.ts"
import type { Principal } from "../principal.ts"
import type { StoreReader } from "../store/store.ts"
import { findPrincipal, knownCaller } from "./records.ts"

/** A role's trust policy names principals as a key policy does; what it is about is always the role (POL-12.4). */
export function parseTrustPolicy(text: string): ParsedPolicy {
  return parseKeyPolicy(withResources(text))
}

/** JSON that cannot be read is left for the parser to refuse. */
function withResources(text: string): string {
  try {
    const document = parseStrictJson(text) as { readonly Statement: object | readonly object[] }
    const { Statement } = document
    const about = (statement: object) =>
      "Resource" in statement || "NotResource" in statement
        ? { ...statement, Resource: ["a trust policy has no Resource"] }
        : { ...statement, Resource: "*" }
    return JSON.stringify({
      ...document,
      Statement: Array.isArray(Statement) ? Statement.map(about) : about(Statement),
    })
  } catch {
    return text
  }
}

interface AssumeRole {
  readonly caller: Principal
  readonly roleArn: string
  readonly sessionName: string
  readonly externalId?: string
}

/**
 * Whether a caller may become a registered role.
 *
 * @returns `true`, the end of the refusal's text, or `undefined` for a role that is not registered
 */
export function mayAssumeRole(reader: StoreReader, request: AssumeRole, now: number): true | string | undefined {
  const { roleArn, sessionName, externalId } = request
  const role = findPrincipal(reader, roleArn)
  if (role?.trustPolicy === undefined) return undefined
  const parsed = parseTrustPolicy(role.trustPolicy)
  const known = knownCaller(reader, request.caller)
  const { caller } = known
  if (!parsed.ok || caller.type === "Root") return ""
  const question: PolicyRequest = {
    caller,
    action: "sts:AssumeRole",
    resource: roleArn,
    resourceAccountId: roleArn.split(":")[4]!,
    conditions: {
      "sts:RoleSessionName": sessionName,
      ...(externalId === undefined ? {} : { "sts:ExternalId": externalId }),
    },
    now,
  }
  const decision = evaluateTrust(question, parsed.policy, known)
  if (decision.allowed) return true
  const message = accessDeniedMessage(question, decision)
  return message.slice(message.indexOf(roleArn) + roleArn.length + 1)
}
