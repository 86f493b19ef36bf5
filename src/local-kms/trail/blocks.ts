import { EnvelopeError } from "../../core/index.ts"
import type { Store, StoreReader } from "../store/store.ts"
import { type EventQuery, secondsOf, termsOf, termsOfQuery, timesOf } from "./query.ts"
import { EVENTS, type EventRecord, eventKey, readHead } from "./records.ts"

/** AUD-2.1: the index covers blocks of so many events. */
export const BLOCK = 1024
const BLOCKS = "terms/"
/** One transaction writes so many, so that a long backlog is made up in few synchronisations. */
const BLOCKS_AT_ONCE = 16

/** AUD-2.2: which events of one block have a term; when the first and the last happened. */
export interface BlockIndex {
  /** Seconds since 1970. */
  readonly from: number
  readonly to: number
  /** `;<hash of a term>:<places in the block, from 0, in order>` for each term: one text is read faster than its parts. */
  readonly terms: string
}

export const blockOf = (n: number): number => Math.floor((n - 1) / BLOCK)
export const firstOfBlock = (block: number): number => block * BLOCK + 1
export const blockKey = (block: number): string => `${BLOCKS}${String(block).padStart(10, "0")}`

/**
 * FNV-1a (32 bits) from two starting points. Two terms with one hash cost a look at an event that does not match; no event is
 * missed.
 */
function termHash(term: string): string {
  let a = 0x811c9dc5
  let b = 0x2b2ae62d
  for (let i = 0; i < term.length; i++) {
    const unit = term.charCodeAt(i)
    a = Math.imul(a ^ unit, 0x01000193)
    b = Math.imul(b ^ unit, 0x01000193) ^ (a >>> 15)
  }
  return (a >>> 0).toString(36) + (b >>> 0).toString(36)
}

export function makeBlockIndex(records: readonly EventRecord[]): BlockIndex {
  const places = new Map<string, number[]>()
  let from = Number.POSITIVE_INFINITY
  let to = Number.NEGATIVE_INFINITY
  for (const { n, event } of records) {
    const place = (n - 1) % BLOCK
    const time = secondsOf(event)
    from = Math.min(from, time)
    to = Math.max(to, time)
    for (const term of termsOf(event)) {
      const list = places.get(term)
      if (list === undefined) places.set(term, [place])
      else if (list.at(-1) !== place) list.push(place)
    }
  }
  const terms = [...places].map(([term, list]) => `;${termHash(term)}:${list.join()}`)
  return { from, to, terms: `${terms.join("")};` }
}

/** Terms with one hash have an entry each. */
function placesOf({ terms }: BlockIndex, term: string): Set<number> {
  const entry = `;${termHash(term)}:`
  const places = new Set<number>()
  for (let at = terms.indexOf(entry); at >= 0; at = terms.indexOf(entry, at + 1))
    for (const place of terms.slice(at + entry.length, terms.indexOf(";", at + 1)).split(",")) places.add(Number(place))
  return places
}

const readBlock = (reader: StoreReader, block: number): EventRecord[] =>
  [...reader.range<EventRecord>(EVENTS, { after: eventKey(firstOfBlock(block) - 1), limit: BLOCK })].map(
    ([, record]) => record,
  )

/**
 * AUD-2.3: brings the index up to date, outside the requests that write the events. An index that cannot be written, as on
 * a full disk, costs time and nothing else.
 */
export async function indexEvents(store: Store): Promise<void> {
  for (;;) {
    const made = store.read(makeNextBlocks)
    if (made.length === 0) return
    try {
      await store.transaction((tx) => {
        const { first } = readHead(tx)
        for (const [block, index] of made) if (firstOfBlock(block) >= first) tx.put(blockKey(block), index)
      })
    } catch (error) {
      if (error instanceof EnvelopeError && error.code === "KmsStore") return
      throw error
    }
  }
}

function makeNextBlocks(reader: StoreReader): [block: number, index: BlockIndex][] {
  const { next, first } = readHead(reader)
  const [newest] = reader.range(BLOCKS, { reverse: true, limit: 1 })
  const done = newest === undefined ? 0 : Number(newest[0].slice(BLOCKS.length)) + 1
  const made: [number, BlockIndex][] = []
  // A block whose beginning is gone stays without an index.
  let block = Math.max(done, blockOf(first + BLOCK - 1))
  for (; block < blockOf(next) && made.length < BLOCKS_AT_ONCE; block++)
    made.push([block, makeBlockIndex(readBlock(reader, block))])
  return made
}

/** Numbers of the events of a block that may match, in order; all of them where the block has no index yet. */
export function candidates(reader: StoreReader, block: number, query: EventQuery): number[] | "all" {
  const index = reader.get<BlockIndex>(blockKey(block))
  if (index === undefined) return "all"
  const [from, to] = timesOf(query)
  if (index.to < from || index.from >= to) return []
  const terms = termsOfQuery(query)
  if (terms.length === 0) return "all"
  const [fewest, ...others] = terms.map((term) => placesOf(index, term)).sort((a, b) => a.size - b.size)
  return [...fewest!]
    .filter((place) => others.every((places) => places.has(place)))
    .sort((a, b) => a - b)
    .map((place) => firstOfBlock(block) + place)
}
