import { type AuditEvent, commonFields, type TlsDetails, withOwnersEvents } from "../audit.ts"
import type { KmsFault } from "../faults.ts"
import { findOperation } from "../operations/index.ts"
import { userIdentity } from "../principal.ts"
import type { Identity } from "./authenticate.ts"

/** What the door knows of a request beside what it says. */
export interface Origin {
  readonly now: number
  readonly requestId: string
  readonly sourceIpAddress: string
  readonly userAgent: string
  readonly tlsDetails: TlsDetails | undefined
}

/** What STS did, or why not. */
export interface StsRecord {
  readonly action: string
  readonly parameters: Readonly<Record<string, unknown>> | null
  readonly response: Readonly<Record<string, unknown>> | null
  /** The ARN of the role that was asked for. */
  readonly roleArn?: string | undefined
  readonly error?: { readonly code: string; readonly message: string } | undefined
}

const originFields = ({ requestId, sourceIpAddress, userAgent, tlsDetails }: Origin) => ({
  sourceIPAddress: sourceIpAddress,
  userAgent,
  requestID: requestId,
  eventType: "AwsApiCall" as const,
  ...(tlsDetails === undefined ? {} : { tlsDetails }),
})

const errorFields = (error: StsRecord["error"]) =>
  error === undefined ? {} : { errorCode: error.code, errorMessage: error.message }

/** AUD-1.9: a request of STS by a caller who is known. Its credentials are in no event. */
export function stsEvents(record: StsRecord, { principal, region, session }: Identity, origin: Origin) {
  const { action, parameters, response, roleArn } = record
  const event: AuditEvent = {
    ...commonFields(origin.now, { region, accountId: principal.accountId }, "sts.amazonaws.com"),
    ...originFields(origin),
    userIdentity: userIdentity(principal, session),
    eventName: action,
    ...errorFields(record.error),
    requestParameters: parameters,
    responseElements: response,
    readOnly: true,
    ...(roleArn === undefined
      ? {}
      : { resources: [{ accountId: roleArn.split(":")[4]!, type: "AWS::IAM::Role", ARN: roleArn }] }),
  }
  return withOwnersEvents(event)
}

/** Whom a request claimed to be from, as far as that can be told. */
export interface Claim {
  /** The account of the access key, or of the KMS where there is no such key. */
  readonly accountId: string
  readonly accessKeyId: string | undefined
  readonly region: string
}

/**
 * AUD-1.10: a request that was not let in. Nothing it said was proven, so that its event shows no more of it than what it
 * asked for, and with which access key.
 */
export function refusedEvent(
  fault: KmsFault,
  asked: { readonly source: "kms" | "sts"; readonly operation: string },
  { accountId, accessKeyId, region }: Claim,
  origin: Origin,
): AuditEvent {
  const operation = asked.source === "kms" ? findOperation(asked.operation) : undefined
  return {
    ...commonFields(origin.now, { region, accountId }, `${asked.source}.amazonaws.com`),
    ...originFields(origin),
    userIdentity: { type: "Unknown", accountId, ...(accessKeyId === undefined ? {} : { accessKeyId }) },
    eventName: asked.operation,
    errorCode: fault.name,
    errorMessage: fault.message,
    requestParameters: null,
    responseElements: null,
    readOnly: operation === undefined || !("readOnly" in operation) || operation.readOnly,
  }
}
