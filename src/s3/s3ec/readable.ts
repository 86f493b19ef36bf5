import { Readable } from "node:stream"

/** A Node stream over a generator. @param onClose runs once at the end, on errors and when it is destroyed, even unread */
export function readableOf(
  pieces: AsyncGenerator<Uint8Array>,
  signal: AbortSignal | undefined,
  onClose: () => void,
): Readable {
  const stream = Readable.from(pieces, { objectMode: false, highWaterMark: 64 * 1024, ...(signal && { signal }) })
  stream.once("close", onClose)
  return stream
}

/** Stops a source that nobody reads on: a generator alone would wait for its next piece. */
export function destroySource(source: object): void {
  const { destroy } = source as { destroy?: unknown }
  if (typeof destroy === "function") destroy.call(source)
}
