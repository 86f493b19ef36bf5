/** A range of bytes as a caller asks for it (RFC 9110, section 14.1.2). */
export type ByteRange =
  | { readonly kind: "closed"; readonly first: number; readonly last: number }
  | { readonly kind: "open"; readonly first: number }
  | { readonly kind: "suffix"; readonly length: number }

/** OBJ-5.1. @returns undefined for what S3 ignores: no range, several, other units, the end before the start */
export function parseRange(header: string | undefined): ByteRange | undefined {
  const [, first, last] = /^\s*bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*$/i.exec(header ?? "") ?? []
  if (first === undefined || last === undefined) return undefined
  if (first === "") return last === "" ? undefined : { kind: "suffix", length: toOffset(last) }
  if (last === "") return { kind: "open", first: toOffset(first) }
  const range = { kind: "closed" as const, first: toOffset(first), last: toOffset(last) }
  return range.first <= range.last ? range : undefined
}

/** Digits without end stay an integer, as RFC 9110 lets offsets be beyond every object. */
const toOffset = (digits: string): number => Math.min(Number(digits), Number.MAX_SAFE_INTEGER - 1)

/** @returns start and exclusive end within the plaintext; undefined where nothing of it is in the range */
export function resolveRange(range: ByteRange, length: number): { start: number; end: number } | undefined {
  if (range.kind === "suffix") {
    return range.length === 0 || length === 0 ? undefined : { start: Math.max(0, length - range.length), end: length }
  }
  if (range.first >= length) return undefined
  return { start: range.first, end: range.kind === "open" ? length : Math.min(length, range.last + 1) }
}
