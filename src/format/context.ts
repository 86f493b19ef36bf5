import {
  allocate,
  compareBytes,
  type EncryptionContext,
  equalBytes,
  fromUtf8,
  limitExceeded,
  malformed,
  utf8,
} from "../core/index.ts"
import { readU16, writeU16 } from "./integers.ts"

/** Pairs whose keys start so belong to the format itself (specification: framework/structures, "Encryption Context"). */
const RESERVED_PREFIX = "aws-crypto-"
export const PUBLIC_KEY = "aws-crypto-public-key"

const EMPTY = /* @__PURE__ */ allocate(0)

/**
 * The context serialised last: keyring, header and tag of one message all ask for it, and often the next message has an
 * equal one. A WeakMap over all contexts costs more in garbage collections than it saves.
 */
let last: Serialised | undefined

interface Serialised {
  /** Frozen. */
  readonly context: EncryptionContext
  /** Its keys in their order. */
  readonly keys: readonly string[]
  readonly bytes: Uint8Array
  /** Whether the keys stand in the order of the bytes. */
  readonly ordered: boolean
}

/** The context serialised last, where it has the caller's pairs in the caller's order. */
function equalToLast(context: EncryptionContext): EncryptionContext | undefined {
  if (last === undefined) return undefined
  const keys = Object.keys(context)
  if (keys.length !== last.keys.length) return undefined
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i]!
    const value = context[key]
    if (key !== last.keys[i] || typeof value !== "string" || value !== last.context[key]) return undefined
  }
  return last.context
}

/**
 * A frozen copy of the caller's context without prototype, to write with.
 *
 * @throws TypeError when it is no record of well-formed strings, or a key is reserved
 * @param added bytes of the pairs that the message adds: they count, as the reader's limit counts them
 * @throws EnvelopeError `LimitExceeded` when its serialised form is above `maxLength` bytes or 65,535 pairs
 */
export function checkContext(context: EncryptionContext | undefined, maxLength: number, added = 0): EncryptionContext {
  const copy = copyContext(context)
  for (const key of Object.keys(copy)) {
    // MSG-3.3
    if (key.startsWith(RESERVED_PREFIX)) {
      throw new TypeError(
        `encryptionContext key ${JSON.stringify(key)} starts with the reserved prefix ${RESERVED_PREFIX}`,
      )
    }
  }
  const length = encodeContext(copy).length + added
  if (length > maxLength)
    throw limitExceeded("the encryption context, in bytes,", length, maxLength, "maxContextLength")
  return copy
}

/**
 * A frozen copy of the caller's context without prototype.
 *
 * @throws TypeError when it is no record of well-formed strings
 */
export function copyContext(context: EncryptionContext | undefined): EncryptionContext {
  if (context === undefined) return Object.freeze(Object.create(null))
  if (typeof context !== "object" || context === null) throw new TypeError("encryptionContext must be an object")
  const equal = equalToLast(context)
  if (equal !== undefined) return equal
  const copy: Record<string, string> = Object.create(null)
  for (const key of Object.keys(context)) {
    const value = context[key]
    if (typeof value !== "string")
      throw new TypeError(`encryptionContext value of ${JSON.stringify(key)} must be a string`)
    if (!isWellFormed(key) || !isWellFormed(value)) {
      throw new TypeError(
        `encryptionContext pair ${JSON.stringify(key)} holds half a surrogate pair, which has no UTF-8 form`,
      )
    }
    copy[key] = value
  }
  return Object.freeze(copy)
}

// ES2024, in every supported Node but not in the ES2023 library types.
const isWellFormed = (text: string): boolean => (text as unknown as { isWellFormed(): boolean }).isWellFormed()

/** `context` with `more` added, frozen. Pairs in `more` win. */
export function withPairs(context: EncryptionContext, more: EncryptionContext): EncryptionContext {
  return Object.freeze(Object.assign(Object.create(null), context, more))
}

/** The pairs of `context` whose keys are, or with `keep` false are not, in `keys`. */
export function pickPairs(context: EncryptionContext, keys: ReadonlySet<string>, keep: boolean): EncryptionContext {
  const picked: Record<string, string> = Object.create(null)
  for (const key of Object.keys(context)) if (keys.has(key) === keep) picked[key] = context[key]!
  return Object.freeze(picked)
}

/**
 * Serialises a context: count, then length and bytes of each key and value, in ascending order of the keys' UTF-8
 * bytes; nothing at all for an empty one. The same bytes are the additional authenticated data of a keyring.
 * Specification: data-format/message-header, "AAD"; framework/structures, "Encryption Context".
 *
 * @throws EnvelopeError `LimitExceeded` for a key or value above 65,535 bytes, or more than 65,535 pairs
 */
export function encodeContext(context: EncryptionContext): Uint8Array {
  if (last?.context === context) return last.bytes
  const keys = Object.keys(context)
  const given = keys.map((key): EncodedPair => [utf8(key), utf8(context[key]!)])
  // MSG-3.2: as UTF-16 or a locale would order them, no other SDK could read the message.
  const pairs = given.toSorted((a, b) => compareBytes(a[0], b[0]))
  const bytes = encodePairs(pairs)
  const ordered = pairs.every((pair, i) => pair === given[i])
  if (Object.isFrozen(context)) last = { context, keys, bytes, ordered }
  return bytes
}

export type EncodedPair = readonly [key: Uint8Array, value: Uint8Array]

/** Serialises pairs in the order given. */
export function encodePairs(pairs: readonly EncodedPair[]): Uint8Array {
  if (pairs.length === 0) return EMPTY
  let length = 2
  checkU16("the number of context pairs", pairs.length)
  for (const [key, value] of pairs) {
    checkU16("a context key, in bytes,", key.length)
    checkU16("a context value, in bytes,", value.length)
    length += 4 + key.length + value.length
  }
  const bytes = allocate(length)
  writeU16(bytes, 0, pairs.length)
  let at = 2
  for (const pair of pairs) {
    for (const text of pair) {
      writeU16(bytes, at, text.length)
      bytes.set(text, at + 2)
      at += 2 + text.length
    }
  }
  return bytes
}

function checkU16(what: string, value: number): void {
  if (value > 0xffff) throw limitExceeded(what, value, 0xffff, "none: the format has 16 bits for it")
}

/**
 * Reads a serialised context whole (MSG-3.1). Any order of keys is read, as older SDKs sorted differently; the result serialises
 * in canonical order.
 *
 * @throws EnvelopeError `MalformedMessage`
 */
export function decodeContext(bytes: Uint8Array): EncryptionContext {
  if (bytes.length === 0) return Object.freeze(Object.create(null))
  if (last?.ordered && equalBytes(last.bytes, bytes)) return last.context
  const context: Record<string, string> = Object.create(null)
  const pairs = decodePairs(bytes)
  let canonical = true
  let previous: Uint8Array | undefined
  for (const [keyBytes, valueBytes] of pairs) {
    const key = fromUtf8(keyBytes)
    const value = fromUtf8(valueBytes)
    if (key === undefined || value === undefined) throw malformed("the encryption context is not UTF-8")
    if (key in context) throw malformed("the encryption context names a key twice")
    context[key] = value
    if (previous !== undefined && compareBytes(previous, keyBytes) >= 0) canonical = false
    previous = keyBytes
  }
  Object.freeze(context)
  if (canonical) last = { context, keys: Object.keys(context), bytes, ordered: true }
  return context
}

/** The pairs of a serialised context in stored order. @throws EnvelopeError `MalformedMessage` */
export function decodePairs(bytes: Uint8Array): EncodedPair[] {
  const broken = () => malformed("the encryption context's lengths do not add up")
  if (bytes.length < 2) throw broken()
  const count = readU16(bytes, 0)
  if (count === 0) throw malformed("an empty encryption context must have length 0")
  const pairs: EncodedPair[] = []
  let at = 2
  const next = (): Uint8Array => {
    if (at + 2 > bytes.length) throw broken()
    const end = at + 2 + readU16(bytes, at)
    if (end > bytes.length) throw broken()
    const text = bytes.subarray(at + 2, end)
    at = end
    return text
  }
  for (let i = 0; i < count; i++) pairs.push([next(), next()])
  if (at !== bytes.length) throw broken()
  return pairs
}
