const HOUR_MS = 3_600_000

export interface Month {
  /** Milliseconds since 1970, UTC. */
  readonly start: number
  readonly end: number
  readonly hours: number
}

/** @param month for instance `2026-05`. @throws RangeError for anything else */
export function parseMonth(month: string): Month {
  const [, year, number] = /^(\d{4})-(0[1-9]|1[0-2])$/.exec(month) ?? []
  if (year === undefined) throw new RangeError(`a month is written as 2026-05, not '${month}'`)
  const start = Date.UTC(Number(year), Number(number) - 1)
  const end = Date.UTC(Number(year), Number(number))
  return { start, end, hours: (end - start) / HOUR_MS }
}

/** The month of a time, for instance `2026-05` (UTC). */
export const monthOf = (time: Date): string => time.toISOString().slice(0, 7)

/** The hours of the clock that a period touches: each that has begun counts as a whole one. */
export const hoursBetween = (from: number, to: number): number =>
  to <= from ? 0 : Math.ceil(to / HOUR_MS) - Math.floor(from / HOUR_MS)
