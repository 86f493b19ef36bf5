import { readU32, writeU32 } from "../format/index.ts"

/** Bytes of an entry (VOL-4.1). */
export const ENTRY_LENGTH = 24
const TAG_AT = 8
const NO_TAG = /* @__PURE__ */ new Uint8Array(16)

/** Bits of the state. */
const PRESENT = 1
const SECOND = 2

/** Which of two files: `a` or `b`. */
export type Side = 0 | 1

/** When, in the order of all changes (VOL-4.5). */
export interface Stamp {
  readonly epoch: number
  readonly counter: number
}

export interface Entry extends Stamp {
  readonly state: number
  readonly tag: Uint8Array
}

export const isPresent = (bytes: Uint8Array, at = 0): boolean => (bytes[at]! & PRESENT) !== 0

export const sideOf = (bytes: Uint8Array, at = 0): Side => ((bytes[at]! & SECOND) >> 1) as Side

export const present = (side: Side): number => PRESENT | (side << 1)

export const epochOf = (bytes: Uint8Array, at = 0): number => readU32(bytes, at) & 0xffffff

/** The entry's fields; the tag is a view. */
export const readEntry = (bytes: Uint8Array, at = 0): Entry => ({
  state: bytes[at]!,
  epoch: epochOf(bytes, at),
  counter: readU32(bytes, at + 4),
  tag: bytes.subarray(at + TAG_AT, at + ENTRY_LENGTH),
})

export function writeEntry(bytes: Uint8Array, at: number, { state, epoch, counter, tag }: Entry): void {
  writeU32(bytes, at, state * 0x1_00_00_00 + epoch)
  writeU32(bytes, at + 4, counter)
  bytes.set(tag, at + TAG_AT)
}

/** @param side kept of a node's last version (VOL-4.3) */
export const writeHole = (bytes: Uint8Array, at: number, stamp: Stamp, side: Side = 0): void =>
  writeEntry(bytes, at, { ...stamp, state: side << 1, tag: NO_TAG })

/** VOL-4.1: no unknown bit, and no tag in a hole. */
export function isEntry(bytes: Uint8Array, at = 0): boolean {
  if (bytes[at]! > (PRESENT | SECOND)) return false
  return isPresent(bytes, at) || bytes.subarray(at + TAG_AT, at + ENTRY_LENGTH).every((byte) => byte === 0)
}
