import { type Bill, type BillLine, finish, requestLines } from "./bill.ts"
import { priceOf, requireCount } from "./money.ts"
import { parseMonth } from "./month.ts"
import { pricesOf } from "./prices.ts"

/** What is done in a month. Everything is 0 unless given. */
export interface Workload {
  /** Customer managed keys, for the whole month; each Region's copy of a multi-Region key counts. */
  readonly keys?: number
  /** How often each of them has been rotated so far. */
  readonly rotationsPerKey?: number
  /** Encrypted volumes that are created and attached. */
  readonly volumes?: number
  /** KMS requests for each: GenerateDataKeyWithoutPlaintext, CreateGrant, Decrypt. Default 3. */
  readonly requestsPerVolume?: number
  /** Objects written, one GenerateDataKey each. */
  readonly objectsWritten?: number
  /** Objects read, one Decrypt each. */
  readonly objectsRead?: number
  /** With a bucket key objects share requests. */
  readonly bucketKey?: BucketKey
  /** Requests of any other kind. */
  readonly otherRequests?: number
}

/**
 * Either what share of the objects' requests a bucket key saves, such as the 99 percent that Amazon S3 says it may reach; or, for
 * the bucket keys of this library, how they are held: then each process asks for each bucket at most once a period, on writes, and
 * at most once a period and key, on reads.
 */
export type BucketKey =
  /** Whole percent, 0 to 100. */
  | { readonly savedPercent: number }
  | {
      /** Default 1. */
      readonly buckets?: number
      /** Default 1. */
      readonly processes?: number
      /** Seconds that a bucket key is used. Default 300. */
      readonly maxAgeSeconds?: number
    }

const REQUESTS_PER_VOLUME = 3
const MAX_AGE_SECONDS = 300

/**
 * What a workload costs in a month at AWS's prices.
 *
 * @param month for instance `2026-05`. Default: the month of the newest prices
 * @throws RangeError for counts that are no whole numbers from 0 on, a month without known prices, more than 9 billion USD
 */
export function estimateCost(workload: Workload, month?: string): Bill {
  const prices = pricesOf(month)
  const billed = month ?? prices.from
  const { hours } = parseMonth(billed)
  const { keys = 0, rotationsPerKey = 0 } = workload
  requireCount("keys", keys)
  requireCount("rotationsPerKey", rotationsPerKey)
  const rotations = keys * Math.min(rotationsPerKey, prices.chargedRotations)
  const lines: BillLine[] = [
    {
      item: "keys",
      text: "customer managed keys",
      quantity: keys * hours,
      free: 0,
      microUsd: priceOf(keys, prices.keyMonth),
    },
    {
      item: "rotations",
      text: "rotations of keys",
      quantity: rotations * hours,
      free: 0,
      microUsd: priceOf(rotations, prices.rotationMonth),
    },
    ...requestLines({ standard: workloadRequests(workload, hours) }, prices),
  ]
  return finish(
    billed,
    lines.filter(({ quantity }) => quantity > 0),
    prices,
  )
}

/**
 * The KMS requests of a workload in a month of so many hours.
 *
 * @throws RangeError for counts that are no whole numbers from 0 on
 */
export function workloadRequests(workload: Workload, hours = 744): number {
  const {
    volumes = 0,
    requestsPerVolume = REQUESTS_PER_VOLUME,
    objectsWritten = 0,
    objectsRead = 0,
    otherRequests = 0,
  } = workload
  const counts = { volumes, requestsPerVolume, objectsWritten, objectsRead, otherRequests }
  for (const [name, value] of Object.entries(counts)) requireCount(name, value)
  const objects = objectRequests(objectsWritten, objectsRead, workload.bucketKey, hours)
  const total = volumes * requestsPerVolume + objects + otherRequests
  requireCount("the number of requests", total)
  return total
}

function objectRequests(written: number, read: number, bucketKey: BucketKey | undefined, hours: number): number {
  if (bucketKey === undefined) return written + read
  if ("savedPercent" in bucketKey) {
    const { savedPercent } = bucketKey
    if (!Number.isInteger(savedPercent) || savedPercent < 0 || savedPercent > 100)
      throw new RangeError("savedPercent must be a whole number from 0 to 100")
    return Number((BigInt(written + read) * BigInt(100 - savedPercent) + 99n) / 100n)
  }
  const { buckets = 1, processes = 1, maxAgeSeconds = MAX_AGE_SECONDS } = bucketKey
  requireCount("buckets", buckets)
  requireCount("processes", processes)
  if (!Number.isFinite(maxAgeSeconds) || maxAgeSeconds <= 0) throw new RangeError("maxAgeSeconds must be above 0")
  const periods = Math.ceil((hours * 3600) / maxAgeSeconds) * buckets * processes
  return Math.min(written, periods) + Math.min(read, periods)
}
