/** @throws TypeError when the two share memory, which would be read after it was written */
export function refuseOverlap(source: Uint8Array, target: Uint8Array): void {
  if (!(target instanceof Uint8Array)) throw new TypeError("target must be a Uint8Array")
  if (source.buffer !== target.buffer) return
  const overlaps =
    source.byteOffset < target.byteOffset + target.byteLength &&
    target.byteOffset < source.byteOffset + source.byteLength
  if (overlaps) throw new TypeError("target must not overlap what is read")
}
