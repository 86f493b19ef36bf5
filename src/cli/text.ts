/**
 * Text from outside (names, contexts, errors) with everything escaped that a terminal could take for a command or show
 * in another order: control, format and separator characters.
 */
export const printable = (text: string): string =>
  text.replace(/[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/gu, (character) => {
    if (character === "\n") return "\\n"
    const code = character.codePointAt(0)!.toString(16)
    return code.length <= 4 ? `\\u${code.padStart(4, "0")}` : `\\u{${code}}`
  })

const UNITS = ["bytes", "KiB", "MiB", "GiB", "TiB"]

/** `128 MiB`, `1.5 GiB`, `17 bytes`. */
export function formatBytes(bytes: number): string {
  let unit = 0
  let value = bytes
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024
    unit++
  }
  const digits = unit === 0 || value >= 100 || Number.isInteger(value) ? 0 : 1
  return `${value.toFixed(digits)} ${bytes === 1 ? "byte" : UNITS[unit]}`
}

/** `128 MiB (134,217,728 bytes)`. */
export const formatExactBytes = (bytes: number): string =>
  bytes < 1024 ? formatBytes(bytes) : `${formatBytes(bytes)} (${bytes.toLocaleString("en-US")} bytes)`

/** `0:07`, `12:30`, `1:02:03`. */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds))
  const hours = Math.floor(whole / 3600)
  const minutes = Math.floor((whole % 3600) / 60)
  const rest = String(whole % 60).padStart(2, "0")
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`
}

export const toJson = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`

/** Columns under headings, the last one as long as it likes. */
export function formatTable(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [headings, ...rows.map((row) => row.map(printable))]
  const widths = headings.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)))
  const format = (line: readonly string[]) => line.map((cell, column) => cell.padEnd(widths[column]!)).join("  ")
  return `${lines.map((line) => format(line).trimEnd()).join("\n")}\n`
}

/** `name    value` lines, the values under each other. */
export function formatPairs(pairs: readonly (readonly [string, string])[]): string {
  const width = Math.max(0, ...pairs.map(([name]) => name.length))
  return pairs.map(([name, value]) => `${`${name.padEnd(width)}  ${value}`.trimEnd()}\n`).join("")
}

const SIZE = /^(\d+)\s*(?:([kmgt])(?:i?b)?|b|bytes?)?$/i
const FACTORS: Readonly<Record<string, number>> = { k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4 }

/** `65536`, `64KiB`, `1M`: all binary. @returns undefined for anything else */
export function parseSize(text: string): number | undefined {
  const [, digits, unit] = SIZE.exec(text.trim()) ?? []
  if (digits === undefined) return undefined
  const value = Number(digits) * (unit === undefined ? 1 : FACTORS[unit.toLowerCase()]!)
  return Number.isSafeInteger(value) ? value : undefined
}
