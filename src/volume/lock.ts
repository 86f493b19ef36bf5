import { link, open, readdir, unlink } from "node:fs/promises"
import { createConnection, createServer, type Server } from "node:net"
import { join } from "node:path"
import { EnvelopeError } from "../core/index.ts"
import { randomBytes } from "../crypto/index.ts"
import { diskError } from "./failures.ts"
import { hex } from "./header-store.ts"

/** Held until released, or until the process ends in whatever way. */
export interface VolumeLock {
  release(): Promise<void>
}

const LOCK_NAME = /^lock\.(\d{1,15})$/
const MAX_ATTEMPTS = 20

/**
 * VOL-8.1: takes the lock of a volume's folder. A socket tells whether its process lives, across process id and network
 * namespaces, and no lock outlives its holder. It listens before it gets its name, and the name with the highest number
 * counts and is never removed: so there is no moment at which two can hold it.
 *
 * @throws EnvelopeError `VolumeInUse` when it is held, `VolumeIo`
 */
export async function takeLock(folder: string): Promise<VolumeLock> {
  const own = `lock-${hex(randomBytes(8))}`
  // Says what is wrong with the folder, where a socket would not.
  await highestLock(folder)
  const paths = await socketPaths(folder)
  const server = await listen(paths.of(own))
  let held = false
  try {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const highest = await highestLock(folder)
      if (highest > 0 && (await isAlive(paths.of(`lock.${highest}`)))) throw inUse(folder)
      const mine = highest + 1
      if (!(await linked(join(folder, own), join(folder, `lock.${mine}`)))) continue
      held = (await highestLock(folder)) === mine
      if (!held) {
        await unlink(join(folder, `lock.${mine}`))
        continue
      }
      await removeBelow(folder, mine)
      return { release: () => close(server, paths) }
    }
    throw inUse(folder)
  } catch (error) {
    throw diskError("taking the volume's lock", error)
  } finally {
    await unlink(join(folder, own)).catch(() => {})
    if (!held) await close(server, paths)
  }
}

/** For reading where no lock can be written. @throws EnvelopeError `VolumeInUse` */
export async function checkUnlocked(folder: string): Promise<VolumeLock> {
  const paths = await socketPaths(folder)
  try {
    const highest = await highestLock(folder)
    if (highest > 0 && (await isAlive(paths.of(`lock.${highest}`)))) throw inUse(folder)
  } finally {
    await paths.close()
  }
  return { release: async () => {} }
}

// --- internal ---

const inUse = (folder: string): EnvelopeError =>
  new EnvelopeError("VolumeInUse", `the volume ${folder} is attached, here or by another process`)

interface SocketPaths {
  of(name: string): string
  close(): Promise<void>
}

/** A socket's path is at most 107 bytes long; Linux reaches a folder by its descriptor as well. */
async function socketPaths(folder: string): Promise<SocketPaths> {
  const longest = join(folder, "lock-0123456789abcdef")
  // On Windows these are names of pipes, not files.
  if (process.platform === "win32") return { of: (name) => `\\\\.\\pipe\\${join(folder, name)}`, close: async () => {} }
  if (process.platform !== "linux" || Buffer.byteLength(longest) < 104) {
    return { of: (name) => join(folder, name), close: async () => {} }
  }
  const handle = await open(folder, "r")
  return { of: (name) => `/proc/self/fd/${handle.fd}/${name}`, close: () => handle.close() }
}

function listen(path: string): Promise<Server> {
  // Whoever asks has his answer in being connected.
  const server = createServer((socket) => socket.destroy())
  server.unref()
  return new Promise((resolve, reject) => {
    server.once("error", (error) => reject(diskError("making the volume's lock", error)))
    server.listen(path, () => resolve(server))
  })
}

/** Something listens, or may: only a refusal says that nothing does. */
function isAlive(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path)
    socket.once("connect", () => {
      socket.destroy()
      resolve(true)
    })
    socket.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ECONNREFUSED" || error.code === "ENOENT") resolve(false)
      else if (error.code === "EAGAIN") resolve(true)
      else reject(error)
    })
  })
}

async function highestLock(folder: string): Promise<number> {
  let names: string[]
  try {
    names = await readdir(folder)
  } catch (error) {
    throw diskError("listing the volume's folder", error)
  }
  return Math.max(0, ...names.map((name) => Number(LOCK_NAME.exec(name)?.[1] ?? 0)))
}

/** @returns false when there is such a name already */
async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false
    throw error
  }
}

async function removeBelow(folder: string, mine: number): Promise<void> {
  for (const name of await readdir(folder)) {
    const number = Number(LOCK_NAME.exec(name)?.[1] ?? mine)
    if (number < mine) await unlink(join(folder, name)).catch(() => {})
  }
}

async function close(server: Server, paths: SocketPaths): Promise<void> {
  await new Promise<void>((resolve) => {
    server.close(() => resolve())
  })
  await paths.close()
}
