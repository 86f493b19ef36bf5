import { COMMAND, type Errno } from "./constants.ts"
import type { Outbox } from "./outbox.ts"
import {
  CHUNK_HEADER_LENGTH,
  DATA_CHUNK_LENGTH,
  ERROR_CHUNK_LENGTH,
  HOLE_CHUNK_LENGTH,
  type Request,
  SIMPLE_REPLY_LENGTH,
  writeDataChunk,
  writeErrorChunk,
  writeHoleChunk,
  writeNoneChunk,
  writeSimpleReply,
} from "./requests.ts"

/** What a device reads. */
export type Data = Uint8Array | readonly Uint8Array[]

export const dataLength = (data: Data): number =>
  data instanceof Uint8Array ? data.length : data.reduce((sum, piece) => sum + piece.length, 0)

/** NBD-3.12: with structured replies, those to READ and BLOCK_STATUS are chunks; all others are simple. */
const hasChunks = ({ type }: Request, structured: boolean): boolean =>
  structured && (type === COMMAND.read || type === COMMAND.blockStatus)

export function replyError(outbox: Outbox, request: Request, error: Errno, structured: boolean): void {
  if (hasChunks(request, structured)) {
    outbox.reserve(ERROR_CHUNK_LENGTH)
    writeErrorChunk(outbox.slab, outbox.position, request, error)
  } else simpleReply(outbox, request, error)
}

/** For all that has no data to send. */
export function replySuccess(outbox: Outbox, request: Request, structured: boolean): void {
  if (hasChunks(request, structured)) {
    outbox.reserve(CHUNK_HEADER_LENGTH)
    writeNoneChunk(outbox.slab, outbox.position, request)
  } else simpleReply(outbox, request, 0)
}

function simpleReply(outbox: Outbox, request: Request, error: Errno | 0): void {
  outbox.reserve(SIMPLE_REPLY_LENGTH)
  writeSimpleReply(outbox.slab, outbox.position, request, error)
}

type Release = ((data: Data) => void) | undefined

/** The reply to READ, in one piece. */
export function replyData(outbox: Outbox, request: Request, data: Data, structured: boolean, release: Release): void {
  if (structured) dataChunk(outbox, request, request.offset, request.length, true)
  else simpleReply(outbox, request, 0)
  outbox.append(data, release && (() => release(data)))
}

/** NBD-3.2: the reply to READ with runs of zeros left out. @param pieces data, or the length of a run of zeros, in order */
export function replySparse(
  outbox: Outbox,
  request: Request,
  pieces: readonly (Data | number)[],
  release: Release,
): void {
  let offset = request.offset
  pieces.forEach((piece, i) => {
    const done = i === pieces.length - 1
    if (typeof piece === "number") {
      outbox.reserve(HOLE_CHUNK_LENGTH)
      writeHoleChunk(outbox.slab, outbox.position, request, offset, piece, done)
      offset += piece
    } else {
      const length = dataLength(piece)
      dataChunk(outbox, request, offset, length, done)
      outbox.append(piece, release && (() => release(piece)))
      offset += length
    }
  })
}

function dataChunk(outbox: Outbox, request: Request, offset: number, length: number, done: boolean): void {
  outbox.reserve(DATA_CHUNK_LENGTH)
  writeDataChunk(outbox.slab, outbox.position, request, offset, length, done)
}
