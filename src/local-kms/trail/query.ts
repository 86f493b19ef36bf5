import type { AuditEvent } from "../audit.ts"
import type { StoreReader } from "../store/store.ts"
import { EVENTS, type EventRecord } from "./records.ts"

/** Which events to return; all conditions hold together. */
export interface EventQuery {
  readonly eventName?: string
  /** Events about this key. */
  readonly keyArn?: string
  /** An error code such as `AccessDenied`, or `null` for the requests that succeeded. */
  readonly errorCode?: string | null
  /** The ARN of the caller as the event shows it. */
  readonly principal?: string
  /** Not before this time. */
  readonly since?: Date
  /** Before this time. */
  readonly until?: Date
  /** Only the newest so many. */
  readonly last?: number
}

/** Oldest first. */
export function queryEvents(reader: StoreReader, query: EventQuery): AuditEvent[] {
  const events: AuditEvent[] = []
  const limit = query.last ?? Number.POSITIVE_INFINITY
  for (const [, { event }] of reader.range<EventRecord>(EVENTS, { reverse: true })) {
    if (events.length >= limit) break
    if (matches(event, query)) events.push(event)
  }
  return events.reverse()
}

function matches(event: AuditEvent, query: EventQuery): boolean {
  const { eventName, keyArn, errorCode: code, principal, since, until } = query
  const time = Date.parse(event.eventTime)
  return (
    (eventName === undefined || event.eventName === eventName) &&
    (keyArn === undefined || event.resources?.some(({ ARN }) => ARN === keyArn) === true) &&
    (code === undefined || (event.errorCode ?? null) === code) &&
    (principal === undefined || event.userIdentity.arn === principal) &&
    // Events keep whole seconds.
    (since === undefined || time >= Math.floor(since.getTime() / 1000) * 1000) &&
    (until === undefined || time < until.getTime())
  )
}
