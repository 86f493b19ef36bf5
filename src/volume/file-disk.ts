import { execFile } from "node:child_process"
import * as fs from "node:fs"
import { mkdir, open, readdir, unlink } from "node:fs/promises"
import { join } from "node:path"
import { promisify } from "node:util"
import type { Disk, DiskFile } from "./disk.ts"
import { eagerness } from "./eager.ts"
import { diskError } from "./failures.ts"

/** writev takes no more parts at a time. */
const MAX_PARTS = 1024

/** A volume's folder on disk. New files are readable by their owner only. */
export function fileDisk(folder: string, options: { readonly readOnly?: boolean } = {}): Disk {
  const readOnly = options.readOnly ?? false
  const openFile = async (name: string, flags: string | number): Promise<DiskFile> =>
    file(name, join(folder, name), await openDescriptor(join(folder, name), flags))
  return {
    readOnly,
    async open(name) {
      try {
        return await openFile(name, readOnly ? "r" : "r+")
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined
        throw diskError(`opening ${name}`, error)
      }
    },
    create: (name) => attempt(`creating ${name}`, () => openFile(name, "w+")),
    remove: (name) => attempt(`removing ${name}`, () => unlink(join(folder, name))),
    list: () => attempt("listing the volume's folder", () => readdir(folder)),
    syncFolder: () => attempt("synchronising the volume's folder", () => syncFolder(folder)),
  }
}

/** Makes the folder of a new volume. */
export const makeFolder = (folder: string): Promise<unknown> =>
  attempt("creating the volume's folder", () => mkdir(folder, { recursive: true, mode: 0o700 }))

// --- internal ---

const openDescriptor = (path: string, flags: string | number): Promise<number> =>
  new Promise((resolve, reject) =>
    fs.open(path, flags, 0o600, (error, descriptor) => (error ? reject(error) : resolve(descriptor))),
  )

async function attempt<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw diskError(what, error)
  }
}

async function syncFolder(folder: string): Promise<void> {
  // Windows cannot open folders; its file systems keep their entries in a journal.
  if (process.platform === "win32") return
  const handle = await open(folder, "r")
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Callbacks of node:fs: the promises of file handles cost several times as much for 4 KiB. */
function file(name: string, path: string, descriptor: number): DiskFile {
  const reads = eagerness()
  const writes = eagerness()
  const simple = (what: string, start: (done: (error: Error | null) => void) => void): Promise<void> =>
    new Promise((resolve, reject) => {
      start((error) => (error ? reject(diskError(`${what} ${name}`, error)) : resolve()))
    })
  return {
    async read(into, position) {
      if (!reads.mayTry(into.length)) return readInThread(name, descriptor, into, position)
      try {
        return reads.attempt(() => readNow(descriptor, into, position))
      } catch (error) {
        throw diskError(`reading ${name}`, error)
      }
    },
    async write(parts, position) {
      const length = parts.reduce((sum, part) => sum + part.length, 0)
      if (!writes.mayTry(length)) return simple("writing", (done) => writeParts(descriptor, parts, position, done))
      try {
        writes.attempt(() => writeNow(descriptor, parts, position))
      } catch (error) {
        throw diskError(`writing ${name}`, error)
      }
    },
    sync: () => simple("synchronising", (done) => fs.fdatasync(descriptor, done)),
    truncate: (length) => simple("truncating", (done) => fs.ftruncate(descriptor, length, done)),
    size: () =>
      new Promise((resolve, reject) => {
        fs.fstat(descriptor, (error, stats) =>
          error ? reject(diskError(`reading ${name}`, error)) : resolve(stats.size),
        )
      }),
    deallocate: (position, length) => deallocate(path, position, length),
    close: () => simple("closing", (done) => fs.close(descriptor, done)),
  }
}

const readInThread = (name: string, descriptor: number, into: Uint8Array, position: number): Promise<number> =>
  new Promise((resolve, reject) => {
    readOn(descriptor, into, 0, position, (error, count) =>
      error ? reject(diskError(`reading ${name}`, error)) : resolve(count),
    )
  })

function readNow(descriptor: number, into: Uint8Array, position: number): number {
  for (let at = 0; ; ) {
    const count = fs.readSync(descriptor, into, at, into.length - at, position + at)
    at += count
    if (count === 0 || at === into.length) return at
  }
}

function writeNow(descriptor: number, parts: readonly Uint8Array[], position: number): void {
  for (let rest = parts, at = position; rest.length > 0; ) {
    const written =
      rest.length === 1
        ? fs.writeSync(descriptor, rest[0]!, 0, rest[0]!.length, at)
        : fs.writevSync(descriptor, rest.slice(0, MAX_PARTS), at)
    at += written
    rest = after(rest, written)
  }
}

/** Reads on until the end of the file, where the system gave less than was asked for. */
function readOn(
  descriptor: number,
  into: Uint8Array,
  at: number,
  position: number,
  done: (error: Error | null, count: number) => void,
): void {
  fs.read(descriptor, into, at, into.length - at, position + at, (error, count) => {
    if (error || count === 0 || at + count === into.length) done(error, at + count)
    else readOn(descriptor, into, at + count, position, done)
  })
}

function writeParts(
  descriptor: number,
  parts: readonly Uint8Array[],
  position: number,
  done: (error: Error | null) => void,
): void {
  const finish = (error: Error | null, written: number): void => {
    const rest = error ? [] : after(parts, written)
    if (rest.length === 0) done(error)
    else writeParts(descriptor, rest, position + written, done)
  }
  if (parts.length === 1) fs.write(descriptor, parts[0]!, 0, parts[0]!.length, position, finish)
  else fs.writev(descriptor, parts.slice(0, MAX_PARTS), position, finish)
}

/** What is left of the parts once so many bytes are written. */
function after(parts: readonly Uint8Array[], written: number): readonly Uint8Array[] {
  let left = written
  for (let i = 0; i < parts.length; i++) {
    const { length } = parts[i]!
    if (left < length) return left === 0 ? parts.slice(i) : [parts[i]!.subarray(left), ...parts.slice(i + 1)]
    left -= length
  }
  return []
}

/** Node.js has no call for it; util-linux has a program. */
async function deallocate(path: string, position: number, length: number): Promise<boolean> {
  if (process.platform !== "linux") return false
  try {
    await promisify(execFile)("fallocate", ["--punch-hole", "--offset", `${position}`, "--length", `${length}`, path])
    return true
  } catch {
    return false
  }
}
