import { EXPORT_FLAGS, MAX_PAYLOAD, MAX_STRING } from "./constants.ts"
import type { BlockDevice } from "./device.ts"

export interface ExportOptions {
  readonly device: BlockDevice
  /** For people, in lists of exports: at most 4096 bytes of UTF-8. Default none. */
  readonly description?: string
  /** Refuse everything that writes, whatever the device could do. Default: what the device says. */
  readonly readOnly?: boolean
  /**
   * Send runs of zeros without their bytes where the client can take it (structured replies), at the price of a
   * `blockStatus` for each read. Default false.
   */
  readonly sparseReads?: boolean
  /** Whether clients may spread over several connections, each flush covering the writes of all. Default true. */
  readonly multiConnection?: boolean
}

/** An export as the server sees it. */
export interface Export {
  readonly name: string
  readonly description: string
  readonly device: BlockDevice
  readonly readOnly: boolean
  readonly sparseReads: boolean
  readonly multiConnection: boolean
}

/** By name. */
export type Exports = ReadonlyMap<string, Export>

const DEFAULT_BLOCK_SIZE = 4096
const MIN_BLOCK_SIZE = 512

/**
 * @param given one device, which gets the empty name, or exports by name
 * @throws TypeError, RangeError
 */
export function readExports(
  given: BlockDevice | { readonly exports: Readonly<Record<string, BlockDevice | ExportOptions>> },
): Exports {
  const named = "exports" in given ? given.exports : { "": given }
  const exports = Object.entries(named).map(([name, value]): [string, Export] => {
    const options = "device" in value ? value : { device: value }
    checkText(name, "an export's name")
    checkText(options.description ?? "", "an export's description")
    checkDevice(options.device)
    const { device, description = "", readOnly = false, sparseReads = false, multiConnection = true } = options
    return [
      name,
      { name, description, device, readOnly: readOnly || device.readOnly === true, sparseReads, multiConnection },
    ]
  })
  if (exports.length === 0) throw new TypeError("there is nothing to serve: exports is empty")
  return new Map(exports)
}

/** NBD-1.5: the empty name stands for the only export where none has it. */
export function findExport(exports: Exports, name: string): Export | undefined {
  const exact = exports.get(name)
  if (exact !== undefined || name !== "" || exports.size > 1) return exact
  return exports.values().next().value
}

/** NBD-1.7: what the export can do, in the bits of the protocol. */
export function exportFlags({ device, readOnly, multiConnection }: Export, structured: boolean): number {
  let flags = EXPORT_FLAGS.hasFlags | EXPORT_FLAGS.cache
  // NBD-5.3: there is one device behind all connections, and whatever it caches it caches for all.
  if (multiConnection) flags |= EXPORT_FLAGS.multiConnection
  if (structured) flags |= EXPORT_FLAGS.dontFragment
  if (readOnly) return flags | EXPORT_FLAGS.readOnly
  flags |= EXPORT_FLAGS.flush | EXPORT_FLAGS.fua
  if (device.trim !== undefined) flags |= EXPORT_FLAGS.trim
  if (device.writeZeroes !== undefined) flags |= EXPORT_FLAGS.writeZeroes | EXPORT_FLAGS.fastZero
  return flags
}

export const preferredBlockSize = ({ device }: Export): number => device.blockSize ?? DEFAULT_BLOCK_SIZE

function checkText(text: string, what: string): void {
  if (Buffer.byteLength(text) > MAX_STRING) throw new RangeError(`${what} is longer than ${MAX_STRING} bytes`)
}

function checkDevice(device: BlockDevice): void {
  if (typeof device?.read !== "function" || typeof device.write !== "function" || typeof device.flush !== "function")
    throw new TypeError("a block device has read, write and flush")
  if (!Number.isSafeInteger(device.size) || device.size < 0)
    throw new RangeError(`a device's size must be a whole number of bytes, not ${device.size}`)
  const { blockSize } = device
  if (blockSize === undefined) return
  const isPowerOfTwo = Number.isSafeInteger(blockSize) && 2 ** Math.round(Math.log2(blockSize)) === blockSize
  if (!isPowerOfTwo || blockSize < MIN_BLOCK_SIZE || blockSize > MAX_PAYLOAD)
    throw new RangeError(`a device's blockSize must be a power of two from 512 to ${MAX_PAYLOAD}, not ${blockSize}`)
}
