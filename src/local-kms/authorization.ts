import type { EncryptionContext } from "../core/index.ts"
import { aliasNamesOf } from "./alias-records.ts"
import { type GrantQuestion, grantsFor } from "./grants/findings.ts"
import type { Key } from "./keys.ts"
import {
  aliasCondition,
  type ConditionValues,
  defaultKeyPolicy,
  findAction,
  grantConstraint,
  hasConditionKey,
  type KeyFacts,
  type PolicyRequest,
  type PolicySet,
  parameterConditions,
} from "./policy/index.ts"
import { type KnownCaller, storedPolicy } from "./principals/records.ts"
import { type AwsService, SERVICE_ACCOUNT, serviceHost, viaService } from "./services.ts"
import type { StoreReader } from "./store/store.ts"

/** A request's parameters as events show them. */
export type RequestParameters = Readonly<Record<string, unknown>>

/** Who asks, and what the door knows of how: nothing of this comes from the caller's word. */
export interface Asker {
  readonly known: KnownCaller
  /** The AWS service that acts for the principal. */
  readonly service?: AwsService | undefined
  /** The resource on whose behalf the service asks. */
  readonly sourceArn?: string | undefined
  readonly sourceIpAddress?: string | undefined
  readonly userAgent?: string | undefined
  /** Whether the request came over TLS, or never left the process. */
  readonly secureTransport?: boolean | undefined
  readonly region: string
  /** Milliseconds since 1970. */
  readonly now: number
}

/** What a question is about. */
export interface Asked {
  /** For instance `kms:Decrypt`. */
  readonly action: string
  /** The ARN of a key or an alias, or `*` where an action has no resource. */
  readonly resource: string
  readonly resourceAccountId: string
  readonly key?: Key | undefined
  /** How the caller named the key. */
  readonly reference?: string | undefined
  readonly encryptionContext?: EncryptionContext | undefined
  readonly parameters: RequestParameters
  readonly conditions?: ConditionValues | undefined
}

/** The question as policies see it. */
export function policyRequest(reader: StoreReader, asker: Asker, asked: Asked): PolicyRequest {
  const { action, resource, resourceAccountId, key, parameters } = asked
  const context = asked.encryptionContext ?? grantConstraint(parameters)?.context
  return {
    caller: callerOf(asker, resourceAccountId),
    action,
    resource,
    resourceAccountId,
    ...(key === undefined ? {} : { key: keyFacts(reader, key) }),
    ...(context === undefined ? {} : { encryptionContext: context as EncryptionContext }),
    conditions: {
      ...originConditions(asker, action),
      ...parameterConditions(action, parameters),
      ...aliasCondition(asked.reference),
      ...asked.conditions,
    },
    now: asker.now,
  }
}

/** A service that acts for itself is a service to its customers' keys, and an account to its own. */
function callerOf({ known, service }: Asker, resourceAccountId: string): PolicyRequest["caller"] {
  if (known.caller.accountId !== SERVICE_ACCOUNT || service === undefined || resourceAccountId === SERVICE_ACCOUNT)
    return known.caller
  const name = serviceHost(service)
  return { type: "AWSService", accountId: SERVICE_ACCOUNT, arn: name, identityArn: name, name }
}

function originConditions(asker: Asker, actionName: string): ConditionValues {
  const { service, sourceArn, region, sourceIpAddress, userAgent, secureTransport } = asker
  const action = findAction(actionName)
  // GRT-6.1
  const isForService = action !== undefined && hasConditionKey(action, "kms:GrantIsForAWSResource")
  return {
    "aws:RequestedRegion": region,
    "aws:ViaAWSService": String(service !== undefined),
    ...(isForService ? { "kms:GrantIsForAWSResource": String(service !== undefined) } : {}),
    ...(service === undefined ? {} : { "kms:ViaService": viaService(service, region) }),
    ...(service === undefined || sourceArn === undefined ? {} : { "aws:SourceArn": sourceArn }),
    // A service calls from addresses of its own, which AWS does not show to policies.
    ...(service === undefined && sourceIpAddress !== undefined ? { "aws:SourceIp": sourceIpAddress } : {}),
    ...(service === undefined && userAgent !== undefined ? { "aws:UserAgent": userAgent } : {}),
    ...(secureTransport === undefined ? {} : { "aws:SecureTransport": String(secureTransport) }),
  }
}

const keyFacts = (reader: StoreReader, key: Key): KeyFacts => ({
  origin: key.origin,
  keySpec: key.keySpec,
  keyUsage: key.keyUsage,
  multiRegion: key.regions !== undefined,
  ...(key.regions === undefined
    ? {}
    : { multiRegionKeyType: key.regions[0] === key.scope.region ? ("PRIMARY" as const) : ("REPLICA" as const) }),
  tags: Object.fromEntries(key.tags.map(({ TagKey, TagValue }) => [TagKey, TagValue])),
  // Read when a condition asks for it.
  get aliases() {
    return aliasNamesOf(reader, key.scope, key.keyId)
  },
})

/** As it was given, or the one that a key without a policy has (POL-6.9). */
export const keyPolicyText = (key: Pick<Key, "policy" | "scope">): string => key.policy ?? defaultKeyPolicy(key.scope)

/** What decides about a key: its policy, the caller's, and its grants. */
export function policySet(
  reader: StoreReader,
  identityPolicies: PolicySet["identityPolicies"],
  key: Key | undefined,
  question: GrantQuestion,
): PolicySet {
  if (key === undefined) return { identityPolicies }
  return {
    keyPolicy: storedPolicy(keyPolicyText(key), "key"),
    identityPolicies,
    grants: (request) => grantsFor(reader, key, request, question),
  }
}
