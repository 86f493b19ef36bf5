import { formatUsd, type MicroUsd, priceOf, requireCount, sum } from "./money.ts"
import { hoursBetween, parseMonth } from "./month.ts"
import { type PriceTable, pricesOf, type RequestClass, requestClasses } from "./prices.ts"

/** The life of one customer managed key in one Region, as far as it costs money. AWS managed and AWS owned keys cost none. */
export interface KeyLife {
  readonly createdAt: Date
  /** From when it costs nothing: its deletion, or the request for it, unless that was cancelled. */
  readonly endedAt?: Date
  /** When it was rotated, on demand or automatically. */
  readonly rotations?: readonly Date[]
}

export interface BillInput {
  /** For instance `2026-05` (UTC). */
  readonly month: string
  readonly keys: readonly KeyLife[]
  /** Requests of the month by class. */
  readonly requests: Partial<Readonly<Record<RequestClass, number>>>
  /** Count keys up to this time only, for a bill in the middle of a month. Default: the month's end. */
  readonly until?: Date
  /** Default: those of the month. */
  readonly prices?: PriceTable
}

export interface BillLine {
  readonly item: "keys" | "rotations" | RequestClass
  readonly text: string
  /** Key-hours, or requests. */
  readonly quantity: number
  /** Of them, those that cost nothing. */
  readonly free: number
  readonly microUsd: MicroUsd
}

export interface Bill {
  readonly month: string
  /** Lines without a quantity are left out. */
  readonly lines: readonly BillLine[]
  readonly microUsd: MicroUsd
  /** The total in dollars, exactly, for instance `6.97`. */
  readonly usd: string
  /** The prices are those from this month on. */
  readonly pricesFrom: string
}

/**
 * What AWS KMS would charge for a month.
 *
 * Keys are charged for each hour (UTC) in which they existed, as a share of the month's hours; the sum of a line is rounded
 * half up to a micro-dollar, and nothing else is.
 *
 * @throws RangeError for no month or one without known prices, for counts that are no whole numbers from 0 on, for more than 9 billion USD
 */
export function kmsBill({ month, keys, requests, until, prices = pricesOf(month) }: BillInput): Bill {
  const { start, end, hours } = parseMonth(month)
  const period = { start, end: until === undefined ? end : Math.min(end, until.getTime()) }
  const used = keys.map((key) => keyHours(key, period, prices))
  const lines = [
    hoursLine("keys", "customer managed keys", sum(used.map(({ key }) => key)), prices.keyMonth, hours),
    hoursLine(
      "rotations",
      "rotations of keys",
      sum(used.map(({ rotations }) => rotations)),
      prices.rotationMonth,
      hours,
    ),
    ...requestLines(requests, prices),
  ].filter(({ quantity }) => quantity > 0)
  return finish(month, lines, prices)
}

export function finish(month: string, lines: readonly BillLine[], { from }: PriceTable): Bill {
  const microUsd = sum(lines.map((line) => line.microUsd))
  return { month, lines, microUsd, usd: formatUsd(microUsd), pricesFrom: from }
}

interface Period {
  readonly start: number
  readonly end: number
}

/** The hours of a key in a period, and those of each rotation that is charged. */
function keyHours(
  { createdAt, endedAt, rotations = [] }: KeyLife,
  period: Period,
  { chargedRotations }: PriceTable,
): { readonly key: number; readonly rotations: number } {
  const end = Math.min(period.end, endedAt?.getTime() ?? Number.POSITIVE_INFINITY)
  // A replica may be younger than the rotations of the key.
  const hoursFrom = (from: Date): number =>
    hoursBetween(Math.max(period.start, createdAt.getTime(), from.getTime()), end)
  const charged = [...rotations].sort((a, b) => a.getTime() - b.getTime()).slice(0, chargedRotations)
  return { key: hoursFrom(createdAt), rotations: sum(charged.map(hoursFrom)) }
}

function hoursLine(
  item: "keys" | "rotations",
  text: string,
  quantity: number,
  monthly: MicroUsd,
  hoursOfMonth: number,
): BillLine {
  return { item, text, quantity, free: 0, microUsd: priceOf(quantity, monthly, hoursOfMonth) }
}

const requestTexts: Readonly<Record<RequestClass, string>> = {
  standard: "requests",
  rsa2048: "requests with RSA_2048 keys",
  asymmetric: "requests with other asymmetric keys",
  eccDataKeyPair: "ECC data key pairs",
  rsaDataKeyPair: "RSA data key pairs",
}

export function requestLines(requests: BillInput["requests"], prices: PriceTable): BillLine[] {
  return requestClasses.map((item) => {
    const quantity = requests[item] ?? 0
    requireCount(`requests.${item}`, quantity)
    const free = item === "standard" ? Math.min(quantity, prices.freeRequests) : 0
    return { item, text: requestTexts[item], quantity, free, microUsd: priceOf(quantity - free, prices.request[item]) }
  })
}
