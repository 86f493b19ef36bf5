import { type AuditEvent, commonFields } from "./audit.ts"
import { parsePrincipal, userIdentity } from "./principal.ts"
import type { PrincipalType } from "./principals/records.ts"

/** What the operator did with a principal or an access key. */
export interface IamChange {
  /** As IAM calls it, for instance `CreateUser`. */
  readonly eventName: string
  /** ARN of the user, role or group that it was done to, or whose access key it was. */
  readonly arn: string
  /** As IAM's requests have it, but for the name of the principal, which follows from the ARN. */
  readonly parameters?: Readonly<Record<string, unknown>>
  readonly response?: Readonly<Record<string, unknown>>
}

/** IAM is one for all Regions, and its events are in this one. */
const REGION = "us-east-1"
const types: Readonly<Record<string, string>> = { user: "User", role: "Role", group: "Group" }

/** AUD-1.8: the operator does it as the root of the account whose principal it is. */
export function iamEvent(now: number, { eventName, arn, parameters, response = undefined }: IamChange): AuditEvent {
  const [, partition, , , accountId = "", resource = ""] = arn.split(":")
  const [kind = "", name = ""] = [resource.split("/")[0], resource.split("/").at(-1)]
  const type = types[kind]
  const named = type === undefined ? { principal: arn } : { [`${kind}Name`]: name }
  return {
    ...commonFields(now, { region: REGION, accountId }, "iam.amazonaws.com"),
    userIdentity: userIdentity(parsePrincipal(`arn:${partition}:iam::${accountId}:root`)),
    eventName,
    sourceIPAddress: "127.0.0.1",
    userAgent: "kms-envelope",
    requestParameters: { ...named, ...parameters },
    responseElements: response ?? null,
    readOnly: false,
    ...(type === undefined ? {} : { resources: [{ accountId, type: `AWS::IAM::${type}`, ARN: arn }] }),
    eventType: "AwsApiCall",
  }
}

/** `PutUserPolicy`, `TagRole`: IAM has an operation for each type. */
export const iamName = (verb: string, type: PrincipalType, noun = ""): string =>
  `${verb}${type[0]!.toUpperCase()}${type.slice(1)}${noun}`
