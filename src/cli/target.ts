import { fstatSync, type Stats } from "node:fs"
import { type FileHandle, link, lstat, open, readlink, realpath, rename, stat, unlink } from "node:fs/promises"
import { dirname, resolve } from "node:path"
import { isatty } from "node:tty"
import { removeOnExit } from "./cleanup.ts"
import { CliError, ioError, usageError } from "./failures.ts"
import { type FdWritable, fdWritable, STDOUT } from "./fd.ts"
import type { Source } from "./source.ts"
import { sweepTemporary, temporaryPath } from "./temporary.ts"

/** What a command writes: a file, which appears whole or not at all, or standard output. */
export interface Target {
  /** For people: the path, or `standard output`. */
  readonly name: string
  readonly isFile: boolean
  /** Standard output is a terminal, and was not asked for by name. */
  readonly isTerminal: boolean
  /** Call once, before `commit` or `discard`. */
  open(): Promise<FdWritable>
  /** Instead of `open`, of a file alone: empty, to be written at any place. */
  openFile?(): Promise<FileHandle>
  /** Puts what was written under its name, durably. */
  commit(): Promise<void>
  /** Leaves no trace. */
  discard(): Promise<void>
}

export interface TargetOptions {
  /** `undefined` and `-` stand for standard output. */
  readonly path: string | undefined
  /** Replace an existing file. */
  readonly force: boolean
  readonly source: Source
}

/** @throws CliError `targetExists`, `usage`, `inputOutput` before anything is read or written */
export async function openTarget({ path, force, source }: TargetOptions): Promise<Target> {
  if (path === undefined || path === "-") return stdoutTarget(path === undefined, source)
  const doing = `cannot write ${path}`
  try {
    const real = await realpath(path).catch(() => path)
    const existing = await statIfThere(real, doing)
    if (existing?.isDirectory())
      throw new CliError("inputOutput", `${doing}: it is a folder`, { hint: "name a file in it" })
    if (existing !== undefined && !existing.isFile()) return directTarget(path)
    if (existing !== undefined && !force) throw existsAlready(path)
    const folder = dirname(resolve(real))
    await stat(folder)
    return fileTarget({ path, real, folder, existing, force })
  } catch (error) {
    throw ioError(doing, error)
  }
}

// --- internal ---

function stdoutTarget(isDefault: boolean, source: Source): Target {
  // A shell has emptied `envelope encrypt report > report` before we run, and `>>` would feed us our own output.
  const output = fstatOrNothing()
  if (output?.isFile() && source.file?.ino === output.ino && source.file.dev === output.dev) {
    throw usageError("input and output are the same file", "write to another file")
  }
  const nothing = async (): Promise<void> => {}
  return {
    name: "standard output",
    isFile: false,
    isTerminal: isDefault && isatty(STDOUT),
    open: async () => fdWritable(STDOUT),
    commit: nothing,
    discard: nothing,
  }
}

/** A device or a named pipe: nothing to replace. */
function directTarget(path: string): Target {
  let handle: FileHandle | undefined
  const close = async (): Promise<void> => handle?.close()
  return {
    name: path,
    isFile: false,
    isTerminal: false,
    async open() {
      handle = await open(path, "w")
      return fdWritable(handle.fd)
    },
    commit: close,
    discard: close,
  }
}

interface FileTarget {
  readonly path: string
  readonly real: string
  readonly folder: string
  readonly existing: Stats | undefined
  readonly force: boolean
}

function fileTarget({ path, real, folder, existing, force }: FileTarget): Target {
  const doing = `cannot write ${path}`
  const temporary = temporaryPath(folder)
  let handle: FileHandle | undefined
  let keep = (): void => {}
  const openFile = async (): Promise<FileHandle> => {
    await sweepTemporary(folder)
    keep = removeOnExit(temporary)
    try {
      handle = await open(temporary, "wx", 0o600)
    } catch (error) {
      throw ioError(doing, error)
    }
    return handle
  }
  return {
    name: path,
    isFile: true,
    isTerminal: false,
    open: async () => fdWritable((await openFile()).fd),
    openFile,
    async commit() {
      try {
        if (existing !== undefined) await handle!.chmod(existing.mode & 0o777)
        await handle!.sync()
        await handle!.close()
        await (force ? rename(temporary, real) : publishNew(temporary, path, real))
        keep()
        await syncFolder(folder)
      } catch (error) {
        throw ioError(doing, error)
      }
    },
    async discard() {
      await handle?.close().catch(() => {})
      await unlink(temporary).catch(() => {})
      keep()
    },
  }
}

/** Gives the file its name unless somebody else has taken it meanwhile. */
async function publishNew(temporary: string, path: string, real: string): Promise<void> {
  try {
    await link(temporary, real)
    await unlink(temporary)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === "EEXIST") throw existsAlready(path)
    if (code !== "EPERM" && code !== "ENOTSUP" && code !== "ENOSYS" && code !== "EOPNOTSUPP") throw error
    await publishWithoutLinks(temporary, path, real)
  }
}

/** For file systems without hard links, such as exFAT: an empty file holds the name until the rename. */
async function publishWithoutLinks(temporary: string, path: string, real: string): Promise<void> {
  try {
    await (await open(real, "wx", 0o600)).close()
  } catch (error) {
    throw (error as NodeJS.ErrnoException).code === "EEXIST" ? existsAlready(path) : error
  }
  await rename(temporary, real)
}

const existsAlready = (path: string): CliError => new CliError("targetExists", `${path} exists already`)

async function statIfThere(path: string, doing: string): Promise<Stats | undefined> {
  try {
    return await stat(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error
  }
  const dangling = await lstat(path).then(
    () => readlink(path),
    () => undefined,
  )
  if (dangling === undefined) return undefined
  throw new CliError("inputOutput", `${doing}: it is a symbolic link to ${dangling}, which does not exist`)
}

function fstatOrNothing(): Stats | undefined {
  try {
    return fstatSync(STDOUT)
  } catch {
    return undefined
  }
}

/** So that the new name survives a power loss. Not every system lets a folder be synchronised. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r").catch(() => undefined)
  await handle?.sync().catch(() => {})
  await handle?.close()
}
