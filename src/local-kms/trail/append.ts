import type { AuditEvent } from "../audit.ts"
import { noteLife } from "../lives.ts"
import type { StoreTransaction } from "../store/store.ts"
import type { Vault } from "../vault.ts"
import { blockKey, blockOf } from "./blocks.ts"
import { EVENTS, eventKey, HEAD, readHead, type TrailHead } from "./records.ts"

/** What writing events takes. */
export interface Trail {
  readonly vault: Pick<Vault, "mac">
  /** How many of the newest events are kept at least. */
  readonly keepEvents: number
}

/** AUD-1.6: the number of the oldest event that must be there, whatever the head of a store says that drops nothing. */
export const oldestEvent = ({ first }: TrailHead, { keepEvents }: Pick<Trail, "keepEvents">): number =>
  keepEvents === Number.POSITIVE_INFINITY ? 1 : first

/** AUD-1.6: old events go in groups of so many. */
const GROUP = 1000
const MARKS = "mark/"

/** AUD-1.6: the head's `mac` and `seal` after the last event of a group. */
type Mark = Pick<TrailHead, "mac" | "seal">

const markKey = (n: number): string => `${MARKS}${String(n).padStart(16, "0")}`

/** AUD-1.2: what authenticates one event, its place and its predecessor. */
export const eventMac = (vault: Pick<Vault, "mac">, n: number, previous: string, eventText: string): string =>
  vault.mac(`${n}\n${previous}\n${eventText}`)

/** AUD-1.4: folds one more event into what the head keeps. */
export const nextSeal = (vault: Pick<Vault, "mac">, seal: string, mac: string): string => vault.mac(`${seal}\n${mac}`)

/** KMS-3.7: adds an event to the trail, in the transaction of what it tells of. */
export function appendEvent(tx: StoreTransaction, event: AuditEvent, { vault, keepEvents }: Trail): void {
  const head = readHead(tx)
  const { next: n, mac: previous } = head
  const text = JSON.stringify(event)
  const mac = eventMac(vault, n, previous, text)
  const seal = nextSeal(vault, head.seal, mac)
  tx.putJson(eventKey(n), `{"n":${n},"previous":"${previous}","mac":"${mac}","event":${text}}`)
  noteLife(tx, event)
  const first =
    n % GROUP === 0 && keepEvents !== Number.POSITIVE_INFINITY ? drop(tx, head, keepEvents, { mac, seal }) : head.first
  tx.put(HEAD, { next: n + 1, mac, seal, first })
}

/** AUD-1.6: marks the end of a group and drops the groups that need not be kept. @returns the oldest event's number */
function drop(tx: StoreTransaction, { next: n, first }: TrailHead, keep: number, mark: Mark): number {
  tx.put(markKey(n), mark)
  const last = Math.floor((n - keep) / GROUP) * GROUP
  if (last < first) return first
  for (const [key] of [...tx.range(EVENTS, { limit: last - first + 1 })]) if (key <= eventKey(last)) tx.remove(key)
  for (const [key] of [...tx.range(MARKS)]) if (key < markKey(last)) tx.remove(key)
  for (let block = blockOf(first); block < blockOf(last + 1); block++) tx.remove(blockKey(block))
  return last + 1
}

/** The end of the last group that was dropped. */
export const readMark = (tx: Pick<StoreTransaction, "get">, n: number): Mark | undefined => tx.get<Mark>(markKey(n))
