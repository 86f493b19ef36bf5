import {
  allocate,
  copyBytes,
  type EncryptionContext,
  EnvelopeError,
  fromUtf8,
  limitExceeded,
  malformed,
  utf8,
  type WrappedKey,
} from "../core/index.ts"
import { findSuite, IV_LENGTH, type Suite, suiteName, TAG_LENGTH } from "../crypto/index.ts"
import { decodeContext } from "./context.ts"
import { readU16, readU32, writeU16, writeU32 } from "./integers.ts"
import type { Limits } from "./limits.ts"

const TYPE_V1 = 0x80
const FRAMED = 0x02
const NON_FRAMED = 0x01
const ZERO_IV = /* @__PURE__ */ allocate(IV_LENGTH)

export type ContentType = "framed" | "non-framed"

/** What a writer decides about a header. */
export interface HeaderFields {
  readonly suite: Suite
  /** 16 (version 1) or 32 (version 2) bytes. */
  readonly messageId: Uint8Array
  /** The serialised pairs that the header stores; empty for none. */
  readonly contextBytes: Uint8Array
  readonly wrappedKeys: readonly WrappedKey[]
  readonly contentType: ContentType
  /** Bytes of plaintext in a regular frame; 0 for non-framed. */
  readonly frameLength: number
  /** 32 bytes of key commitment (version 2), else empty. */
  readonly suiteData: Uint8Array
}

/** A header as read. All its byte fields are copies. */
export interface Header extends HeaderFields {
  /** The stored pairs, frozen. */
  readonly encryptionContext: EncryptionContext
  /** The 12 bytes stored in version 1; zeros in version 2. */
  readonly iv: Uint8Array
  readonly tag: Uint8Array
  /** The header's bytes before iv and tag: what the tag authenticates. */
  readonly body: Uint8Array
  /** Bytes with iv and tag: where the message body starts. */
  readonly length: number
}

/** Bytes of a header with its iv (version 1) and tag. */
export function headerLength(fields: HeaderFields): number {
  return bodyLength(fields) + (fields.suite.formatVersion === 1 ? IV_LENGTH : 0) + TAG_LENGTH
}

function bodyLength({ suite, contextBytes, wrappedKeys }: HeaderFields): number {
  let length = suite.formatVersion === 1 ? 1 + 1 + 2 : 1 + 2
  length += suite.messageIdLength + 2 + contextBytes.length + 2
  for (const key of wrappedKeys)
    length += 6 + utf8(key.providerId).length + key.providerInfo.length + key.ciphertext.length
  return length + 1 + (suite.formatVersion === 1 ? 4 + 1 : 0) + 4 + suite.suiteDataLength
}

/**
 * Writes the header up to the tag (MSG-2.1). Specification: data-format/message-header.
 *
 * @param authenticate gives the 16-byte tag over the header body with the header iv
 * @returns where the message body starts
 */
export function encodeHeader(
  fields: HeaderFields,
  out: Uint8Array,
  authenticate: (iv: Uint8Array, body: Uint8Array) => Uint8Array,
): number {
  const { suite } = fields
  let at = 0
  out[at++] = suite.formatVersion
  if (suite.formatVersion === 1) out[at++] = TYPE_V1
  writeU16(out, at, suite.id)
  out.set(fields.messageId, at + 2)
  at = writeField(out, at + 2 + suite.messageIdLength, fields.contextBytes)
  writeU16(out, at, fields.wrappedKeys.length)
  at += 2
  for (const key of fields.wrappedKeys) {
    at = writeField(out, at, utf8(key.providerId))
    at = writeField(out, at, key.providerInfo)
    at = writeField(out, at, key.ciphertext)
  }
  out[at++] = fields.contentType === "framed" ? FRAMED : NON_FRAMED
  if (suite.formatVersion === 1) {
    writeU32(out, at, 0)
    out[at + 4] = IV_LENGTH
    at += 5
  }
  writeU32(out, at, fields.frameLength)
  out.set(fields.suiteData, at + 4)
  at += 4 + suite.suiteDataLength
  const tag = authenticate(ZERO_IV, out.subarray(0, at))
  if (suite.formatVersion === 1) {
    out.set(ZERO_IV, at)
    at += IV_LENGTH
  }
  out.set(tag, at)
  return at + TAG_LENGTH
}

function writeField(out: Uint8Array, at: number, bytes: Uint8Array): number {
  writeU16(out, at, bytes.length)
  out.set(bytes, at + 2)
  return at + 2 + bytes.length
}

/**
 * Reads a header from the start of `bytes`, and copies no byte that is not there (MSG-9.2).
 *
 * @returns the header; or how many bytes, counted from the start, must be there before another attempt makes sense
 * @throws EnvelopeError `MalformedMessage`, `UnsupportedFormat`, `LimitExceeded`
 */
export function decodeHeader(bytes: Uint8Array, limits: Limits): Header | number {
  const cursor = new Cursor(bytes, limits.maxHeaderLength)
  try {
    return readHeader(cursor, limits)
  } catch (error) {
    if (error === NEED_MORE) return cursor.needed
    throw error
  }
}

const NEED_MORE = /* @__PURE__ */ Symbol("need more")

class Cursor {
  at = 0
  needed = 0
  readonly bytes: Uint8Array
  private readonly limit: number

  constructor(bytes: Uint8Array, limit: number) {
    this.bytes = bytes
    this.limit = limit
  }

  /** Moves past `length` bytes. @returns where they start */
  skip(length: number): number {
    const start = this.at
    const end = start + length
    if (end > this.limit) throw limitExceeded("the message header, in bytes,", end, this.limit, "maxHeaderLength")
    if (end > this.bytes.length) {
      this.needed = end
      throw NEED_MORE
    }
    this.at = end
    return start
  }

  u8 = (): number => this.bytes[this.skip(1)]!
  u16 = (): number => readU16(this.bytes, this.skip(2))
  u32 = (): number => readU32(this.bytes, this.skip(4))

  take(length: number): Uint8Array {
    const start = this.skip(length)
    return copyBytes(this.bytes.subarray(start, start + length))
  }
}

function readHeader(cursor: Cursor, limits: Limits): Header {
  const suite = readVersionAndSuite(cursor)
  const messageId = cursor.take(suite.messageIdLength)
  const contextLength = cursor.u16()
  if (contextLength > limits.maxContextLength) {
    throw limitExceeded("the encryption context, in bytes,", contextLength, limits.maxContextLength, "maxContextLength")
  }
  const contextBytes = cursor.take(contextLength)
  const encryptionContext = decodeContext(contextBytes)
  const wrappedKeys = readWrappedKeys(cursor, limits)
  const contentType = readContentType(cursor)
  if (suite.formatVersion === 1) {
    // MSG-2.3
    if (cursor.u32() !== 0) throw malformed("the header's reserved bytes are not zero")
    if (cursor.u8() !== IV_LENGTH) throw malformed("the header's iv length is not 12")
  }
  const frameLength = readFrameLength(cursor, contentType, limits)
  const suiteData = cursor.take(suite.suiteDataLength)
  const body = copyBytes(cursor.bytes.subarray(0, cursor.at))
  const iv = suite.formatVersion === 1 ? cursor.take(IV_LENGTH) : ZERO_IV
  const tag = cursor.take(TAG_LENGTH)
  const length = cursor.at
  return {
    suite,
    messageId,
    contextBytes,
    encryptionContext,
    wrappedKeys,
    contentType,
    frameLength,
    suiteData,
    body,
    iv,
    tag,
    length,
  }
}

function readVersionAndSuite(cursor: Cursor): Suite {
  const version = cursor.u8()
  if (version !== 1 && version !== 2) {
    throw new EnvelopeError(
      "UnsupportedFormat",
      `the bytes are no message: version ${version} is neither 1 nor 2${base64Hint(cursor.bytes)}`,
    )
  }
  if (version === 1 && cursor.u8() !== TYPE_V1) throw malformed("the message type of version 1 is not 0x80")
  const id = cursor.u16()
  const suite = findSuite(id)
  if (suite === undefined || suite.formatVersion !== version) {
    throw new EnvelopeError(
      "UnsupportedFormat",
      `version ${version} has no algorithm suite ${suiteName(id)} that can be read`,
    )
  }
  return suite
}

/** Version 1 and 2 messages begin with AYA and Ag in base64. */
const base64Hint = (bytes: Uint8Array): string =>
  bytes[0] === 0x41 && (bytes[1] === 0x59 || bytes[1] === 0x67) ? " (it looks like base64: decode it first)" : ""

/** MSG-4.1 */
function readWrappedKeys(cursor: Cursor, limits: Limits): WrappedKey[] {
  const count = cursor.u16()
  if (count === 0) throw malformed("the message has no wrapped key")
  if (count > limits.maxWrappedKeys) {
    throw limitExceeded("the number of wrapped keys", count, limits.maxWrappedKeys, "maxWrappedKeys")
  }
  const keys: WrappedKey[] = []
  for (let i = 0; i < count; i++) {
    const providerId = fromUtf8(cursor.take(cursor.u16()))
    if (providerId === undefined) throw malformed("a provider id is not UTF-8")
    keys.push({ providerId, providerInfo: cursor.take(cursor.u16()), ciphertext: cursor.take(cursor.u16()) })
  }
  return keys
}

function readContentType(cursor: Cursor): ContentType {
  const type = cursor.u8()
  if (type !== FRAMED && type !== NON_FRAMED) throw malformed(`content type ${type} is neither framed nor non-framed`)
  return type === FRAMED ? "framed" : "non-framed"
}

/** MSG-2.4 */
function readFrameLength(cursor: Cursor, contentType: ContentType, limits: Limits): number {
  const frameLength = cursor.u32()
  if (contentType === "non-framed") {
    if (frameLength !== 0) throw malformed("a non-framed message has a frame length")
  } else if (frameLength === 0) {
    throw malformed("a framed message has frame length 0")
  } else if (frameLength > limits.maxFrameLength) {
    throw limitExceeded("the frame length, in bytes,", frameLength, limits.maxFrameLength, "maxFrameLength")
  }
  return frameLength
}
