import { fromUtf8, malformed, utf8 } from "../core/index.ts"
import {
  HANDSHAKE_FLAGS,
  INFO,
  MAX_STRING,
  NBD_MAGIC,
  OPTION_MAGIC,
  OPTION_REPLY,
  OPTION_REPLY_MAGIC,
} from "./constants.ts"

/** Bytes of the client's flags, and of an option's header. */
export const CLIENT_FLAGS_LENGTH = 4
export const OPTION_HEADER_LENGTH = 16

const ZERO_PADDING = 124

/** NBD-1.1: what the server says first. */
export function greeting(): Uint8Array {
  const bytes = Buffer.alloc(18)
  writePair(bytes, NBD_MAGIC, 0)
  writePair(bytes, OPTION_MAGIC, 8)
  bytes.writeUInt16BE(HANDSHAKE_FLAGS.fixedNewstyle | HANDSHAKE_FLAGS.noZeroes, 16)
  return bytes
}

/** @throws EnvelopeError `MalformedMessage` for a flag that the greeting does not offer (NBD-1.1) */
export function parseClientFlags(bytes: Buffer): { fixedNewstyle: boolean; noZeroes: boolean } {
  const flags = bytes.readUInt32BE(0)
  if ((flags & ~(HANDSHAKE_FLAGS.fixedNewstyle | HANDSHAKE_FLAGS.noZeroes)) !== 0)
    throw malformed("the client sets handshake flags that there are not")
  return {
    fixedNewstyle: (flags & HANDSHAKE_FLAGS.fixedNewstyle) !== 0,
    noZeroes: (flags & HANDSHAKE_FLAGS.noZeroes) !== 0,
  }
}

export interface OptionHeader {
  readonly option: number
  /** Bytes of data that follow. */
  readonly length: number
}

/** @throws EnvelopeError `MalformedMessage` */
export function parseOptionHeader(bytes: Buffer): OptionHeader {
  if (bytes.readUInt32BE(0) !== OPTION_MAGIC[0] || bytes.readUInt32BE(4) !== OPTION_MAGIC[1])
    throw malformed("an option starts with other bytes than IHAVEOPT")
  return { option: bytes.readUInt32BE(8), length: bytes.readUInt32BE(12) }
}

/** Of INFO and GO. */
export interface InfoRequest {
  readonly name: string
  readonly infos: readonly number[]
}

/** Of LIST_META_CONTEXT and SET_META_CONTEXT. */
export interface MetaRequest {
  readonly name: string
  readonly queries: readonly string[]
}

/** @throws EnvelopeError `MalformedMessage` */
export function parseInfoRequest(data: Buffer): InfoRequest {
  const fields = fieldsOf(data)
  const name = fields.string()
  const infos = Array.from({ length: fields.count(2, 2) }, () => fields.uint16())
  fields.end()
  return { name, infos }
}

/** @throws EnvelopeError `MalformedMessage` */
export function parseMetaRequest(data: Buffer): MetaRequest {
  const fields = fieldsOf(data)
  const name = fields.string()
  const queries = Array.from({ length: fields.count(4, 4) }, () => fields.string())
  fields.end()
  return { name, queries }
}

/** The data of EXPORT_NAME is a name and nothing else. @throws EnvelopeError `MalformedMessage` */
export function parseName(data: Buffer): string {
  if (data.length > MAX_STRING) throw malformed(`a name is longer than ${MAX_STRING} bytes`)
  const name = fromUtf8(data)
  if (name === undefined) throw malformed("a name is not UTF-8")
  return name
}

/** Reads fields in order and never past the end. */
function fieldsOf(data: Buffer) {
  let at = 0
  const advance = (length: number): number => {
    if (length > data.length - at) throw malformed("an option's data is shorter than its fields")
    at += length
    return at - length
  }
  const uint32 = (): number => data.readUInt32BE(advance(4))
  const uint16 = (): number => data.readUInt16BE(advance(2))
  return {
    uint16,
    /** NBD-1.3: a length in 32 bits, then UTF-8. */
    string(): string {
      const length = uint32()
      if (length > MAX_STRING) throw malformed(`a string is longer than ${MAX_STRING} bytes`)
      const from = advance(length)
      return parseName(data.subarray(from, from + length))
    },
    /** A number of items of at least `itemLength` bytes, checked against what is left before anything is allocated. */
    count(width: 2 | 4, itemLength: number): number {
      const count = width === 2 ? uint16() : uint32()
      if (count * itemLength > data.length - at) throw malformed("an option's data is shorter than its fields")
      return count
    },
    end(): void {
      if (at !== data.length) throw malformed("an option's data is longer than its fields")
    },
  }
}

/** One reply to an option. */
export function optionReply(option: number, type: number, data: Uint8Array = new Uint8Array(0)): Uint8Array {
  const bytes = Buffer.alloc(20 + data.length)
  writePair(bytes, OPTION_REPLY_MAGIC, 0)
  bytes.writeUInt32BE(option, 8)
  bytes.writeUInt32BE(type, 12)
  bytes.writeUInt32BE(data.length, 16)
  bytes.set(data, 20)
  return bytes
}

/** The data of a reply to LIST: a name and a description. */
export function serverReply(name: string, description: string): Uint8Array {
  const [nameBytes, descriptionBytes] = [utf8(name), utf8(description)]
  const bytes = Buffer.alloc(4 + nameBytes.length + descriptionBytes.length)
  bytes.writeUInt32BE(nameBytes.length, 0)
  bytes.set(nameBytes, 4)
  bytes.set(descriptionBytes, 4 + nameBytes.length)
  return bytes
}

export function metaContextReply(id: number, name: string): Uint8Array {
  const nameBytes = utf8(name)
  const bytes = Buffer.alloc(4 + nameBytes.length)
  bytes.writeUInt32BE(id, 0)
  bytes.set(nameBytes, 4)
  return bytes
}

/** @param size bytes */
export function exportInfo(size: number, flags: number): Uint8Array {
  const bytes = Buffer.alloc(12)
  bytes.writeUInt16BE(INFO.export, 0)
  bytes.writeBigUInt64BE(BigInt(size), 2)
  bytes.writeUInt16BE(flags, 10)
  return bytes
}

export function textInfo(type: typeof INFO.name | typeof INFO.description, text: string): Uint8Array {
  const textBytes = utf8(text)
  const bytes = Buffer.alloc(2 + textBytes.length)
  bytes.writeUInt16BE(type, 0)
  bytes.set(textBytes, 2)
  return bytes
}

/** All in bytes. */
export function blockSizeInfo(minimum: number, preferred: number, maximum: number): Uint8Array {
  const bytes = Buffer.alloc(14)
  bytes.writeUInt16BE(INFO.blockSize, 0)
  bytes.writeUInt32BE(minimum, 2)
  bytes.writeUInt32BE(preferred, 6)
  bytes.writeUInt32BE(maximum, 10)
  return bytes
}

/** NBD-1.6: the answer to EXPORT_NAME, which has no reply header. */
export function exportNameReply(size: number, flags: number, noZeroes: boolean): Uint8Array {
  const bytes = Buffer.alloc(noZeroes ? 10 : 10 + ZERO_PADDING)
  bytes.writeBigUInt64BE(BigInt(size), 0)
  bytes.writeUInt16BE(flags, 8)
  return bytes
}

/** An error's data is text for a person. */
export const optionError = (option: number, type: number, message: string): Uint8Array =>
  optionReply(option, type, utf8(message))

export const acknowledge = (option: number): Uint8Array => optionReply(option, OPTION_REPLY.ack)

function writePair(bytes: Buffer, [high, low]: readonly [number, number], at: number): void {
  bytes.writeUInt32BE(high, at)
  bytes.writeUInt32BE(low, at + 4)
}
