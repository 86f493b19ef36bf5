import { once } from "node:events"
import { createReadStream, createWriteStream } from "node:fs"
import { readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { Readable } from "node:stream"
import { finished } from "node:stream/promises"

/** The bytes of an object or of a part: in memory, or in files. */
export interface Content {
  readonly size: number
  /** @param end exclusive */
  stream(start: number, end: number): Readable
  bytes(): Promise<Uint8Array>
  /** Puts other bytes in their place, as somebody would who can write where they are stored. */
  replace(bytes: Uint8Array): Promise<Content>
}

export type Keep = (chunks: AsyncIterable<Uint8Array>) => Promise<Content>

const PIECE = 256 * 1024

const memoryContent = (bytes: Uint8Array): Content => ({
  size: bytes.length,
  stream: (start, end) =>
    Readable.from(
      (function* () {
        for (let at = start; at < end; at += PIECE) yield bytes.subarray(at, Math.min(end, at + PIECE))
      })(),
      { objectMode: false },
    ),
  bytes: async () => bytes,
  replace: async (other) => memoryContent(other),
})

export const inMemory: Keep = async (chunks) => {
  const all: Uint8Array[] = []
  for await (const chunk of chunks) all.push(chunk)
  return memoryContent(all.length === 1 ? all[0]! : Buffer.concat(all))
}

function fileContent(path: string, size: number): Content {
  return {
    size,
    stream: (start, end) =>
      end > start ? createReadStream(path, { start, end: end - 1, highWaterMark: PIECE }) : Readable.from([]),
    bytes: () => readFile(path),
    replace: async (bytes) => {
      await writeFile(path, bytes)
      return fileContent(path, bytes.length)
    },
  }
}

/** Keeps contents in files of a folder. */
export function inFolder(folder: string): Keep {
  let next = 0
  return async (chunks) => {
    const path = join(folder, `content-${next++}`)
    const file = createWriteStream(path, { highWaterMark: 4 * PIECE })
    let size = 0
    for await (const chunk of chunks) {
      size += chunk.length
      if (!file.write(chunk)) await once(file, "drain")
    }
    file.end()
    await finished(file)
    return fileContent(path, size)
  }
}

/** Several contents, one after the other, left where they are. */
export function joined(parts: readonly Content[]): Content {
  const size = parts.reduce((sum, part) => sum + part.size, 0)
  async function* pieces(start: number, end: number): AsyncGenerator<Uint8Array> {
    let at = 0
    for (const part of parts) {
      const from = Math.max(0, start - at)
      const to = Math.min(part.size, end - at)
      if (from < to) yield* part.stream(from, to)
      at += part.size
    }
  }
  const stream = (start: number, end: number) => Readable.from(pieces(start, end), { objectMode: false })
  return {
    size,
    stream,
    async bytes() {
      const chunks: Uint8Array[] = []
      for await (const chunk of pieces(0, size)) chunks.push(chunk)
      return Buffer.concat(chunks)
    },
    replace: async (bytes) => memoryContent(bytes),
  }
}
