import type { MicroUsd } from "./money.ts"
import { parseMonth } from "./month.ts"

/**
 * How AWS prices a request: by the operation, and for those that use a key by its spec.
 *
 * - `standard`: symmetric and HMAC keys, and everything that manages keys; has the free requests
 * - `rsa2048`: with an RSA_2048 key
 * - `asymmetric`: with any other asymmetric key
 * - `eccDataKeyPair`, `rsaDataKeyPair`: GenerateDataKeyPair and GenerateDataKeyPairWithoutPlaintext
 */
export type RequestClass = "standard" | "rsa2048" | "asymmetric" | "eccDataKeyPair" | "rsaDataKeyPair"

export const requestClasses: readonly RequestClass[] = [
  "standard",
  "rsa2048",
  "asymmetric",
  "eccDataKeyPair",
  "rsaDataKeyPair",
]

/** Prices of AWS KMS in USD from a month on. */
export interface PriceTable {
  /** The first month, for instance `2024-04`. */
  readonly from: string
  /** When the prices were last looked up, and where. */
  readonly readOn: string
  readonly source: string
  /** A customer managed key for a month, in every Region that has a copy; a part of a month by the hour. */
  readonly keyMonth: MicroUsd
  /** What each rotation adds to a key-month, up to `chargedRotations` of them. */
  readonly rotationMonth: MicroUsd
  readonly chargedRotations: number
  /** `standard` requests a month that cost nothing, over all Regions of an account. */
  readonly freeRequests: number
  /** Of one request; AWS names the price of 10,000. */
  readonly request: Readonly<Record<RequestClass, MicroUsd>>
}

/** The price of 10,000 requests in USD cents as that of one in micro-dollars. */
const centsPer10000 = (cents: number): MicroUsd => cents

/** Oldest first. us-east-1; other commercial Regions have the same prices. */
export const priceTables: readonly PriceTable[] = [
  {
    from: "2024-04",
    readOn: "2026-03",
    source: "https://aws.amazon.com/kms/pricing/",
    keyMonth: 1_000_000,
    rotationMonth: 1_000_000,
    chargedRotations: 2,
    freeRequests: 20_000,
    request: {
      standard: centsPer10000(3),
      rsa2048: centsPer10000(3),
      asymmetric: centsPer10000(15),
      eccDataKeyPair: centsPer10000(10),
      rsaDataKeyPair: centsPer10000(1200),
    },
  },
]

/**
 * The prices of a month.
 *
 * @param month for instance `2026-05`; default: the newest prices
 * @throws RangeError for a month before the oldest prices that are known, or none at all
 */
export function pricesOf(month?: string): PriceTable {
  if (month === undefined) return priceTables.at(-1)!
  parseMonth(month)
  const prices = priceTables.findLast(({ from }) => from <= month)
  if (prices === undefined) throw new RangeError(`no prices are known before ${priceTables[0]!.from}`)
  return prices
}

const PAIR_OPERATIONS: ReadonlySet<string> = new Set(["GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext"])
/** What is charged by the kind of the key; everything else, such as DescribeKey, is `standard`. */
const KEY_OPERATIONS: ReadonlySet<string> = new Set([
  ...["Encrypt", "Decrypt", "ReEncrypt", "Sign", "Verify", "DeriveSharedSecret", "GetPublicKey"],
])

/**
 * The class of a request.
 *
 * @param operation for instance `Decrypt`
 * @param keySpec of the key it used; of the pair for GenerateDataKeyPair. Default: a symmetric key
 */
export function requestClass(operation: string, keySpec = "SYMMETRIC_DEFAULT"): RequestClass {
  if (PAIR_OPERATIONS.has(operation)) return keySpec.startsWith("RSA_") ? "rsaDataKeyPair" : "eccDataKeyPair"
  const isSymmetric = keySpec === "SYMMETRIC_DEFAULT" || keySpec.startsWith("HMAC_")
  if (isSymmetric || !KEY_OPERATIONS.has(operation)) return "standard"
  return keySpec === "RSA_2048" ? "rsa2048" : "asymmetric"
}
