import { isIP } from "node:net"
import type { AuditEvent } from "../audit.ts"
import { findAction, hasConditionKey } from "./actions.ts"
import {
  aliasCondition,
  type ConditionValues,
  grantConstraint,
  parameterConditions,
  type RequestParameters,
} from "./parameter-conditions.ts"
import type { Caller, KeyFacts, PolicyRequest } from "./request.ts"

/**
 * The questions about one key that a recorded call put to its policy. Tags of callers are not recorded.
 *
 * @returns undefined where the event does not tell who called, or no key policy decides about the call
 */
export function recordedRequests(event: AuditEvent, keyArn: string, key?: KeyFacts): PolicyRequest[] | undefined {
  const caller = recordedCaller(event)
  const uses = recordedUses(event, keyArn, event.requestParameters ?? {})
  if (caller === undefined || uses.length === 0) return undefined
  return uses.map(({ action, parameters, context, conditions }) => {
    const encryptionContext = readContext(context)
    return {
      caller,
      action,
      resource: keyArn,
      resourceAccountId: keyArn.split(":")[4] ?? "",
      ...(key === undefined ? {} : { key }),
      ...(encryptionContext === undefined ? {} : { encryptionContext }),
      conditions: {
        ...originConditions(event, action),
        ...parameterConditions(action, parameters),
        ...aliasCondition(parameters.keyId),
        ...conditions,
      },
      now: Date.parse(event.eventTime),
    }
  })
}

interface Use {
  readonly action: string
  readonly parameters: RequestParameters
  readonly context: unknown
  readonly conditions?: ConditionValues
}

function recordedUses(event: AuditEvent, keyArn: string, parameters: RequestParameters): Use[] {
  if (event.eventName === "ReEncrypt") return recordedReEncrypt(event, keyArn, parameters)
  const action = findAction(`kms:${event.eventName}`)
  if (action === undefined || action.authority !== "key") return []
  const context = grantConstraint(parameters)?.context ?? parameters.encryptionContext
  return [{ action: action.name, parameters, context }]
}

/** Of a ReEncrypt, the sides that are this key (POL-11.2). */
function recordedReEncrypt(event: AuditEvent, keyArn: string, parameters: RequestParameters): Use[] {
  const { source, destination } = reEncryptKeys(event, parameters)
  const conditions = { "kms:ReEncryptOnSameKey": String(source === destination) }
  const side = (action: string, name: "source" | "destination"): Use => ({
    action,
    parameters: {
      keyId: parameters[`${name}KeyId`],
      encryptionAlgorithm: parameters[`${name}EncryptionAlgorithm`],
    },
    context: parameters[`${name}EncryptionContext`],
    conditions,
  })
  return [
    ...(source === keyArn ? [side("kms:ReEncryptFrom", "source")] : []),
    ...(destination === keyArn ? [side("kms:ReEncryptTo", "destination")] : []),
  ]
}

/** Requests name both keys or the new one only; where an alias hides the name, the destination is listed first. */
function reEncryptKeys(
  { resources = [], errorCode }: AuditEvent,
  { sourceKeyId, destinationKeyId }: RequestParameters,
): { readonly source: string | undefined; readonly destination: string | undefined } {
  const arns = resources.filter(({ type }) => type === "AWS::KMS::Key").map(({ ARN }) => ARN)
  const namedSource = arns.find((arn) => isNamed(arn, sourceKeyId))
  const destination =
    arns.find((arn) => isNamed(arn, destinationKeyId)) ?? arns.find((arn) => arn !== namedSource) ?? namedSource
  // One key in a call that failed is the destination: it never came to the source.
  const isSameKey = arns.length === 1 && errorCode === undefined
  const source = namedSource ?? (isSameKey ? destination : arns.find((arn) => arn !== destination))
  return { source, destination }
}

const isNamed = (arn: string, reference: unknown): boolean =>
  typeof reference === "string" && (arn === reference || arn.endsWith(`:key/${reference}`))

function readContext(raw: unknown): Readonly<Record<string, string>> | undefined {
  if (typeof raw !== "object" || raw === null) return undefined
  return Object.fromEntries(Object.entries(raw).filter((pair): pair is [string, string] => typeof pair[1] === "string"))
}

/** Where a call came from; an event shows the service that called on somebody's behalf. */
function originConditions(event: AuditEvent, action: string): ConditionValues {
  // Events of the KMS itself say `invokedBy: AWS Internal`, and have the service in place of the address.
  const { invokedBy } = event.userIdentity
  const caller = invokedBy === "AWS Internal" ? event.sourceIPAddress : invokedBy
  const service = /^([a-z0-9-]+)\.amazonaws\.com$/.exec(String(caller ?? ""))?.[1]
  return {
    "aws:UserAgent": event.userAgent,
    ...(isIP(event.sourceIPAddress) === 0 ? {} : { "aws:SourceIp": event.sourceIPAddress }),
    ...(service === undefined ? {} : { "kms:ViaService": `${service}.${event.awsRegion}.amazonaws.com` }),
    ...(isAboutGrants(action) ? { "kms:GrantIsForAWSResource": String(service !== undefined) } : {}),
  }
}

function isAboutGrants(name: string): boolean {
  const action = findAction(name)
  return action !== undefined && hasConditionKey(action, "kms:GrantIsForAWSResource")
}

/** From `userIdentity`, which names the role behind a session as its issuer. */
function recordedCaller({ userIdentity }: AuditEvent): Caller | undefined {
  const { type, arn, accountId, principalId, userName, sessionContext } = userIdentity as Readonly<
    Record<string, string | undefined>
  > & { readonly sessionContext?: { readonly sessionIssuer?: { readonly arn?: string; readonly userName?: string } } }
  if (arn === undefined || accountId === undefined) return undefined
  const common = { accountId, arn, ...(principalId === undefined ? {} : { userId: principalId }) }
  if (type === "Root") return { ...common, type, identityArn: arn, name: accountId }
  if (type === "IAMUser") return { ...common, type, identityArn: arn, name: userName ?? arn.split("/").at(-1)! }
  if (type !== "AssumedRole") return undefined
  const issuer = sessionContext?.sessionIssuer
  const role = issuer?.userName ?? arn.split("/")[1] ?? ""
  return {
    ...common,
    type,
    identityArn: issuer?.arn ?? `arn:${arn.split(":")[1]}:iam::${accountId}:role/${role}`,
    name: role,
  }
}
