import { randomUUID } from "node:crypto"
import type { KmsFault } from "./faults.ts"
import type { Scope } from "./identifiers.ts"
import { type CallerSession, type Principal, userIdentity } from "./principal.ts"
import { type AwsService, SERVICE_ACCOUNT, serviceHost } from "./services.ts"
import type { Member, Shape } from "./shapes.ts"
import { lowerCamel } from "./validation.ts"

/** One audit event, in the shape of a CloudTrail record (version 1.11). No field ever holds plaintext or ciphertext. */
export interface AuditEvent {
  readonly eventVersion: string
  readonly userIdentity: Readonly<Record<string, unknown>>
  /** UTC, whole seconds, for instance `2026-05-20T20:45:00Z`. */
  readonly eventTime: string
  readonly eventSource: EventSource
  /** The operation, for instance `Decrypt`; `DeleteKey` for what the KMS does by itself. */
  readonly eventName: string
  readonly awsRegion: string
  readonly sourceIPAddress: string
  readonly userAgent: string
  readonly errorCode?: string
  readonly errorMessage?: string
  readonly requestParameters: Readonly<Record<string, unknown>> | null
  readonly responseElements: Readonly<Record<string, unknown>> | null
  readonly additionalEventData?: Readonly<Record<string, unknown>>
  readonly requestID?: string
  readonly eventID: string
  readonly readOnly: boolean
  readonly resources?: readonly { readonly accountId: string; readonly type: string; readonly ARN: string }[]
  readonly serviceEventDetails?: Readonly<Record<string, unknown>>
  readonly eventType: "AwsApiCall" | "AwsServiceEvent"
  readonly managementEvent: true
  readonly recipientAccountId: string
  /** The same in the events that the caller's account and the key owner's have of one request across accounts. */
  readonly sharedEventID?: string
  readonly eventCategory: "Management"
  readonly tlsDetails?: TlsDetails
}

/** Whose operation it is: of KMS, of STS, or of IAM for what the operator does with principals and access keys. */
export type EventSource = "kms.amazonaws.com" | "sts.amazonaws.com" | "iam.amazonaws.com"

/** How a request came over TLS. */
export interface TlsDetails {
  readonly tlsVersion: string
  readonly cipherSuite: string
  readonly clientProvidedHostHeader: string
}

/** What a request adds to its event while it runs. */
export interface AuditNotes {
  readonly resources: { accountId: string; type: "AWS::KMS::Key" | "AWS::KMS::Alias"; ARN: string }[]
  additional: Record<string, unknown>
  response: Record<string, unknown> | null
  /** What the KMS does by itself because of this request: recorded before or after it, if it succeeds. */
  readonly before: AuditEvent[]
  readonly after: AuditEvent[]
}

export interface RequestRecord {
  readonly operation: string
  readonly readOnly: boolean
  readonly principal: Principal
  readonly service?: AwsService | undefined
  readonly session?: CallerSession | undefined
  readonly tlsDetails?: TlsDetails | undefined
  readonly scope: Scope
  readonly now: number
  readonly requestId: string
  readonly sourceIpAddress: string
  readonly userAgent: string
  readonly parameters: Record<string, unknown> | null
  readonly notes: AuditNotes
  readonly fault?: KmsFault
}

export function requestEvent(record: RequestRecord): AuditEvent {
  const { notes, fault, scope, service } = record
  // A service that acts for itself leaves its event with the customer whose key it asks for.
  const isService = service !== undefined && scope.accountId === SERVICE_ACCOUNT
  const accountId = isService ? (notes.resources[0]?.accountId ?? scope.accountId) : scope.accountId
  return {
    ...commonFields(record.now, { ...scope, accountId }),
    userIdentity: isService ? { type: "AWSService", invokedBy: serviceHost(service) } : callerIdentity(record),
    eventName: record.operation,
    sourceIPAddress: service === undefined ? record.sourceIpAddress : serviceHost(service),
    userAgent: service === undefined ? record.userAgent : serviceHost(service),
    ...(fault === undefined ? {} : { errorCode: errorCode(fault), errorMessage: fault.message }),
    requestParameters: record.parameters,
    responseElements: fault === undefined ? notes.response : null,
    ...(fault !== undefined || Object.keys(notes.additional).length === 0
      ? {}
      : { additionalEventData: notes.additional }),
    requestID: record.requestId,
    readOnly: record.readOnly,
    ...(notes.resources.length === 0 ? {} : { resources: notes.resources }),
    eventType: "AwsApiCall",
    ...(record.tlsDetails === undefined ? {} : { tlsDetails: record.tlsDetails }),
  }
}

function callerIdentity({ principal, session, service }: RequestRecord): Record<string, unknown> {
  const identity = userIdentity(principal, session)
  return service === undefined ? identity : { ...identity, invokedBy: "AWS Internal" }
}

/** What the KMS does by itself, such as deleting a key at the end of its waiting period. */
export function serviceEvent(
  eventName: string,
  now: number,
  scope: Scope,
  keyArn: string,
  details: Record<string, unknown>,
): AuditEvent {
  return {
    ...commonFields(now, scope),
    userIdentity: { accountId: scope.accountId, invokedBy: "AWS Internal" },
    eventName,
    sourceIPAddress: "AWS Internal",
    userAgent: "AWS Internal",
    requestParameters: null,
    responseElements: null,
    readOnly: false,
    resources: [{ accountId: scope.accountId, type: "AWS::KMS::Key", ARN: keyArn }],
    serviceEventDetails: details,
    eventType: "AwsServiceEvent",
  }
}

export const commonFields = (
  now: number,
  { region, accountId }: Pick<Scope, "region" | "accountId">,
  eventSource: EventSource = "kms.amazonaws.com",
) =>
  ({
    eventVersion: "1.11",
    eventTime: `${new Date(now).toISOString().slice(0, 19)}Z`,
    eventSource,
    awsRegion: region,
    eventID: randomUUID(),
    managementEvent: true,
    recipientAccountId: accountId,
    eventCategory: "Management",
  }) as const

/**
 * AUD-1.7: a request about what belongs to other accounts leaves an event with each of them as well, unless it was
 * refused. They see whose account it was, as CloudTrail shows it, and of the resources their own.
 */
export function withOwnersEvents(event: AuditEvent): readonly AuditEvent[] {
  const { resources = [], recipientAccountId, userIdentity } = event
  const owners = new Set(resources.map(({ accountId }) => accountId))
  for (const accountId of [recipientAccountId, SERVICE_ACCOUNT]) owners.delete(accountId)
  if (owners.size === 0 || event.errorCode === "AccessDenied") return [event]
  const { principalId, accountId, invokedBy } = userIdentity
  const sharedEventID = randomUUID()
  return [
    { ...event, sharedEventID },
    ...[...owners].map((owner) => ({
      ...event,
      userIdentity: { type: "AWSAccount", principalId, accountId, ...(invokedBy === undefined ? {} : { invokedBy }) },
      eventID: randomUUID(),
      resources: resources.filter((resource) => resource.accountId === owner),
      recipientAccountId: owner,
      sharedEventID,
    })),
  ]
}

/** CloudTrail names a refusal without the suffix; other errors keep AWS's exception name. */
const errorCode = (fault: KmsFault): string => (fault.name === "AccessDeniedException" ? "AccessDenied" : fault.name)

/** The members of a request that an event may show: no blobs, nothing sensitive, no grant tokens. */
export function auditedParameters(shape: Shape, input: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const shown: Record<string, unknown> = {}
  for (const [name, member] of Object.entries(shape)) {
    const value = input[name] ?? (name.endsWith("EncryptionAlgorithm") ? "SYMMETRIC_DEFAULT" : undefined)
    if (value === undefined || member.sensitive || member.type === "blob" || name === "GrantTokens") continue
    shown[lowerCamel(name)] = auditedValue(member, value)
  }
  return shown
}

function auditedValue(member: Member, value: unknown): unknown {
  if (member.type === "list") return (value as unknown[]).map((item) => auditedValue(member.of, item))
  if (member.type === "structure") return auditedParameters(member.members, value as Record<string, unknown>)
  return value
}
