import type { Disk, DiskFile } from "../../src/volume/disk.ts"
import { diskError } from "../../src/volume/failures.ts"
import type { Random } from "../support/random.ts"

const SECTOR = 512
const LONG = 2 ** 18

/** A file's bytes, grown as needed. */
interface Bytes {
  data: Uint8Array
  length: number
}

interface SimFile {
  /** What the operating system shows. */
  readonly live: Bytes
  /** What is durable. */
  readonly durable: Bytes
  /** Since the last synchronisation. */
  changes: { readonly position: number; readonly bytes: Uint8Array | undefined; readonly length: number }[]
}

export interface SimDisk extends Disk {
  /** Operations of writing, synchronising, truncating, creating and removing so far. */
  readonly operations: number
  /** After so many operations the power is gone: the one at hand is done in part, and all after it fail. */
  cutAt: number
  /** Bytes that files may hold together. */
  capacity: number
  /** Makes operations of this name on files that match fail with the code. */
  fault: ((operation: string, name: string) => string | undefined) | undefined
  /**
   * The disk after a power loss: of what was not synchronised, each sector of each write is there or not; so are files
   * created or removed.
   */
  afterPowerLoss(random: Random): SimDisk
  /** The disk after the end of the process: all that was handed over is there. */
  afterKill(): SimDisk
  /** A copy of everything as files show it. */
  copy(): Map<string, Uint8Array>
  /** Puts a file in its place. */
  put(name: string, bytes: Uint8Array | undefined): void
}

/** A disk in memory that can lose power at any operation. */
export function simDisk(initial?: ReadonlyMap<string, Uint8Array>, readOnly = false): SimDisk {
  const files = new Map<string, SimFile>()
  /** Names that are durable, with the file they name. */
  const durableNames = new Map<string, SimFile>()
  let operations = 0
  for (const [name, bytes] of initial ?? []) {
    const file = newFile(bytes)
    files.set(name, file)
    durableNames.set(name, file)
  }

  const used = (): number => [...files.values()].reduce((sum, { live }) => sum + live.length, 0)
  /** Counts one operation. @returns whether the power goes during it */
  const step = (operation: string, name: string): boolean => {
    const code = disk.fault?.(operation, name)
    if (code !== undefined) throw diskError(`${operation} ${name}`, Object.assign(new Error(code), { code }))
    if (operations >= disk.cutAt) throw diskError(operation, Object.assign(new Error("power"), { code: "EPOWER" }))
    operations++
    return operations === disk.cutAt
  }
  const gone = (operation: string): Error => diskError(operation, Object.assign(new Error("power"), { code: "EPOWER" }))
  const handle = (name: string, file: SimFile): DiskFile => ({
    async read(into, position) {
      await tick()
      const end = Math.min(file.live.length, position + into.length)
      if (end <= position) return 0
      into.set(file.live.data.subarray(position, end))
      return end - position
    },
    async write(parts, position) {
      await tick()
      // What is long may come after what was begun later.
      const length = parts.reduce((sum, part) => sum + part.length, 0)
      for (let rest = length; rest > LONG; rest -= LONG) await new Promise((resolve) => setImmediate(resolve))
      const last = step("write", name)
      const bytes = joined(parts)
      if (used() + Math.max(0, position + bytes.length - file.live.length) > disk.capacity) {
        throw diskError(`writing ${name}`, Object.assign(new Error("full"), { code: "ENOSPC" }))
      }
      put(file.live, position, bytes)
      file.changes.push({ position, bytes, length: bytes.length })
      if (last) throw gone("write")
    },
    async sync() {
      await tick()
      // Only what was written before it began.
      const changes = file.changes
      if (step("sync", name)) throw gone("sync")
      file.changes = file.changes.slice(changes.length)
      for (const { position, bytes, length } of changes) {
        if (bytes === undefined) resize(file.durable, length)
        else put(file.durable, position, bytes)
      }
    },
    async truncate(length) {
      await tick()
      const last = step("truncate", name)
      resize(file.live, length)
      file.changes.push({ position: 0, bytes: undefined, length })
      if (last) throw gone("truncate")
    },
    size: async () => file.live.length,
    async deallocate(position, length) {
      await tick()
      const last = step("deallocate", name)
      const bytes = new Uint8Array(Math.max(0, Math.min(length, file.live.length - position)))
      put(file.live, position, bytes)
      file.changes.push({ position, bytes, length: bytes.length })
      if (last) throw gone("deallocate")
      return true
    },
    close: async () => {},
  })

  const disk: SimDisk = {
    readOnly,
    get operations() {
      return operations
    },
    cutAt: Number.POSITIVE_INFINITY,
    capacity: Number.POSITIVE_INFINITY,
    fault: undefined,
    async open(name) {
      await tick()
      const file = files.get(name)
      return file && handle(name, file)
    },
    async create(name) {
      await tick()
      const last = step("create", name)
      const file = newFile(new Uint8Array(0))
      files.set(name, file)
      if (last) throw gone("create")
      return handle(name, file)
    },
    async remove(name) {
      await tick()
      const last = step("remove", name)
      files.delete(name)
      if (last) throw gone("remove")
    },
    list: async () => [...files.keys()],
    async syncFolder() {
      await tick()
      if (step("syncFolder", "")) throw gone("syncFolder")
      durableNames.clear()
      for (const [name, file] of files) durableNames.set(name, file)
    },
    afterPowerLoss(random) {
      const names = new Map<string, SimFile>(durableNames)
      for (const [name, file] of files) if (durableNames.get(name) !== file && random.chance(0.5)) names.set(name, file)
      for (const name of durableNames.keys()) if (!files.has(name) && random.chance(0.5)) names.delete(name)
      return simDisk(new Map([...names].map(([name, file]) => [name, torn(file, random)])))
    },
    afterKill: () => simDisk(disk.copy()),
    copy: () => new Map([...files].map(([name, { live }]) => [name, live.data.slice(0, live.length)])),
    put(name, bytes) {
      if (bytes === undefined) files.delete(name)
      else files.set(name, newFile(bytes))
    },
  }
  return disk
}

/** Lets others go on, as real input and output would; now and then for longer. */
let ticks = 0
const tick = (): Promise<void> | void => {
  ticks++
  if (ticks % 7 === 0) return new Promise((resolve) => setImmediate(resolve))
}

const newFile = (bytes: Uint8Array): SimFile => ({
  live: { data: bytes.slice(), length: bytes.length },
  durable: { data: bytes.slice(), length: bytes.length },
  changes: [],
})

function resize(bytes: Bytes, length: number): void {
  if (length > bytes.data.length) {
    const grown = new Uint8Array(Math.max(length, bytes.data.length * 2))
    grown.set(bytes.data.subarray(0, bytes.length))
    bytes.data = grown
  }
  if (length < bytes.length) bytes.data.fill(0, length, bytes.length)
  bytes.length = length
}

function put(bytes: Bytes, position: number, piece: Uint8Array): void {
  if (position + piece.length > bytes.length) resize(bytes, position + piece.length)
  bytes.data.set(piece, position)
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}

/** What a power loss leaves of a file: any sectors of any changes since the last synchronisation. */
function torn({ durable, changes }: SimFile, random: Random): Uint8Array {
  const left: Bytes = { data: durable.data.slice(), length: durable.length }
  const mood = random.int(4)
  for (const { position, bytes, length } of changes) {
    if (mood === 0) break
    if (bytes === undefined) {
      if (random.chance(0.5)) resize(left, length)
      continue
    }
    if (mood === 1 || random.chance(0.4)) {
      put(left, position, bytes)
      continue
    }
    if (random.chance(0.4)) continue
    for (let at = 0; at < bytes.length; ) {
      const end = Math.min(bytes.length, at + SECTOR - ((position + at) % SECTOR))
      if (random.chance(0.5)) put(left, position + at, bytes.subarray(at, end))
      at = end
    }
  }
  return left.data.slice(0, left.length)
}
