import { type WriteVResult, writev } from "node:fs"
import { Writable } from "node:stream"
import { setTimeout as delay } from "node:timers/promises"
import { promisify } from "node:util"

const writevAsync = promisify(writev) as unknown as (
  fd: number,
  chunks: readonly Uint8Array[],
) => Promise<Pick<WriteVResult, "bytesWritten">>

const BUFFERED = 1024 * 1024
const MAX_PIECES = 512

/**
 * Writes all of it, on a thread of libuv's pool: `process.stdout` writes to pipes within the event loop, where a reader
 * that stopped reading would keep Ctrl-C from being heard.
 */
async function writeAll(fd: number, chunks: readonly Uint8Array[]): Promise<void> {
  let pending = chunks.filter((chunk) => chunk.length > 0)
  let wait = 1
  while (pending.length > 0) {
    try {
      const { bytesWritten } = await writevAsync(fd, pending.slice(0, MAX_PIECES))
      pending = skip(pending, bytesWritten)
      wait = 1
    } catch (error) {
      // Somebody we share the pipe or terminal with made it non-blocking.
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error
      await delay(wait)
      wait = Math.min(wait * 2, 50)
    }
  }
}

export interface FdWritable extends Writable {
  /** Bytes so far. */
  written: number
}

/** A stream into a file descriptor, which stays open. */
export function fdWritable(fd: number): FdWritable {
  const writeChunks = (chunks: readonly Uint8Array[], done: (error?: Error) => void): void => {
    writeAll(fd, chunks).then(() => {
      for (const { length } of chunks) stream.written += length
      done()
    }, done)
  }
  const stream: FdWritable = Object.assign(
    new Writable({
      highWaterMark: BUFFERED,
      write: (chunk: Uint8Array, _encoding, done) => writeChunks([chunk], done),
      writev: (items, done) =>
        writeChunks(
          items.map(({ chunk }) => chunk),
          done,
        ),
    }),
    { written: 0 },
  )
  return stream
}

export const STDOUT = 1

/** Prints text to standard output. */
export const print = (text: string): Promise<void> => writeAll(STDOUT, [Buffer.from(text)])

function skip(chunks: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let left = bytes
  let at = 0
  while (at < chunks.length && left >= chunks[at]!.length) left -= chunks[at++]!.length
  const rest = chunks.slice(at)
  if (left > 0) rest[0] = rest[0]!.subarray(left)
  return rest
}
