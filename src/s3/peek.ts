import type { Readable } from "node:stream"

/** The first bytes of a stream, which stay in it; fewer than `length` when it ends before. */
export async function peek(stream: Readable, length: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let held = 0
  while (held < length) {
    const chunk: Uint8Array | null = stream.read()
    if (chunk !== null) {
      chunks.push(chunk)
      held += chunk.length
    } else if (!(await readableAgain(stream))) break
  }
  const bytes = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)
  if (bytes.length > 0) stream.unshift(bytes)
  return bytes
}

/** @returns false at the end. @throws the stream's error */
function readableAgain(stream: Readable): Promise<boolean> {
  return new Promise((resolve, reject) => {
    if (stream.readableEnded || stream.errored) return stream.errored ? reject(stream.errored) : resolve(false)
    const settle = (finish: () => void) => () => {
      stream.off("readable", onReadable).off("end", onEnd).off("error", onError).off("close", onEnd)
      finish()
    }
    const onReadable = settle(() => resolve(true))
    const onEnd = settle(() => (stream.errored ? reject(stream.errored) : resolve(false)))
    const onError = (error: Error) => settle(() => reject(error))()
    stream.once("readable", onReadable).once("end", onEnd).once("error", onError).once("close", onEnd)
  })
}
