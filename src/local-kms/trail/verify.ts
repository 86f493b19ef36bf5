import type { Store } from "../store/store.ts"
import { nextSeal, readMark, type Trail } from "./append.ts"
import { BLOCK, type BlockIndex, blockKey, blockOf, firstOfBlock, makeBlockIndex } from "./blocks.ts"
import { checkDigests, type SignedDigest, type SigningTrail } from "./digest.ts"
import { type AuditProblem, type Problems, problemList } from "./problems.ts"
import { EVENTS, type EventRecord, eventKey, HEAD, NO_EVENTS, type TrailHead } from "./records.ts"
import { type Place, walk } from "./walk.ts"

export interface AuditReport {
  readonly valid: boolean
  /** The numbers of the oldest and the newest event; `last` is `first - 1` when there is none. */
  readonly first: number
  readonly last: number
  /** The newest event that a signed digest covers; 0 without one. What was cut after the last one shows nowhere else. */
  readonly signedUpTo: number
  /** In order, the first 1,000. */
  readonly problems: readonly AuditProblem[]
  readonly problemCount: number
}

export interface VerifyAuditOptions {
  /** A digest that was kept elsewhere: the trail must still hold what it tells of. */
  readonly digest?: SignedDigest
}

/** AUD-3.1: compares the trail with what the KMS wrote. */
export async function verifyTrail(
  store: Store,
  trail: SigningTrail,
  options: VerifyAuditOptions,
): Promise<AuditReport> {
  const problems = problemList()
  const head = readHeadOrReport(store, problems)
  const { first } = head
  const last = head.next - 1
  checkDropped(head, trail, problems)
  const found = await checkEvents(store, trail, head, problems)
  reportMissing(found, first, problems)
  checkBeyond(store, problems)
  // AUD-3.4. An event that is missing or changed has been named; the seal says no more.
  if (problems.count === 0 && (found.seal !== head.seal || found.mac !== head.mac))
    problems.add(
      "head",
      last,
      last,
      "the end of the trail was changed, or events were cut off it and others written since",
    )
  const signedUpTo = checkDigests(store, trail, head, problems, options.digest)
  const listed = [...problems.list].sort((a, b) => a.first - b.first)
  return { valid: problems.count === 0, first, last, signedUpTo, problems: listed, problemCount: problems.count }
}

function readHeadOrReport(store: Store, problems: Problems): TrailHead {
  const head = store.read((reader) => reader.get<TrailHead>(HEAD))
  if (head !== undefined && Number.isSafeInteger(head.next) && Number.isSafeInteger(head.first)) return head
  const newest = store.read((reader) => [...reader.range(EVENTS, { reverse: true, limit: 1 })])
  if (newest.length === 0 && head === undefined) return NO_EVENTS
  problems.add(
    "head",
    0,
    0,
    head === undefined ? "the head of the trail is missing" : "the head of the trail is unreadable",
  )
  const end = newest.length === 0 ? 0 : Number(newest[0]![0].slice(EVENTS.length))
  return { ...NO_EVENTS, next: end + 1 }
}

/** AUD-1.6: only where old events are dropped may the trail begin later. */
function checkDropped({ first }: TrailHead, { keepEvents }: Trail, problems: Problems): void {
  if (first > 1 && keepEvents === Number.POSITIVE_INFINITY)
    problems.add("removed", 1, first - 1, "the head says that old events were dropped, which this store never does")
}

interface Found {
  /** One for each number from the trail's first on: whether the event is there. */
  readonly seen: Uint8Array
  readonly mac: string
  readonly seal: string
}

async function checkEvents(store: Store, trail: Trail, head: TrailHead, problems: Problems): Promise<Found> {
  const { first } = head
  const last = head.next - 1
  const seen = new Uint8Array(Math.max(0, last - first + 1))
  const mark = first > 1 ? store.read((reader) => readMark(reader, first - 1)) : undefined
  let { mac = "", seal = "" } = mark ?? {}
  let before: Place | undefined
  let block: EventRecord[] = []
  for await (const place of walk(store, trail.vault, first, last)) {
    const { at, record, genuine } = place
    if (Number.isNaN(at)) {
      const last = before?.at ?? first
      problems.add("added", last, last, `a record that is no event stands behind event ${last}`)
      continue
    }
    checkPlace(place, before, problems)
    seen[(genuine ? record.n : at) - first] = 1
    seal = nextSeal(trail.vault, seal, record.mac)
    mac = record.mac
    if (at === firstOfBlock(blockOf(at))) block = []
    if (genuine && record.n === at) block.push(record)
    if (block.length === BLOCK) await checkIndex(store, blockOf(at), block, problems)
    before = place
  }
  return { seen, mac, seal }
}

/** AUD-3.2 and AUD-3.3: by itself, and against the one before it only where that one is what it should be. */
function checkPlace({ at, record, genuine }: Place, before: Place | undefined, problems: Problems): void {
  if (!genuine) problems.add("edited", at, at, `event ${at} is not what the KMS wrote`)
  else if (record.n !== at)
    problems.add("moved", record.n, record.n, `event ${record.n} stands in the place of event ${at}`)
  else if (before?.genuine && before.record.n === at - 1 && record.previous !== before.record.mac)
    problems.add("unlinked", at, at, `event ${at} does not follow the event before it`)
}

function reportMissing({ seen }: Found, first: number, problems: Problems): void {
  for (let i = 0; i < seen.length; i++) {
    if (seen[i] === 1) continue
    let end = i
    while (end + 1 < seen.length && seen[end + 1] === 0) end++
    const from = first + i
    const to = first + end
    problems.add("removed", from, to, from === to ? `event ${from} is missing` : `events ${from} to ${to} are missing`)
    i = end
  }
}

function checkBeyond(store: Store, problems: Problems): void {
  const beyond = store.read((reader) => {
    const next = reader.get<TrailHead>(HEAD)?.next
    return next === undefined ? [] : [...reader.range(EVENTS, { after: eventKey(next - 1), limit: 100 })]
  })
  for (const [key] of beyond) {
    const at = Number(key.slice(EVENTS.length))
    problems.add("added", at, at, `event ${at} stands behind the end of the trail`)
  }
}

/** AUD-2.4: an index that hides events is reported and made anew. */
async function checkIndex(
  store: Store,
  block: number,
  records: readonly EventRecord[],
  problems: Problems,
): Promise<void> {
  const stored = store.read((reader) => reader.get<BlockIndex>(blockKey(block)))
  if (stored === undefined) return
  const right = makeBlockIndex(records)
  if (stored.from === right.from && stored.to === right.to && stored.terms === right.terms) return
  const first = firstOfBlock(block)
  const last = first + BLOCK - 1
  problems.add("index", first, last, `the search index of events ${first} to ${last} was wrong; it has been made anew`)
  await store.transaction((tx) => tx.put(blockKey(block), right))
}
