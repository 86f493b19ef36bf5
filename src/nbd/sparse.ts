import { COMMAND_FLAGS, STATE } from "./constants.ts"
import type { BlockDevice } from "./device.ts"
import type { Agreement } from "./negotiation.ts"
import { type Data, dataLength } from "./replies.ts"
import type { Request } from "./requests.ts"
import { MAX_EXTENTS, statusExtents } from "./status.ts"

type Release = ((data: Data) => void) | undefined

/** Gives back what a device has read; `undefined` for devices that do not care. */
export function releaser(device: BlockDevice, onError: (error: unknown) => void): Release {
  if (device.release === undefined) return undefined
  return (data) => {
    try {
      device.release!(data)
    } catch (error) {
      onError(error)
    }
  }
}

/** NBD-3.2: whether a READ may be answered with its zeros left out. */
export const mayBeSparse = ({ flags }: Request, { export: { sparseReads, device }, structured }: Agreement): boolean =>
  sparseReads && structured && (flags & COMMAND_FLAGS.dontFragment) === 0 && device.blockStatus !== undefined

/** The parts of a range in order: data, or the length of a run of zeros. */
export async function readSparsely(
  device: BlockDevice,
  offset: number,
  length: number,
  release: Release,
): Promise<(Data | number)[]> {
  const extents = statusExtents(await device.blockStatus!(offset, length, { maxExtents: MAX_EXTENTS }), length, false)
  const known = extents.reduce((sum, extent) => sum + extent.length, 0)
  if (known < length) extents.push({ length: length - known, state: 0 })
  let at = offset
  const parts = extents.map(async ({ length: size, state }) => {
    at += size
    return (state & STATE.zero) === 0 ? device.read(at - size, size) : size
  })
  const results = await Promise.allSettled(parts)
  const pieces = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []))
  const failed = results.find((result) => result.status === "rejected")
  if (failed === undefined && pieces.every((piece, i) => lengthOf(piece) === extents[i]!.length)) return pieces
  for (const piece of pieces) if (typeof piece !== "number") release?.(piece)
  throw failed?.reason ?? new Error("the device read another number of bytes than it was asked for")
}

const lengthOf = (piece: Data | number): number => (typeof piece === "number" ? piece : dataLength(piece))
