import { allocate, utf8 } from "../core/index.ts"
import { readU32, readU64, writeU32, writeU64 } from "../format/index.ts"
import { type Cursor, cursorOver } from "./cursor.ts"
import { ENTRY_LENGTH, isEntry, isPresent } from "./entry.ts"
import { malformedVolume } from "./failures.ts"

export const TAG_LENGTH = 16
export const RECORD_HEADER_LENGTH = 24
const MAX_BODY_LENGTH = 2 ** 26
export const RECORD_MAGIC = /* @__PURE__ */ utf8("VLOG")

const BODY_HEADER_LENGTH = TAG_LENGTH + 8 + 4
const RANGE_LENGTH = 1 + 8 + 8
const KINDS = ["placed", "inline", "holes"] as const

/** The clear beginning of a record (VOL-5.1). */
export interface RecordHeader {
  readonly bodyLength: number
  readonly sequence: number
  readonly epoch: number
  readonly counter: number
}

/** VOL-5.2 */
export interface Item {
  /** `placed`: blocks written to their place; `inline`: blocks in the log. */
  readonly kind: (typeof KINDS)[number]
  readonly first: number
  readonly count: number
  /** placed: `count` entries; inline: `count` times entry and sealed block; holes: one entry. */
  readonly bytes: Uint8Array
}

export interface RecordBody {
  /** Of the record before. */
  readonly previousTag: Uint8Array
  readonly durableSequence: number
  readonly items: readonly Item[]
}

export const strideOf = (kind: Item["kind"], blockSize: number): number =>
  kind === "inline" ? ENTRY_LENGTH + blockSize : ENTRY_LENGTH

export function encodeRecordHeader({ bodyLength, sequence, epoch, counter }: RecordHeader): Uint8Array {
  const bytes = allocate(RECORD_HEADER_LENGTH)
  bytes.set(RECORD_MAGIC)
  writeU32(bytes, 4, bodyLength)
  writeU64(bytes, 8, sequence)
  writeU32(bytes, 16, epoch)
  writeU32(bytes, 20, counter)
  return bytes
}

/** @returns undefined when the bytes at `at` begin no record */
export function decodeRecordHeader(bytes: Uint8Array, at: number): RecordHeader | undefined {
  if (bytes.length - at < RECORD_HEADER_LENGTH) return undefined
  if (RECORD_MAGIC.some((byte, i) => bytes[at + i] !== byte)) return undefined
  const bodyLength = readU32(bytes, at + 4)
  const sequence = Number(readU64(bytes, at + 8))
  if (bodyLength > MAX_BODY_LENGTH || !Number.isSafeInteger(sequence)) return undefined
  return { bodyLength, sequence, epoch: readU32(bytes, at + 16), counter: readU32(bytes, at + 20) }
}

/** Bytes of a whole record, by its body. */
export const recordLength = (bodyLength: number): number => RECORD_HEADER_LENGTH + bodyLength + TAG_LENGTH

export function encodeBody({ previousTag, durableSequence, items }: RecordBody): Uint8Array {
  let length = BODY_HEADER_LENGTH
  for (const { bytes } of items) length += RANGE_LENGTH + bytes.length
  const body = allocate(length)
  body.set(previousTag)
  writeU64(body, 16, durableSequence)
  writeU32(body, 24, items.length)
  let at = BODY_HEADER_LENGTH
  for (const { kind, first, count, bytes } of items) {
    body[at] = KINDS.indexOf(kind) + 1
    writeU64(body, at + 1, first)
    writeU64(body, at + 9, count)
    body.set(bytes, at + RANGE_LENGTH)
    at += RANGE_LENGTH + bytes.length
  }
  return body
}

/**
 * The items' bytes are views.
 *
 * @throws EnvelopeError `MalformedVolume`
 */
export function decodeBody(bytes: Uint8Array, blockSize: number, blockCount: number): RecordBody {
  const cursor = cursorOver(bytes, "a log record")
  const previousTag = cursor.view(TAG_LENGTH)
  const durableSequence = cursor.u64()
  const count = cursor.u32()
  if (count * RANGE_LENGTH > cursor.left()) throw malformedVolume("a log record has fewer items than it says")
  const items = Array.from({ length: count }, () => readItem(cursor, blockSize, blockCount))
  if (cursor.left() > 0) throw malformedVolume("bytes follow a log record's items")
  return { previousTag, durableSequence, items }
}

// --- internal ---

/** VOL-5.3 */
function readItem(cursor: Cursor, blockSize: number, blockCount: number): Item {
  const kind = KINDS[cursor.u8() - 1]
  if (kind === undefined) throw malformedVolume("a log record has an item of an unknown kind")
  const first = cursor.u64()
  const count = cursor.u64()
  if (count === 0 || count > blockCount - first) throw malformedVolume("a log record reaches beyond the volume")
  const entries = kind === "holes" ? 1 : count
  const stride = strideOf(kind, blockSize)
  if (entries > cursor.left() / stride) throw malformedVolume("a log record has fewer entries than it says")
  const bytes = cursor.view(entries * stride)
  for (let at = 0; at < bytes.length; at += stride) {
    const fits = kind === "holes" ? bytes[at] === 0 : isPresent(bytes, at)
    if (!fits || !isEntry(bytes, at)) throw malformedVolume("a log record has an entry that does not fit its item")
  }
  return { kind, first, count, bytes }
}
