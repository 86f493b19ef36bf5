import { copyBytes } from "../core/index.ts"
import { readU16, readU32, readU64 } from "../format/index.ts"
import { malformedVolume } from "./failures.ts"

/** Reads fields in order. @throws EnvelopeError `MalformedVolume` when the bytes end early */
export interface Cursor {
  readonly at: () => number
  readonly left: () => number
  u8(): number
  u16(): number
  u32(): number
  /** At most 2^53 - 1. */
  u64(): number
  /** A view. */
  view(length: number): Uint8Array
  copy(length: number): Uint8Array
}

export function cursorOver(bytes: Uint8Array, what: string): Cursor {
  let at = 0
  const skip = (length: number): number => {
    if (length > bytes.length - at) throw malformedVolume(`${what} ends early`)
    at += length
    return at - length
  }
  const view = (length: number): Uint8Array => {
    const start = skip(length)
    return bytes.subarray(start, start + length)
  }
  return {
    at: () => at,
    left: () => bytes.length - at,
    u8: () => bytes[skip(1)]!,
    u16: () => readU16(bytes, skip(2)),
    u32: () => readU32(bytes, skip(4)),
    u64: () => {
      const value = Number(readU64(bytes, skip(8)))
      if (!Number.isSafeInteger(value)) throw malformedVolume(`${what} holds a number above 2^53`)
      return value
    },
    view,
    copy: (length) => copyBytes(view(length)),
  }
}
