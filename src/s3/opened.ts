import { Readable } from "node:stream"
import type { GetObjectCommandOutput } from "@aws-sdk/client-s3"
import { copyBytes, traced, truncated } from "../core/index.ts"
import { wipe } from "../crypto/index.ts"
import type { Header } from "../format/index.ts"
import { type BodyJob, type FrameLayout, layoutOfBody } from "../framing/index.ts"
import { decryptTrace, type OpenedRead, openRead, planRead } from "../message/index.ts"
import { cut, type FrameRun, openFrames } from "./frames.ts"
import { sdkBody } from "./output-body.ts"
import { beginReading, type GetCall } from "./reading.ts"

/** How an object of `size` bytes is cut into frames; nothing authenticates it before the final frame. */
export function layoutOf(header: Header, size: number): FrameLayout & { readonly plaintextLength: number } {
  const layout = layoutOfBody(size - header.length, header.frameLength)
  if (layout === undefined) {
    throw truncated("the object's size fits no number of frames: it was cut, or bytes follow its end")
  }
  return { ...layout, plaintextLength: layout.regularFrames * header.frameLength + layout.finalLength }
}

/** Policy, context, data key, commitment and header tag, in this order. The caller overwrites the key. */
export async function openHeader(call: GetCall, header: Header): Promise<OpenedRead> {
  const reading = beginReading(call)
  try {
    const plan = planRead(reading.options)
    const trace = () => ({ ...decryptTrace(plan, "getObject"), suiteId: header.suite.id })
    return await traced("decrypt", trace, () => openRead(plan, header))
  } finally {
    reading.close()
  }
}

/** Frames of one message to open, with a key of their own: the caller overwrites it. */
export const jobOf = (
  { signal }: Pick<GetCall, "signal">,
  { header, key }: Pick<OpenedRead, "header" | "key">,
): BodyJob => ({ suite: header.suite, key: copyBytes(key), messageId: header.messageId, shape: header, signal })

/** Bytes of the plaintext, exclusive `end`. */
export interface Span {
  readonly start: number
  readonly end: number
}

type Chunks = Iterable<Uint8Array> | AsyncIterable<Uint8Array>

/** The span of the plaintext, once every frame of the run is authentic. Overwrites the job's key. */
export async function collectFrames(job: BodyJob, run: FrameRun, chunks: Chunks, span: Span): Promise<Uint8Array> {
  const at = run.first * job.shape.frameLength
  const bytes = new Uint8Array(span.end - span.start)
  let filled = 0
  try {
    for await (const piece of cut(openFrames(job, run, chunks), at, span.start, span.end)) {
      bytes.set(piece, filled)
      filled += piece.length
    }
    return bytes
  } finally {
    wipe(job.key)
  }
}

/** Frames as they are read. The key is overwritten when the stream ends, however it does. */
export function streamFrames(
  job: BodyJob,
  run: FrameRun,
  source: Readable,
  { start, end }: Span,
): NonNullable<GetObjectCommandOutput["Body"]> {
  const at = run.first * job.shape.frameLength
  const stream = Readable.from(cut(openFrames(job, run, source), at, start, end), { objectMode: false })
  // Reading meets the error of the connection; where nobody reads, nobody could listen for it.
  source.on("error", () => {})
  stream.once("close", () => {
    wipe(job.key)
    source.destroy()
  })
  return sdkBody(stream, end - start)
}
