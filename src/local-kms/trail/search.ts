import { setTimeout as delay, setImmediate as nextTurn } from "node:timers/promises"
import type { AuditEvent } from "../audit.ts"
import type { Store, StoreReader } from "../store/store.ts"
import { BLOCK, blockOf, candidates, firstOfBlock, indexEvents } from "./blocks.ts"
import { type EventQuery, matches } from "./query.ts"
import { EVENTS, type EventRecord, eventKey, readHead } from "./records.ts"

export interface EventPage {
  /** Oldest first. */
  readonly events: readonly AuditEvent[]
  /** Give it to the next call: what follows, or what has happened since. */
  readonly cursor: string
  /** More of the trail is there to be searched now. */
  readonly more: boolean
}

export interface PageOptions {
  /** At most so many events. Default 100. */
  readonly limit?: number
  /** From an earlier page. Default: the beginning of the trail. */
  readonly cursor?: string
}

export interface StreamOptions {
  /** Begin with the newest so many. Default: all. */
  readonly last?: number
  /** Go on with what happens from now on, in this process or another, until `signal` aborts. */
  readonly follow?: boolean
  /** Seconds between two looks while following. Default 0.5. */
  readonly pollSeconds?: number
  readonly signal?: AbortSignal
}

/** One step of a search looks at no more blocks than this, so that the event loop gets its turn. */
const BLOCKS_A_STEP = 32
const DEFAULT_LIMIT = 100
const STREAM_PAGE = 256

/** @throws RangeError for a limit or cursor that is none */
export async function readEventPage(store: Store, query: EventQuery, options: PageOptions): Promise<EventPage> {
  const { limit = DEFAULT_LIMIT, cursor = "0" } = options
  if (!Number.isSafeInteger(limit) || limit < 1) throw new RangeError("limit must be a whole number above 0")
  if (!/^\d{1,16}$/.test(cursor)) throw new RangeError("cursor must come from an earlier page")
  await indexEvents(store)
  const { records, at, more } = await searchForward(store, query, Number(cursor), limit)
  return { events: records.map(({ event }) => event), cursor: String(at), more }
}

/** Oldest first. */
export async function findEvents(store: Store, query: EventQuery, last?: number): Promise<AuditEvent[]> {
  await indexEvents(store)
  const records =
    last === undefined
      ? (await searchForward(store, query, 0, Number.POSITIVE_INFINITY)).records
      : (await newest(store, query, last)).records
  return records.map(({ event }) => event)
}

export async function* streamEvents(
  store: Store,
  query: EventQuery,
  options: StreamOptions,
): AsyncGenerator<AuditEvent, void, undefined> {
  const { last, follow = false, pollSeconds = 0.5, signal } = options
  await indexEvents(store)
  const begin = last === undefined ? { records: [], at: 0 } : await newest(store, query, last)
  for (const { event } of begin.records) yield event
  for (let at = begin.at; ; ) {
    signal?.throwIfAborted()
    const step = await searchForward(store, query, at, STREAM_PAGE)
    for (const { event } of step.records) yield event
    at = step.at
    if (step.more) continue
    if (!follow) return
    await delay(pollSeconds * 1000, undefined, signal === undefined ? {} : { signal })
  }
}

// --- internal ---

interface Found {
  readonly records: readonly EventRecord[]
  /** The last event that was looked at. */
  readonly at: number
}

/** Searches what follows event `after`, up to what is the trail's end now. */
async function searchForward(
  store: Store,
  query: EventQuery,
  after: number,
  limit: number,
): Promise<Found & { readonly more: boolean }> {
  const end = store.read((reader) => readHead(reader).next - 1)
  const records: EventRecord[] = []
  let at = after
  while (at < end && records.length < limit) {
    at = store.read((reader) => stepForward(reader, query, at, end, limit, records))
    if (at < end) await nextTurn()
  }
  return { records, at: Math.max(at, after), more: at < end }
}

function stepForward(
  reader: StoreReader,
  query: EventQuery,
  after: number,
  end: number,
  limit: number,
  into: EventRecord[],
): number {
  let at = Math.max(after, readHead(reader).first - 1)
  for (let blocks = 0; blocks < BLOCKS_A_STEP && at < end; blocks++) {
    const block = blockOf(at + 1)
    const last = Math.min(end, firstOfBlock(block) + BLOCK - 1)
    for (const record of recordsOf(reader, query, block, at, last)) {
      at = record.n
      if (matches(record.event, query)) into.push(record)
      if (into.length === limit) return at
    }
    at = last
  }
  return at
}

/** The newest events that match, oldest first; `at` is the trail's end. */
async function newest(store: Store, query: EventQuery, count: number): Promise<Found> {
  const end = store.read((reader) => readHead(reader).next - 1)
  const records: EventRecord[] = []
  for (let block = blockOf(end); block >= 0 && records.length < count; block--) {
    const from = firstOfBlock(block) - 1
    const found = store.read((reader) =>
      from + BLOCK < readHead(reader).first
        ? []
        : [...recordsOf(reader, query, block, from, end)].filter(({ event }) => matches(event, query)),
    )
    records.unshift(...found.slice(Math.max(0, found.length - (count - records.length))))
    if (block % BLOCKS_A_STEP === 0) await nextTurn()
  }
  return { records, at: end }
}

/** The records of one block that may match, of those after `after` and up to `last`. */
function* recordsOf(
  reader: StoreReader,
  query: EventQuery,
  block: number,
  after: number,
  last: number,
): Generator<EventRecord> {
  const numbers = candidates(reader, block, query)
  if (numbers === "all") {
    const limit = Math.min(last, firstOfBlock(block) + BLOCK - 1) - after
    for (const [key, record] of reader.range<EventRecord>(EVENTS, {
      after: eventKey(after),
      limit: Math.max(0, limit),
    }))
      if (key <= eventKey(last)) yield record
    return
  }
  for (const n of numbers) {
    if (n <= after || n > last) continue
    const record = reader.get<EventRecord>(eventKey(n))
    if (record !== undefined) yield record
  }
}
