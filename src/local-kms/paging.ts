import { invalidMarker } from "./faults.ts"

export interface Page<T> {
  readonly items: readonly T[]
  /** Present when more follow. */
  readonly nextMarker?: string
}

/**
 * One page of entries in store order. A marker is the operation and the key of the last entry given out, in base64url;
 * entries that come or go between two pages are neither skipped nor repeated.
 *
 * @param read at most `limit + 1` entries after the given store key
 * @throws KmsFault `InvalidMarkerException`
 */
export function readPage<T>(
  operation: string,
  prefix: string,
  limit: number,
  marker: string | undefined,
  read: (after: string | undefined) => Iterable<readonly [key: string, value: T]>,
): Page<T> {
  const items: T[] = []
  let last = ""
  for (const [key, value] of read(marker === undefined ? undefined : decodeMarker(operation, prefix, marker))) {
    if (items.length === limit) return { items, nextMarker: encodeMarker(operation, last.slice(prefix.length)) }
    items.push(value)
    last = key
  }
  return { items }
}

/**
 * One page of a list that is at hand in full.
 *
 * @param items in order of their positions, which are unique and never empty
 * @throws KmsFault `InvalidMarkerException`
 */
export function readListPage<T>(
  operation: string,
  items: readonly (readonly [position: string, item: T])[],
  limit: number,
  marker: string | undefined,
): Page<T> {
  return readPage(operation, "", limit, marker, (after) =>
    items.filter(([position]) => after === undefined || position > after),
  )
}

/** The members that every list has. */
export const pageOutput = (name: string, { items, nextMarker }: Page<unknown>): Record<string, unknown> => ({
  [name]: items,
  Truncated: nextMarker !== undefined,
  ...(nextMarker === undefined ? {} : { NextMarker: nextMarker }),
})

const encodeMarker = (operation: string, position: string): string =>
  Buffer.from(`${operation}\n${position}`).toString("base64url")

function decodeMarker(operation: string, prefix: string, marker: string): string {
  const text = Buffer.from(marker, "base64url").toString()
  const position = text.slice(operation.length + 1)
  if (position === "" || encodeMarker(operation, position) !== marker) throw invalidMarker()
  return prefix + position
}
