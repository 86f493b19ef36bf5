import { usageError } from "./failures.ts"

export function parseCount(text: string): number {
  const count = Number(text.replaceAll(/[,_]/g, ""))
  if (/^\d[\d,_]*$/.test(text) && Number.isSafeInteger(count)) return count
  throw usageError(`'${text}' is no number`, "a whole number, for instance 10000")
}

export function parsePercent(text: string): number {
  if (/^\d{1,3}%?$/.test(text) && Number.parseInt(text, 10) <= 100) return Number.parseInt(text, 10)
  throw usageError(`'${text}' is no share`, "whole percent from 0 to 100")
}

export function parseSeconds(text: string): number {
  const seconds = parseCount(text)
  if (seconds > 0) return seconds
  throw usageError(`'${text}' is no number of seconds`, "a whole number above 0")
}

export function parseMonth(text: string): string {
  if (/^\d{4}-(0[1-9]|1[0-2])$/.test(text)) return text
  throw usageError(`'${text}' is no month`, "for instance 2026-05")
}

const UNITS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** `2026-05-20`, `2026-05-20T20:45:00Z` (UTC where it does not say), `15m` ago. */
export function parseTime(text: string): Date {
  const [, amount, unit] = /^(\d{1,6})([smhd])$/.exec(text) ?? []
  if (amount !== undefined) return new Date(Date.now() - Number(amount) * UNITS[unit!]!)
  const [, day, time, zone] = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?))?(Z|[+-]\d\d:\d\d)?$/.exec(text) ?? []
  const date = new Date(`${day}T${time ?? "00:00"}${zone ?? "Z"}`)
  if (!Number.isNaN(date.getTime())) return date
  throw usageError(`'${text}' is no time`, "for instance 2026-05-20, 2026-05-20T20:45:00Z, or 15m, 2h, 7d ago")
}
