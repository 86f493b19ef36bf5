/** Micro-dollars: 0.000001 USD, always whole. */
export type MicroUsd = number

/**
 * The exact product of a whole number and a price, divided by a whole number and rounded half up.
 *
 * @throws RangeError above 9 billion USD, where a number no longer holds every micro-dollar
 */
export function priceOf(quantity: number, price: MicroUsd, per = 1): MicroUsd {
  const numerator = 2n * BigInt(quantity) * BigInt(price) + BigInt(per)
  const amount = Number(numerator / (2n * BigInt(per)))
  if (!Number.isSafeInteger(amount)) throw new RangeError("the amount is above 9 billion USD")
  return amount
}

/** @throws RangeError above 9 billion USD */
export function sum(amounts: Iterable<MicroUsd>): MicroUsd {
  let total = 0
  for (const amount of amounts) total += amount
  if (!Number.isSafeInteger(total)) throw new RangeError("the amount is above 9 billion USD")
  return total
}

/** `1.00`, `6.97`, `0.000003`: all digits that matter, at least two after the point. */
export function formatUsd(amount: MicroUsd): string {
  const digits = String(Math.abs(amount)).padStart(7, "0")
  const cents = digits.slice(-6).replace(/0{1,4}$/, "")
  return `${amount < 0 ? "-" : ""}${digits.slice(0, -6)}.${cents}`
}

/** @throws RangeError for anything but a whole number from 0 on */
export function requireCount(name: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`${name} must be a whole number from 0 on`)
}
