import type { Transform } from "node:stream"
import { concatBytes } from "../../src/core/index.ts"
import type { Random } from "./random.ts"

export interface StreamOutcome {
  /** Everything that came out, before the error as well. */
  readonly output: Uint8Array
  readonly error: Error | undefined
  /** Whether `end` was emitted. */
  readonly ended: boolean
}

export function chunksOf(bytes: Uint8Array, size: number): Uint8Array[] {
  const chunks: Uint8Array[] = []
  for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.subarray(at, at + size))
  return chunks
}

export function randomChunks(bytes: Uint8Array, random: Random): Uint8Array[] {
  const chunks: Uint8Array[] = []
  const most = random.pick([1, 7, 60, 300, 5000])
  for (let at = 0; at < bytes.length; ) {
    const size = random.int(most + 1)
    chunks.push(bytes.subarray(at, at + size))
    at += size
  }
  return chunks
}

/** Writes the chunks, ends the stream, and waits until it is closed. */
export function run(stream: Transform, chunks: readonly Uint8Array[]): Promise<StreamOutcome> {
  return new Promise((resolve) => {
    const pieces: Uint8Array[] = []
    let error: Error | undefined
    let ended = false
    stream.on("data", (piece: Uint8Array) => pieces.push(piece))
    stream.on("end", () => {
      ended = true
    })
    stream.on("error", (reason) => {
      error = reason
    })
    stream.on("close", () => resolve({ output: concatBytes(pieces), error, ended }))
    let next = 0
    const write = (): void => {
      while (next < chunks.length && !stream.destroyed) {
        if (!stream.write(chunks[next++]!)) {
          stream.once("drain", write)
          return
        }
      }
      if (!stream.destroyed) stream.end()
    }
    write()
  })
}

/** The whole output. @throws the stream's error */
export async function through(stream: Transform, chunks: readonly Uint8Array[]): Promise<Uint8Array> {
  const { output, error, ended } = await run(stream, chunks)
  if (error !== undefined) throw error
  if (!ended) throw new Error("the stream closed without end and without error")
  return output
}
