import { setImmediate as nextTurn } from "node:timers/promises"
import type { Store, StoreReader } from "../store/store.ts"
import type { Vault } from "../vault.ts"
import { eventMac } from "./append.ts"
import { EVENTS, type EventRecord, eventKey } from "./records.ts"

/** What stands at one place of the trail. */
export interface Place {
  /** The number that the place is for; `NaN` for a key that no event has. */
  readonly at: number
  readonly record: EventRecord
  /** The record was written by this KMS and not changed since, wherever it stood. */
  readonly genuine: boolean
}

const STEP = 256
const UNREADABLE: EventRecord = { n: Number.NaN, previous: "", mac: "", event: undefined as never }

/** What stands at the places `from` to `to`, each checked by itself; the event loop gets its turn now and then. */
export async function* walk(
  store: Store,
  vault: Pick<Vault, "mac">,
  from: number,
  to: number,
): AsyncGenerator<Place, void, undefined> {
  for (let after = eventKey(from - 1); ; ) {
    const entries = store.read((reader) => readEntries(reader, after, eventKey(to)))
    for (const [key, value] of entries) yield placeOf(vault, key, value)
    if (entries.length < STEP) return
    after = entries.at(-1)![0]
    await nextTurn()
  }
}

type Entry = readonly [key: string, value: EventRecord]

function readEntries(reader: StoreReader, after: string, to: string): Entry[] {
  const entries: Entry[] = []
  try {
    for (const entry of reader.range<EventRecord>(EVENTS, { after, limit: STEP })) {
      if (entry[0] > to) break
      entries.push(entry)
    }
    return entries
  } catch {
    return readOneByOne(reader, after, to)
  }
}

/** Around values that are no JSON any more. */
function readOneByOne(reader: StoreReader, after: string, to: string): Entry[] {
  const entries: Entry[] = []
  for (let n = numberOf(after) + 1; eventKey(n) <= to && entries.length < STEP; n++) {
    let record: EventRecord | undefined
    try {
      record = reader.get<EventRecord>(eventKey(n))
    } catch {
      record = UNREADABLE
    }
    if (record !== undefined) entries.push([eventKey(n), record])
  }
  return entries
}

const numberOf = (key: string): number => Number.parseInt(key.slice(EVENTS.length), 10)

function placeOf(vault: Pick<Vault, "mac">, key: string, value: EventRecord): Place {
  const record = typeof value === "object" && value !== null ? value : UNREADABLE
  const n = numberOf(key)
  return { at: eventKey(n) === key ? n : Number.NaN, record, genuine: isGenuine(vault, record) }
}

function isGenuine(vault: Pick<Vault, "mac">, { n, previous, mac, event }: EventRecord): boolean {
  // Nothing secret is compared: the text stands beside it.
  return event !== undefined && eventMac(vault, n, previous, JSON.stringify(event)) === mac
}
