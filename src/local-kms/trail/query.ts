import type { EncryptionContext } from "../../core/index.ts"
import type { AuditEvent, EventSource } from "../audit.ts"

/** Which events to return; all conditions hold together. */
export interface EventQuery {
  readonly eventName?: string
  /** `kms.amazonaws.com`, `sts.amazonaws.com`, or `iam.amazonaws.com` for what was done with principals and access keys. */
  readonly eventSource?: EventSource
  /** Events about this key. */
  readonly keyArn?: string
  /** An error code such as `AccessDenied`, or `null` for the requests that succeeded. */
  readonly errorCode?: string | null
  /** The ARN of the caller as the event shows it; the ARN of a role means all its sessions. */
  readonly principal?: string
  /**
   * What the request was about: the ARN of a key or alias, or the value of an `aws:` pair of the encryption context, such
   * as an S3 object's ARN (`aws:s3:arn`) or a volume's id (`aws:ebs:id`).
   */
  readonly resource?: string
  /** The request's encryption context, or a grant's constraint, has all these pairs. */
  readonly encryptionContext?: EncryptionContext
  /** Not before this time. Events keep whole seconds. */
  readonly since?: Date
  /** Before this time. */
  readonly until?: Date
}

const record = (value: unknown): Record<string, unknown> =>
  typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {}

/** The encryption contexts that a request named: its own, both of a ReEncrypt, a grant's constraint. */
function* contextsOf({ requestParameters }: AuditEvent): Generator<Record<string, unknown>> {
  if (requestParameters === null) return
  for (const [name, value] of Object.entries(requestParameters)) {
    if (name.toLowerCase().endsWith("encryptioncontext")) yield record(value)
    if (name === "constraints") for (const context of Object.values(record(value))) yield record(context)
  }
}

/** The caller, and the role behind a session. */
function callersOf({ userIdentity }: AuditEvent): unknown[] {
  const { sessionIssuer } = record(userIdentity.sessionContext)
  return sessionIssuer === undefined ? [userIdentity.arn] : [userIdentity.arn, record(sessionIssuer).arn]
}

function* resourcesOf(event: AuditEvent): Generator<unknown> {
  for (const { ARN } of event.resources ?? []) yield ARN
  for (const context of contextsOf(event))
    for (const [name, value] of Object.entries(context)) if (name.startsWith("aws:")) yield value
}

const pairTerm = (name: string, value: unknown): string => `pair ${JSON.stringify([name, value])}`

/** AUD-2.2: what an event is found by. */
export function* termsOf(event: AuditEvent): Generator<string> {
  yield `name ${event.eventName}`
  if (event.errorCode !== undefined) yield `error ${event.errorCode}`
  for (const caller of callersOf(event)) yield `caller ${caller}`
  for (const resource of resourcesOf(event)) yield `resource ${resource}`
  for (const context of contextsOf(event))
    for (const [name, value] of Object.entries(context)) yield pairTerm(name, value)
}

/** Terms that every event has which the query asks for. */
export function termsOfQuery(query: EventQuery): string[] {
  const { eventName, errorCode, principal, keyArn, resource, encryptionContext = {} } = query
  return [
    ...(eventName === undefined ? [] : [`name ${eventName}`]),
    ...(typeof errorCode === "string" ? [`error ${errorCode}`] : []),
    ...(principal === undefined ? [] : [`caller ${principal}`]),
    ...(keyArn === undefined ? [] : [`resource ${keyArn}`]),
    ...(resource === undefined ? [] : [`resource ${resource}`]),
    ...Object.entries(encryptionContext).map(([name, value]) => pairTerm(name, value)),
  ]
}

/** Whole seconds since 1970: not before the first, before the second. */
export function timesOf({ since, until }: EventQuery): readonly [from: number, to: number] {
  return [
    since === undefined ? Number.NEGATIVE_INFINITY : Math.floor(since.getTime() / 1000),
    until === undefined ? Number.POSITIVE_INFINITY : until.getTime() / 1000,
  ]
}

export const secondsOf = (event: AuditEvent): number => Date.parse(event.eventTime) / 1000

export function matches(event: AuditEvent, query: EventQuery): boolean {
  const { eventName, eventSource, errorCode, principal, keyArn, resource, encryptionContext } = query
  const [from, to] = timesOf(query)
  const time = secondsOf(event)
  return (
    time >= from &&
    time < to &&
    (eventName === undefined || event.eventName === eventName) &&
    (eventSource === undefined || event.eventSource === eventSource) &&
    (errorCode === undefined || (event.errorCode ?? null) === errorCode) &&
    (principal === undefined || callersOf(event).includes(principal)) &&
    (keyArn === undefined || event.resources?.some(({ ARN }) => ARN === keyArn) === true) &&
    (resource === undefined || [...resourcesOf(event)].includes(resource)) &&
    (encryptionContext === undefined || hasPairs(event, encryptionContext))
  )
}

function hasPairs(event: AuditEvent, wanted: EncryptionContext): boolean {
  const pairs = Object.entries(wanted)
  for (const context of contextsOf(event))
    if (pairs.every(([name, value]) => Object.hasOwn(context, name) && context[name] === value)) return true
  return pairs.length === 0
}
