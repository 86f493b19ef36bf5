import { malformed, truncated } from "../core/index.ts"
import type { BodyJob, FrameOpener, FrameParts } from "../framing/index.ts"
import { byteQueue, frameOpener, readFrameHead, takeTurn } from "../framing/index.ts"

/** Frames of a message that are read by themselves. */
export interface FrameRun {
  /** The number of the first one, from 0. */
  readonly first: number
  /** How many regular frames. */
  readonly regular: number
  /** Bytes of plaintext of the final frame, when the run ends with it. */
  readonly finalLength?: number
}

/** Bytes before a frame's ciphertext at most. */
const HEAD = 24

/**
 * Opens frames as their bytes arrive.
 *
 * @param chunks the bytes of exactly these frames
 * @returns each frame's plaintext, after its tag verified
 * @throws EnvelopeError `TamperedMessage`, `TruncatedMessage`, `MalformedMessage`
 */
export async function* openFrames(
  job: BodyJob,
  run: FrameRun,
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const queue = byteQueue()
  const opener = frameOpener(job.suite, job.key, job.messageId)
  const count = run.regular + (run.finalLength === undefined ? 0 : 1)
  let done = 0
  for await (const chunk of chunks) {
    queue.push(chunk)
    for (; done < count; done++) {
      const frame = readFrameHead(
        queue.peek(Math.min(queue.length, HEAD)),
        0,
        run.first + done + 1,
        job.shape,
        job.shape.frameLength,
        "frameLength",
      )
      if (typeof frame === "number" || frame.end > queue.length) break
      await takeTurn(frame.dataLength)
      job.signal?.throwIfAborted()
      yield openFrame(opener, run, done, frame, queue.take(frame.end))
    }
  }
  if (done < count) throw truncated(`the object ends within frame ${run.first + done + 1}`)
  if (queue.length > 0) throw malformed("bytes follow the last frame of the range")
}

function openFrame(
  opener: FrameOpener,
  run: FrameRun,
  index: number,
  frame: FrameParts,
  bytes: Uint8Array,
): Uint8Array {
  const final = index === run.regular
  if ((frame.kind === "final") !== final) throw malformed("a final frame stands before the end of the message")
  if (final && frame.dataLength !== run.finalLength) {
    throw malformed("the final frame has another length than the size of the object says")
  }
  return opener.open(bytes, frame)
}

/**
 * The bytes from `start` to `end` of the plaintext, from pieces that begin at `at`.
 */
export async function* cut(
  pieces: AsyncIterable<Uint8Array>,
  at: number,
  start: number,
  end: number,
): AsyncGenerator<Uint8Array> {
  for await (const piece of pieces) {
    const from = Math.max(0, start - at)
    const to = Math.min(piece.length, end - at)
    at += piece.length
    if (from < to) yield piece.subarray(from, to)
  }
}
