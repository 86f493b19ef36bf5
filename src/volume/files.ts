import type { Disk, DiskFile } from "./disk.ts"
import type { Side } from "./entry.ts"

export const dataName = (side: Side): string => `data.${"ab"[side]}`
export const mapName = (level: number, side: Side): string => `map.${level}.${"ab"[side]}`
export const logName = (number: number): string => `log.${number}`

const LOG_NAME = /^log\.(\d{1,16})$/

/** The number in a log's name. */
export const logNumber = (name: string): number | undefined => {
  const [, number] = LOG_NAME.exec(name) ?? []
  return number === undefined ? undefined : Number(number)
}

/** VOL-3.3: files that only an attach writes. */
export const isContent = (name: string): boolean => /^(data\.[ab]|map\.\d+\.[ab]|log\.\d+)$/.test(name)

/** A volume's files of data and map: opened once, made when first written, synchronised when written since. */
export interface Files {
  /** @returns undefined when it was never written */
  find(name: string): Promise<DiskFile | undefined> | DiskFile | undefined
  /** To write to; made where it was absent. */
  forWriting(name: string): Promise<DiskFile> | DiskFile
  /** Call after each write: the file is not durable before the next synchronisation. */
  written(name: string): void
  /** Makes durable what was written to files of these names so far, and that they exist. */
  sync(names: readonly string[]): Promise<void>
  /** Makes all durable. */
  syncAll(): Promise<void>
  close(): Promise<void>
}

export function filesOf(disk: Disk): Files {
  const open = new Map<string, DiskFile>()
  const absent = new Set<string>()
  const opening = new Map<string, Promise<DiskFile | undefined>>()
  const written = new Set<string>()
  let folderChanged = false

  const once = (name: string, work: () => Promise<DiskFile | undefined>): Promise<DiskFile | undefined> => {
    const begun = opening.get(name)
    if (begun !== undefined) return begun
    const promise = work().finally(() => opening.delete(name))
    opening.set(name, promise)
    return promise
  }
  const openIt = (name: string): Promise<DiskFile | undefined> =>
    once(name, async () => {
      const file = await disk.open(name)
      if (file === undefined) absent.add(name)
      else open.set(name, file)
      return file
    })
  const create = async (name: string): Promise<DiskFile> => {
    const found = await openIt(name)
    if (found !== undefined) return found
    const made = await once(name, async () => {
      const file = await disk.create(name)
      absent.delete(name)
      open.set(name, file)
      folderChanged = true
      return file
    })
    return made ?? create(name)
  }

  const files: Files = {
    find: (name) => open.get(name) ?? (absent.has(name) ? undefined : openIt(name)),
    forWriting: (name) => open.get(name) ?? create(name),
    written: (name) => void written.add(name),
    async sync(names) {
      const work: Promise<void>[] = []
      for (const name of names) {
        const file = open.get(name)
        if (file === undefined || !written.delete(name)) continue
        work.push(
          file.sync().catch((error) => {
            written.add(name)
            throw error
          }),
        )
      }
      if (folderChanged) {
        folderChanged = false
        work.push(disk.syncFolder())
      }
      await Promise.all(work)
    },
    syncAll: () => files.sync([...written]),
    async close() {
      await Promise.all([...opening.values()].map((promise) => promise.catch(() => {})))
      await Promise.all([...open.values()].map((file) => file.close()))
      open.clear()
    },
  }
  return files
}
