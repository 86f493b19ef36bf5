import { type Bill, estimateCost, formatUsd, priceTables, type Workload } from "../../cost/index.ts"
import { orUsageError, usageError } from "../failures.ts"
import { print } from "../fd.ts"
import { withStore } from "../local-store.ts"
import type { CommonOptions } from "../options.ts"
import { formatTable, toJson } from "../text.ts"

export interface CostActualOptions extends CommonOptions {
  readonly actual?: boolean
  readonly month?: string
  readonly account?: string
}

export interface CostEstimateOptions extends Omit<Workload, "bucketKey"> {
  readonly bucketKey?: boolean
  readonly buckets?: number
  readonly processes?: number
  readonly maxAge?: number
  readonly bucketKeySaves?: number
  readonly month?: string
  readonly json?: boolean
}

export async function costActualCommand({ actual, month, account, kms, json }: CostActualOptions): Promise<void> {
  if (!actual) throw usageError("which cost?", "envelope cost --actual, or envelope cost estimate --keys 1 ...")
  checkMonth(month)
  if (account !== undefined && !/^\d{12}$/.test(account))
    throw usageError(`'${account}' is no AWS account`, "twelve digits")
  await withStore(kms, {}, async (store) => {
    const bill = await store.bill({
      ...(month !== undefined && { month }),
      ...(account !== undefined && { accountId: account }),
    })
    await printBill(bill, json)
  })
}

export async function costEstimateCommand(options: CostEstimateOptions): Promise<void> {
  const { month, json, bucketKey, buckets, processes, maxAge, bucketKeySaves, ...counts } = options
  checkMonth(month)
  const held = {
    ...(buckets !== undefined && { buckets }),
    ...(processes !== undefined && { processes }),
    ...(maxAge !== undefined && { maxAgeSeconds: maxAge }),
  }
  const usesBucketKey = bucketKey || Object.keys(held).length > 0
  const workload: Workload = {
    ...counts,
    ...(usesBucketKey && { bucketKey: held }),
    ...(bucketKeySaves !== undefined && { bucketKey: { savedPercent: bucketKeySaves } }),
  }
  await printBill(
    orUsageError(() => estimateCost(workload, month)),
    json,
  )
}

// --- internal ---

function checkMonth(month: string | undefined): void {
  const oldest = priceTables[0]!.from
  if (month !== undefined && month < oldest)
    throw usageError(`no prices are known before ${oldest}`, "--month takes that or later")
}

function printBill(bill: Bill, json: boolean | undefined): Promise<void> {
  const { month, lines, usd, pricesFrom } = bill
  if (json) {
    const shown = lines.map(({ item, quantity, free, microUsd }) => ({
      item,
      quantity,
      free,
      usd: formatUsd(microUsd),
    }))
    return print(toJson({ month, currency: "USD", lines: shown, total: usd, pricesFrom }))
  }
  const rows = lines.map(({ item, text, quantity, free, microUsd }) => [
    text,
    `${quantity.toLocaleString("en-US")}${item === "keys" || item === "rotations" ? " h" : ""}`,
    free === 0 ? "" : free.toLocaleString("en-US"),
    formatUsd(microUsd),
  ])
  return print(formatTable([month, "QUANTITY", "FREE", "USD"], [...rows, ["total", "", "", usd]]))
}
