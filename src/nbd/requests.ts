import { malformed } from "../core/index.ts"
import { CHUNK, CHUNK_DONE, CHUNK_MAGIC, type Errno, REQUEST_MAGIC, SIMPLE_REPLY_MAGIC } from "./constants.ts"

export const REQUEST_LENGTH = 28
export const SIMPLE_REPLY_LENGTH = 16
export const CHUNK_HEADER_LENGTH = 20
/** A chunk's header and the offset that its data starts with. */
export const DATA_CHUNK_LENGTH = CHUNK_HEADER_LENGTH + 8
export const HOLE_CHUNK_LENGTH = CHUNK_HEADER_LENGTH + 12
export const ERROR_CHUNK_LENGTH = CHUNK_HEADER_LENGTH + 6

const HIGH = 0x1_0000_0000
/** The upper half of 2^53, from which on numbers are not exact. */
const INEXACT_HIGH = 0x20_0000

export interface Request {
  readonly flags: number
  /** One of `COMMAND`, or anything else. */
  readonly type: number
  /** The client's name for the request, in two halves. */
  readonly cookieHigh: number
  readonly cookieLow: number
  /** Bytes; infinite for 2^53 and above, which is beyond every device. */
  readonly offset: number
  /** Bytes. */
  readonly length: number
}

/** NBD-3.1. @throws EnvelopeError `MalformedMessage` */
export function parseRequest(bytes: Buffer): Request {
  if (bytes.readUInt32BE(0) !== REQUEST_MAGIC) throw malformed("a request starts with another magic number")
  const offsetHigh = bytes.readUInt32BE(16)
  return {
    flags: bytes.readUInt16BE(4),
    type: bytes.readUInt16BE(6),
    cookieHigh: bytes.readUInt32BE(8),
    cookieLow: bytes.readUInt32BE(12),
    offset: offsetHigh >= INEXACT_HIGH ? Number.POSITIVE_INFINITY : offsetHigh * HIGH + bytes.readUInt32BE(20),
    length: bytes.readUInt32BE(24),
  }
}

/** Writes `SIMPLE_REPLY_LENGTH` bytes at `at`. @param error 0 for success */
export function writeSimpleReply(bytes: Buffer, at: number, request: Request, error: Errno | 0): void {
  bytes.writeUInt32BE(SIMPLE_REPLY_MAGIC, at)
  bytes.writeUInt32BE(error, at + 4)
  bytes.writeUInt32BE(request.cookieHigh, at + 8)
  bytes.writeUInt32BE(request.cookieLow, at + 12)
}

/** Writes `DATA_CHUNK_LENGTH` bytes at `at`; `length` bytes of data follow. */
export function writeDataChunk(
  bytes: Buffer,
  at: number,
  request: Request,
  offset: number,
  length: number,
  done: boolean,
): void {
  writeChunkHeader(bytes, at, request, CHUNK.offsetData, 8 + length, done)
  writeOffset(bytes, at + CHUNK_HEADER_LENGTH, offset)
}

/** Writes `HOLE_CHUNK_LENGTH` bytes at `at`. */
export function writeHoleChunk(
  bytes: Buffer,
  at: number,
  request: Request,
  offset: number,
  length: number,
  done: boolean,
): void {
  writeChunkHeader(bytes, at, request, CHUNK.offsetHole, 12, done)
  writeOffset(bytes, at + CHUNK_HEADER_LENGTH, offset)
  bytes.writeUInt32BE(length, at + DATA_CHUNK_LENGTH)
}

/** Writes `CHUNK_HEADER_LENGTH` bytes at `at`: a reply of structured form that has nothing to say. */
export function writeNoneChunk(bytes: Buffer, at: number, request: Request): void {
  writeChunkHeader(bytes, at, request, CHUNK.none, 0, true)
}

/** Writes `ERROR_CHUNK_LENGTH` bytes at `at`: the last chunk of its reply, with no text. */
export function writeErrorChunk(bytes: Buffer, at: number, request: Request, error: Errno): void {
  writeChunkHeader(bytes, at, request, CHUNK.error, 6, true)
  bytes.writeUInt32BE(error, at + CHUNK_HEADER_LENGTH)
  bytes.writeUInt16BE(0, at + CHUNK_HEADER_LENGTH + 4)
}

/** An extent as it goes out: bytes, and bits of `STATE`. */
export interface StatusExtent {
  length: number
  readonly state: number
}

/** The whole reply to BLOCK_STATUS. */
export function blockStatusReply(
  request: Request,
  contextId: number,
  extents: readonly StatusExtent[],
): Uint8Array<ArrayBuffer> {
  const bytes = Buffer.alloc(CHUNK_HEADER_LENGTH + 4 + 8 * extents.length)
  writeChunkHeader(bytes, 0, request, CHUNK.blockStatus, bytes.length - CHUNK_HEADER_LENGTH, true)
  bytes.writeUInt32BE(contextId, CHUNK_HEADER_LENGTH)
  extents.forEach(({ length, state }, i) => {
    bytes.writeUInt32BE(length, CHUNK_HEADER_LENGTH + 4 + 8 * i)
    bytes.writeUInt32BE(state, CHUNK_HEADER_LENGTH + 8 + 8 * i)
  })
  return bytes
}

function writeChunkHeader(
  bytes: Buffer,
  at: number,
  request: Request,
  type: number,
  length: number,
  done: boolean,
): void {
  bytes.writeUInt32BE(CHUNK_MAGIC, at)
  bytes.writeUInt16BE(done ? CHUNK_DONE : 0, at + 4)
  bytes.writeUInt16BE(type, at + 6)
  bytes.writeUInt32BE(request.cookieHigh, at + 8)
  bytes.writeUInt32BE(request.cookieLow, at + 12)
  bytes.writeUInt32BE(length, at + 16)
}

function writeOffset(bytes: Buffer, at: number, offset: number): void {
  bytes.writeUInt32BE(Math.floor(offset / HIGH), at)
  bytes.writeUInt32BE(offset % HIGH, at + 4)
}
