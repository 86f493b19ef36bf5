import { type FileHandle, open } from "node:fs/promises"
import { allocate, type MaybePromise } from "../core/index.ts"

/** Bytes of known size that can be read at any offset: a buffer, a file, an S3 object. */
export interface RandomAccessSource {
  /** Bytes in all. */
  readonly size: number
  /** @returns exactly `length` bytes, which the reader may keep; fewer count as a truncated message */
  read(offset: number, length: number, signal?: AbortSignal): MaybePromise<Uint8Array>
  close?(): MaybePromise<void>
}

export interface FileSource extends RandomAccessSource {
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** A file as a source for `openMessage`, which closes it with the handle. @throws the errors of `fs.open` */
export async function fromFile(path: string | URL): Promise<FileSource> {
  const file = await open(path, "r")
  try {
    const { size } = await file.stat()
    const close = () => file.close()
    return { ...fileReader(file, size), close, [Symbol.asyncDispose]: close }
  } catch (error) {
    await file.close()
    throw error
  }
}

/** An open file as a source that leaves it open. */
export const fileReader = (file: FileHandle, size: number): RandomAccessSource => ({
  size,
  read: (offset, length) => readFully(file, offset, length),
})

async function readFully(file: FileHandle, offset: number, length: number): Promise<Uint8Array> {
  const bytes = allocate(length)
  let filled = 0
  while (filled < length) {
    const { bytesRead } = await file.read(bytes, filled, length - filled, offset + filled)
    if (bytesRead === 0) return bytes.subarray(0, filled)
    filled += bytesRead
  }
  return bytes
}

export const fromBytes = (bytes: Uint8Array): RandomAccessSource => ({
  size: bytes.length,
  read: (offset, length) => bytes.subarray(offset, offset + length),
})
