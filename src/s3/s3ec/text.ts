import { copyBytes, fromUtf8, malformed } from "../../core/index.ts"

/** A flat JSON object of strings. */
export type StringMap = Readonly<Record<string, string>>

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

/** RFC 4648, section 4, canonical. @returns undefined for anything else. Public values only: passes through Node's pool */
export function fromBase64(text: string): Uint8Array | undefined {
  if (!BASE64.test(text)) return undefined
  const bytes = Buffer.from(text, "base64")
  return bytes.toString("base64") === text ? copyBytes(bytes) : undefined
}

export const toBase64 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64")

/** CSE-4.3: JSON in ASCII, as a header carries nothing else unharmed. */
export const toJson = (map: StringMap): string =>
  JSON.stringify(map).replace(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)

const HALF_PAIR = /\p{Surrogate}/u

/** @param what names the text in the error @throws EnvelopeError `MalformedMessage` for anything but strings by name */
export function fromJson(text: string, what: string): StringMap {
  const map: Record<string, string> = Object.create(null)
  for (const [name, value] of Object.entries(parseObject(text, what))) {
    if (typeof value !== "string") throw malformed(`${what} holds something else than strings`)
    if (HALF_PAIR.test(name) || HALF_PAIR.test(value)) throw malformed(`${what} holds half a surrogate pair`)
    map[name] = value
  }
  return Object.freeze(map)
}

function parseObject(text: string, what: string): object {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw malformed(`${what} is not JSON`)
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value
  throw malformed(`${what} is not a JSON object`)
}

const WORD = /=\?([A-Za-z0-9_-]+)\?([BbQq])\?([!->@-~]*)\?=/g
const WORDS = /^(?:=\?[A-Za-z0-9_-]+\?[BbQq]\?[!->@-~]*\?=[ \t\r\n]*)+$/

/**
 * CSE-3.5: what S3 makes of a metadata value with characters beyond ASCII: its UTF-8 bytes taken for Latin-1 characters,
 * and those in encoded words (RFC 2047). Servers that leave out the words give the characters as they are.
 *
 * @param what names the value in the error
 * @throws EnvelopeError `MalformedMessage`
 */
export function decodeStored(value: string, what: string): string {
  const text = value.startsWith("=?") ? decodeWords(value, what) : value
  return text.replace(/[\u0080-\u00ff]+/g, (run) => {
    const decoded = fromUtf8(Uint8Array.from(run, (character) => character.charCodeAt(0)))
    if (decoded === undefined) throw malformed(`${what} is not in S3's encoding`)
    return decoded
  })
}

function decodeWords(value: string, what: string): string {
  if (!WORDS.test(value)) throw malformed(`${what} is not a series of encoded words`)
  // A character may be cut between two words of one charset, so their bytes are joined before they are decoded.
  let text = ""
  let bytes: number[] = []
  let charset = ""
  const flush = () => {
    text += decodeCharset(Uint8Array.from(bytes), charset, what)
    bytes = []
  }
  for (const [, name, encoding, content] of value.matchAll(WORD)) {
    if (charset !== name!.toLowerCase()) {
      flush()
      charset = name!.toLowerCase()
    }
    bytes.push(...(encoding!.toUpperCase() === "B" ? decodeB(content!, what) : decodeQ(content!, what)))
  }
  flush()
  return text
}

function decodeB(content: string, what: string): Uint8Array {
  const bytes = fromBase64(content)
  if (bytes === undefined) throw malformed(`${what} holds an encoded word that is not base64`)
  return bytes
}

function decodeQ(content: string, what: string): number[] {
  const bytes: number[] = []
  for (let i = 0; i < content.length; i++) {
    const character = content[i]!
    if (character === "=") {
      const digits = content.slice(i + 1, i + 3)
      if (!/^[0-9A-Fa-f]{2}$/.test(digits)) throw malformed(`${what} holds a broken encoded word`)
      bytes.push(Number.parseInt(digits, 16))
      i += 2
    } else bytes.push(character === "_" ? 0x20 : character.charCodeAt(0))
  }
  return bytes
}

function decodeCharset(bytes: Uint8Array, charset: string, what: string): string {
  if (bytes.length === 0) return ""
  let text: string | undefined
  if (charset === "utf-8") text = fromUtf8(bytes)
  else if (charset === "iso-8859-1" || charset === "us-ascii") text = String.fromCharCode(...bytes)
  if (text === undefined) throw malformed(`${what} holds an encoded word in an unknown charset or broken UTF-8`)
  return text
}
