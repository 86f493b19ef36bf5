import { EnvelopeError, truncated } from "../core/index.ts"
import { type BodyJob, byteQueue, type FrameParts, frameOpener, readFrameHead, takeTurn } from "../framing/index.ts"

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
 * @throws EnvelopeError `TamperedMessage`, `TruncatedMessage`
 */
export async function* openFrames(
  job: BodyJob,
  run: FrameRun,
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const queue = byteQueue()
  const opener = frameOpener(job.suite, job.key, job.messageId)
  const count = run.regular + (run.finalLength === undefined ? 0 : 1)
  let done = 0
  for await (const chunk of chunks) {
    queue.push(chunk)
    for (; done < count; done++) {
      const frame = headOf(job, run.first + done + 1, queue.peek(Math.min(queue.length, HEAD)))
      if (typeof frame !== "number") checkPlace(run, done, frame)
      if (typeof frame === "number" || frame.end > queue.length) break
      await takeTurn(frame.dataLength)
      job.signal?.throwIfAborted()
      yield opener.open(queue.take(frame.end), frame)
    }
  }
  if (done < count) throw truncated(`the object ends within frame ${run.first + done + 1}`)
  if (queue.length > 0) throw misplaced("bytes follow the last frame")
}

function headOf({ shape }: BodyJob, expected: number, head: Uint8Array): FrameParts | number {
  try {
    return readFrameHead(head, 0, expected, shape, shape.frameLength, "frameLength")
  } catch (error) {
    throw misplaced(`frame ${expected} is not in its place`, error)
  }
}

/** OBJ-5.5: where the size of the object puts the final frame, and nowhere else, it must stand. */
function checkPlace({ regular, finalLength }: FrameRun, index: number, frame: FrameParts): void {
  const final = index === regular
  if (final && frame.kind !== "final") throw truncated("the object does not end with a final frame: it was cut")
  if (!final && frame.kind === "final") throw misplaced("a final frame stands before the end")
  if (final && frame.dataLength !== finalLength) throw misplaced("the size of the object is not that of its frames")
}

/** The header is authentic, so frames that break the format were put there by somebody else. */
const misplaced = (what: string, cause?: unknown): EnvelopeError =>
  new EnvelopeError("TamperedMessage", `the object was changed: ${what}`, { cause })

/** The bytes from `start` to `end` of the plaintext, from pieces that begin at `at`. */
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
