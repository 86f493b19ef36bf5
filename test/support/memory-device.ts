import type { BlockDevice, Extent } from "../../src/nbd/index.ts"

/** A block device in memory, thin by blocks as far as it tells, with what tests want to know of how it was called. */
export interface MemoryDevice extends BlockDevice {
  readonly bytes: Uint8Array
  /** Calls in order, such as `write 0 512 fua`. Empty unless asked for. */
  readonly calls: string[]
}

export interface MemoryDeviceOptions {
  readonly blockSize?: number
  readonly readOnly?: boolean
  readonly log?: boolean
}

/** @param size bytes */
export function memoryDevice(
  size: number,
  { blockSize = 4096, readOnly = false, log = false }: MemoryDeviceOptions = {},
) {
  const bytes = new Uint8Array(size)
  const used = new Uint8Array(Math.ceil(size / blockSize))
  const calls: string[] = []
  const note = (...parts: unknown[]): void => {
    if (log) calls.push(parts.filter((part) => part !== "").join(" "))
  }
  /** Marks whole blocks inside the range as unused, or every block that it touches as used. */
  const mark = (offset: number, length: number, value: 0 | 1): void => {
    if (value === 1) used.fill(1, Math.floor(offset / blockSize), Math.ceil((offset + length) / blockSize))
    else {
      const end = offset + length === size ? used.length : Math.floor((offset + length) / blockSize)
      used.fill(0, Math.ceil(offset / blockSize), Math.max(end, Math.ceil(offset / blockSize)))
    }
  }
  const device: MemoryDevice = {
    bytes,
    calls,
    size,
    blockSize,
    readOnly,
    read(offset, length) {
      note("read", offset, length)
      return bytes.subarray(offset, offset + length)
    },
    write(offset, data, { fua }) {
      note("write", offset, data.length, fua ? "fua" : "")
      bytes.set(data, offset)
      mark(offset, data.length, 1)
    },
    flush() {
      note("flush")
    },
    trim(offset, length, { fua }) {
      note("trim", offset, length, fua ? "fua" : "")
      bytes.fill(0, offset, offset + length)
      mark(offset, length, 0)
    },
    writeZeroes(offset, length, { fua, noHole, fast }) {
      note("zero", offset, length, fua ? "fua" : "", noHole ? "noHole" : "", fast ? "fast" : "")
      bytes.fill(0, offset, offset + length)
      mark(offset, length, noHole ? 1 : 0)
    },
    blockStatus(offset, length, { maxExtents }) {
      note("status", offset, length, maxExtents)
      const extents: Extent[] = []
      for (let at = offset; at < offset + length && extents.length < maxExtents; ) {
        const block = Math.floor(at / blockSize)
        let end = block + 1
        while (end < used.length && used[end] === used[block] && end * blockSize < offset + length) end++
        const hole = used[block] === 0
        extents.push({ length: Math.min(end * blockSize, offset + length) - at, hole, zero: hole })
        at = end * blockSize
      }
      return extents
    },
    cache(offset, length) {
      note("cache", offset, length)
    },
  }
  return device
}
