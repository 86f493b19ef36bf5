import { STATE } from "./constants.ts"
import type { Extent } from "./device.ts"
import type { StatusExtent } from "./requests.ts"

/** Extents asked of a device and sent in one reply: 64 KiB of reply. A client asks again for the rest. */
export const MAX_EXTENTS = 8192

/**
 * NBD-3.8: what a device says of `length` bytes, as it goes out: runs of one state joined, nothing past the request, and
 * whatever the device leaves open is data.
 */
export function statusExtents(extents: readonly Extent[], length: number, one: boolean): StatusExtent[] {
  const result: StatusExtent[] = []
  let left = length
  for (const extent of extents) {
    const state = (extent.hole ? STATE.hole : 0) | (extent.zero ? STATE.zero : 0)
    const taken = Math.min(extent.length, left)
    if (!(taken > 0)) continue
    const last = result.at(-1)
    if (last?.state === state) last.length += taken
    else if ((one && result.length > 0) || result.length === MAX_EXTENTS) break
    else result.push({ length: taken, state })
    left -= taken
  }
  return result.length > 0 ? result : [{ length, state: 0 }]
}
