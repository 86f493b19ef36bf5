import type { IncomingHttpHeaders } from "node:http"
import { invalidRange, notModified, preconditionFailed, S3Fault } from "./fault.ts"
import type { Version } from "./store.ts"

const names = (header: string): string[] => header.split(",").map((name) => name.trim())
const matches = (header: string, etag: string): boolean =>
  names(header).some((name) => name === "*" || name === etag || `"${name}"` === etag)

const seconds = (date: Date): number => Math.floor(date.getTime() / 1000)

/** Conditions of GET and HEAD, and, under other names, of the source of a copy. */
export function checkRead(
  version: Version,
  headers: { match?: string; noneMatch?: string; modifiedSince?: string; unmodifiedSince?: string },
  failed: "not-modified" | "precondition",
): void {
  const { match, noneMatch, modifiedSince, unmodifiedSince } = headers
  const unchanged = failed === "not-modified" ? notModified : preconditionFailed
  if (match !== undefined && !matches(match, version.etag)) throw preconditionFailed()
  if (noneMatch !== undefined && matches(noneMatch, version.etag)) throw unchanged()
  if (match === undefined && unmodifiedSince !== undefined) {
    if (seconds(version.lastModified) > seconds(new Date(unmodifiedSince))) throw preconditionFailed()
  }
  if (noneMatch === undefined && modifiedSince !== undefined) {
    if (seconds(version.lastModified) <= seconds(new Date(modifiedSince))) throw unchanged()
  }
}

/** If-Match and If-None-Match of writes. */
export function checkWrite(current: Version | undefined, headers: IncomingHttpHeaders): void {
  const match = headers["if-match"]
  const noneMatch = headers["if-none-match"]
  if (noneMatch !== undefined) {
    if (noneMatch !== "*") throw new S3Fault(501, "NotImplemented", "If-None-Match of a write takes only *.")
    if (current !== undefined) throw preconditionFailed()
  }
  if (match === undefined) return
  if (current === undefined) throw new S3Fault(404, "NoSuchKey", "The specified key does not exist.")
  if (!matches(match, current.etag)) throw preconditionFailed()
}

export interface ByteRange {
  readonly start: number
  /** Exclusive. */
  readonly end: number
}

/** RFC 9110, section 14.2: what is no single range of bytes is ignored. @returns undefined for the whole */
export function parseRange(header: string | undefined, size: number): ByteRange | undefined {
  const [, first, last] = /^bytes=(\d*)-(\d*)$/.exec(header ?? "") ?? []
  if (first === undefined || last === undefined || (first === "" && last === "")) return undefined
  if (first === "") {
    const length = Number(last)
    if (length === 0 || size === 0) throw invalidRange()
    return { start: Math.max(0, size - length), end: size }
  }
  const start = Number(first)
  if (last !== "" && Number(last) < start) return undefined
  if (start >= size) throw invalidRange()
  return { start, end: last === "" ? size : Math.min(size, Number(last) + 1) }
}
