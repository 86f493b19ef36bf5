import { Readable } from "node:stream"
import type { ReadableStream } from "node:stream/web"
import type { BytesLike } from "../../core/index.ts"

/** Bytes in one after another: a Node or Web stream, a generator. */
export type ByteSource = AsyncIterable<BytesLike>

/**
 * A Node stream over a generator that reads on from `source`. The source ends with the stream, whatever the end: a
 * generator alone would go on waiting for its next piece.
 *
 * @param onClose runs once at the end, on errors and when the stream is destroyed, even unread
 */
export function readableOf(
  pieces: AsyncGenerator<Uint8Array>,
  source: ByteSource,
  signal: AbortSignal | undefined,
  onClose: () => void = () => {},
): Readable {
  let pulling = false
  const pull = async () => {
    if (pulling) return
    pulling = true
    try {
      for (;;) {
        const { done, value } = await pieces.next()
        if (stream.destroyed) return
        if (!stream.push(done ? null : value) || done) return
      }
    } catch (error) {
      stream.destroy(error as Error)
    } finally {
      pulling = false
    }
  }
  const stream = new Readable({
    ...(signal && { signal }),
    read: () => void pull(),
    destroy(error, callback) {
      onClose()
      destroySource(source)
      const ended = pieces.return(undefined).catch(() => {})
      // Where a source that cannot be destroyed is waited for, the end of that may never come.
      const done = pulling ? Promise.resolve() : ended
      done.then(() => callback(error))
    },
  })
  return stream
}

/** A source that can be destroyed while somebody waits for its next piece. */
export const toSource = (source: ByteSource): ByteSource =>
  typeof (source as Partial<ReadableStream>).getReader === "function" ? Readable.fromWeb(source as never) : source

export function destroySource(source: object): void {
  const { destroy } = source as { destroy?: unknown }
  if (typeof destroy === "function") destroy.call(source)
}
