import { EnvelopeError } from "../../core/index.ts"
import type { AuditEvent } from "../audit.ts"
import type { StoreReader } from "../store/store.ts"

/** AUD-1.1: an event as the store holds it, linked to the one before it. */
export interface EventRecord {
  /** Its place in the trail, from 1. */
  readonly n: number
  /** The `mac` of the event before it; empty for the first. */
  readonly previous: string
  readonly mac: string
  readonly event: AuditEvent
}

/** AUD-1.3: where the trail ends. */
export interface TrailHead {
  /** The number of the next event. */
  readonly next: number
  /** The `mac` of the last event; empty before the first. */
  readonly mac: string
  /** AUD-1.4: what all events so far amount to. Stands nowhere else. */
  readonly seal: string
  /** The number of the oldest event that is kept; above 1 only where old events are dropped (AUD-1.6). */
  readonly first: number
}

export const EVENTS = "event/"
export const HEAD = "head/events"
export const NO_EVENTS: TrailHead = { next: 1, mac: "", seal: "", first: 1 }

export const eventKey = (n: number): string => `${EVENTS}${String(n).padStart(16, "0")}`

/** AUD-1.5. @throws EnvelopeError `KmsStore` when there are events and no head */
export function readHead(reader: StoreReader): TrailHead {
  const head = reader.get<TrailHead>(HEAD)
  if (head !== undefined) return head
  for (const _ of reader.range(EVENTS, { limit: 1 }))
    throw new EnvelopeError("KmsStore", "the KMS store is damaged: the head of its audit trail is missing")
  return NO_EVENTS
}
