import { types } from "node:util"
import type { BytesLike } from "./types.ts"

const encoder = new TextEncoder()
const strictDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** Up to this many units of UTF-16 a loop is several times as fast as a call of the encoder. */
const SHORT = 64

/** UTF-8 in memory of its own: `Buffer.from(string)` would leave the bytes in Node's shared pool. */
export function utf8(text: string): Uint8Array {
  if (text.length > SHORT) return encoder.encode(text)
  const bytes = new Uint8Array(text.length)
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit > 0x7f) return encoder.encode(text)
    bytes[i] = unit
  }
  return bytes
}

/** @returns undefined when the bytes are not UTF-8 */
export function fromUtf8(bytes: Uint8Array): string | undefined {
  try {
    return strictDecoder.decode(bytes)
  } catch {
    return undefined
  }
}

/** Zeroed memory of its own, never a slice of Node's shared pool. */
export const allocate = (length: number): Uint8Array => new Uint8Array(length)

/** Memory of its own that holds anything: for large results that are written whole, which zeroing would slow by a tenth. */
export function allocateUnfilled(length: number): Uint8Array {
  const { buffer } = Buffer.allocUnsafeSlow(length)
  return new Uint8Array(buffer)
}

/** A copy in memory of its own; `slice` of a Buffer would share the memory. */
export const copyBytes = (bytes: Uint8Array): Uint8Array => new Uint8Array(bytes)

/** A view of the caller's bytes (strings are encoded). @throws TypeError for anything else */
export function viewBytes(value: BytesLike, name: string): Uint8Array {
  if (typeof value === "string") return utf8(value)
  if (value instanceof Uint8Array) return value
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
  if (types.isAnyArrayBuffer(value)) return new Uint8Array(value)
  throw new TypeError(`${name} must be a string, a Uint8Array or an ArrayBuffer`)
}

/** Order by byte value, shorter first where one is the beginning of the other. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const difference = a[i]! - b[i]!
    if (difference !== 0) return difference
  }
  return a.length - b.length
}

/** Not constant-time: for public values only. */
export const equalBytes = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && compareBytes(a, b) === 0

export function concatBytes(parts: readonly Uint8Array[]): Uint8Array {
  let length = 0
  for (const part of parts) length += part.length
  const all = allocate(length)
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}
