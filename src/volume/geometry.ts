/** Entries of a map node (VOL-4.2). */
export const NODE_ENTRIES = 128
export const BLOCK_SIZES = [4096, 16_384, 65_536] as const
export type BlockSize = (typeof BLOCK_SIZES)[number]

const SECTOR = 512
const MAX_SIZE = 2 ** 50
const UNITS: Readonly<Record<string, number>> = { "": 1, B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 }

/** What never changes of a volume but for its size. */
export interface Geometry {
  readonly id: Uint8Array
  /** Bytes. */
  readonly size: number
  readonly blockSize: number
  readonly blockCount: number
}

export const geometryOf = (id: Uint8Array, size: number, blockSize: number): Geometry => ({
  id,
  size,
  blockSize,
  blockCount: Math.ceil(size / blockSize),
})

export const isBlockSize = (value: number): value is BlockSize => (BLOCK_SIZES as readonly number[]).includes(value)

/** VOL-1.1 */
export const isVolumeSize = (size: number): boolean =>
  Number.isSafeInteger(size) && size > 0 && size <= MAX_SIZE && size % SECTOR === 0

/** VOL-4.2: levels of the map, so that one node is above all blocks. */
export function levelsFor(blockCount: number): number {
  let levels = 1
  for (let covered = NODE_ENTRIES; covered < blockCount; covered *= NODE_ENTRIES) levels++
  return levels
}

/** VOL-1.3 */
export const volumeName = (id: Uint8Array): string =>
  `vol-${Buffer.from(id.buffer, id.byteOffset, id.length).toString("hex")}`

/**
 * Bytes, from a number or text such as `64GiB`.
 *
 * @throws TypeError for something else
 * @throws RangeError for a size that is no multiple of 512 from 512 to 2^50
 */
export function parseVolumeSize(size: number | bigint | string): number {
  const bytes = typeof size === "string" ? parseText(size) : Number(size)
  if (typeof bytes !== "number" || Number.isNaN(bytes))
    throw new TypeError('size must be bytes, or text such as "64GiB"')
  if (!isVolumeSize(bytes)) throw new RangeError(`size must be a multiple of 512 from 512 to 2^50 bytes, not ${size}`)
  return bytes
}

function parseText(text: string): number | undefined {
  const [, amount, unit] = /^(\d{1,16}(?:\.\d{1,6})?) ?(B|KiB|MiB|GiB|TiB|)$/.exec(text) ?? []
  return amount === undefined ? undefined : Number(amount) * UNITS[unit!]!
}
