import { chmod, link, lstat, mkdtemp, rename, rm, stat, unlink } from "node:fs/promises"
import { connect, type Server } from "node:net"
import { basename, dirname, join } from "node:path"

/** Bytes of a socket's path that every system takes, the zero at its end left out. */
const MAX_PATH = process.platform === "linux" ? 107 : 103
/** What the folder below adds to a path. */
const FOLDER_PREFIX = ".nbd-"

/** A socket that is listened on, and how it is taken away again. */
export interface UnixSocket {
  readonly path: string
  /** Removes the path unless it is somebody else's by now. */
  remove(): Promise<void>
}

/**
 * NBD-6.1 and NBD-6.2: has `server` listen on a path. The socket comes to be in a folder that only its owner can enter and
 * moves to its place with its final mode, so that at no time anybody else can connect, and nothing at that place is
 * overwritten. A socket that nobody listens on any more is replaced.
 *
 * @param mode for instance 0o600
 * @throws RangeError for a path that is too long; an error with the code `EADDRINUSE` for a socket that is in use, or a file
 *   that is no socket
 */
export async function listenOnPath(server: Server, path: string, mode: number): Promise<UnixSocket> {
  checkLength(path)
  await removeStale(path)
  const folder = await mkdtemp(join(dirname(path), FOLDER_PREFIX))
  try {
    const made = join(folder, "s")
    await listen(server, made)
    await chmod(made, mode)
    await place(made, path)
  } catch (error) {
    server.close()
    throw error
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
  const { dev, ino } = await lstat(path)
  return {
    path,
    async remove() {
      const now = await lstat(path).catch(() => undefined)
      if (now?.dev === dev && now.ino === ino) await unlink(path).catch(() => {})
    },
  }
}

function checkLength(path: string): void {
  const longest = Math.max(
    Buffer.byteLength(path),
    Buffer.byteLength(join(dirname(path), `${FOLDER_PREFIX}XXXXXX`, "s")),
  )
  if (longest <= MAX_PATH) return
  const over = longest - MAX_PATH
  throw new RangeError(`the socket's path ${path} is ${over} bytes too long for this system: choose a shorter folder`)
}

const listen = (server: Server, path: string): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once("error", reject)
    server.listen(path, () => {
      server.removeListener("error", reject)
      resolve()
    })
  })

/** A second name, since that fails where there is one already; a file system without second names gets a move. */
async function place(made: string, path: string): Promise<void> {
  try {
    await link(made, path)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === "EEXIST") throw inUse(path)
    if (code !== "EPERM" && code !== "ENOTSUP" && code !== "EOPNOTSUPP") throw error
    await rename(made, path)
  }
}

async function removeStale(path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined)
  if (found === undefined) return
  if (!found.isSocket() || (await isAnswered(path))) throw inUse(path)
  await unlink(path)
}

const isAnswered = (path: string): Promise<boolean> =>
  new Promise((resolve, reject) => {
    const probe = connect(path)
    probe.once("connect", () => {
      probe.destroy()
      resolve(true)
    })
    probe.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ECONNREFUSED" || error.code === "ENOENT") resolve(false)
      else if (error.code === "EACCES" || error.code === "EAGAIN") resolve(true)
      else reject(error)
    })
  })

const inUse = (path: string): Error =>
  Object.assign(new Error(`listen EADDRINUSE: ${basename(path)} is in use, or no socket: ${path}`), {
    code: "EADDRINUSE",
    syscall: "listen",
    address: path,
  })
