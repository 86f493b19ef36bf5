import { createReadStream, fstatSync, type Stats } from "node:fs"
import { type FileHandle, open } from "node:fs/promises"
import { isatty } from "node:tty"
import { CliError, ioError } from "./failures.ts"
import { note } from "./messages.ts"

/** What a command reads: a file or standard input. */
export interface Source {
  /** For people: the path, or `standard input`. */
  readonly name: string
  /** Bytes from the beginning, where it is a file. */
  readonly size: number | undefined
  /** Which file it is, where it is one. */
  readonly file: Stats | undefined
  /** A file named by its path, to be read at any place; its own position stays at its beginning. */
  readonly handle: FileHandle | undefined
  readonly chunks: AsyncIterableIterator<Uint8Array>
}

const CHUNK = 1024 * 1024
const STDIN = 0

/** @param path `undefined` and `-` stand for standard input */
export const openSource = (path: string | undefined): Promise<Source> =>
  path === undefined || path === "-" ? openStdin() : openFile(path)

// --- internal ---

async function openFile(path: string): Promise<Source> {
  const doing = `cannot read ${path}`
  try {
    const handle = await open(path, "r")
    const file = await handle.stat()
    if (file.isDirectory()) {
      await handle.close()
      throw new CliError("inputOutput", `${doing}: it is a folder`, {
        hint: "pack it first: tar -c FOLDER | envelope …",
      })
    }
    if (!file.isFile()) {
      const stream = () => handle.createReadStream({ highWaterMark: CHUNK })
      return { name: path, size: undefined, file, handle: undefined, chunks: readAll(stream, doing) }
    }
    const stream = () => handle.createReadStream({ start: 0, highWaterMark: CHUNK })
    return { name: path, size: file.size, file, handle, chunks: readAll(stream, doing) }
  } catch (error) {
    throw ioError(doing, error)
  }
}

async function openStdin(): Promise<Source> {
  const doing = "cannot read standard input"
  const name = "standard input"
  try {
    const file = fstatSync(STDIN)
    if (file.isDirectory()) throw new CliError("inputOutput", `${doing}: it is a folder`)
    if (isatty(STDIN)) note("reading from the terminal: type, and end with Ctrl-D on an empty line")
    const handle = undefined
    if (!file.isFile()) return { name, size: undefined, file, handle, chunks: readAll(() => process.stdin, doing) }
    const stream = () => createReadStream("", { fd: STDIN, autoClose: false, highWaterMark: CHUNK })
    return { name, size: file.size, file, handle, chunks: readAll(stream, doing) }
  } catch (error) {
    throw ioError(doing, error)
  }
}

/** @param open called when the first chunk is asked for */
async function* readAll(open: () => AsyncIterable<Uint8Array>, doing: string): AsyncIterableIterator<Uint8Array> {
  try {
    yield* open()
  } catch (error) {
    throw ioError(doing, error)
  }
}
