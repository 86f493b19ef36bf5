import { free, malformed } from "../core/index.ts"
import type { Suite } from "../crypto/index.ts"
import { type BodyScan, type FrameOpener, frameOpener, nextFrame } from "./open.ts"
import type { FrameShape } from "./read.ts"
import { bodySealer, sealFrames, writeFrame } from "./seal.ts"
import { type FrameLayout, frameOffset } from "./sizes.ts"
import { AT_ONCE, takeTurn } from "./turns.ts"

const MISPLACED = "a final frame stands before the end of the message"

/** The body of one message in memory. */
export interface BodyJob {
  readonly suite: Suite
  readonly key: Uint8Array
  readonly messageId: Uint8Array
  readonly shape: FrameShape
  readonly signal?: AbortSignal | undefined
}

/** Seals a body of at most `AT_ONCE` bytes into `out` at `at`. @returns where the body ends */
export function sealBody(
  job: BodyJob,
  { regularFrames }: FrameLayout,
  plaintext: Uint8Array,
  out: Uint8Array,
  at: number,
): number {
  const { frameLength } = job.shape
  const sealer = bodySealer(job.suite, job.key, job.messageId, frameLength)
  at = sealFrames(sealer, frameLength, regularFrames, plaintext, out, at)
  return writeFrame(sealer.final(plaintext.subarray(regularFrames * frameLength)), out, at)
}

/** Seals a body of any size in slices, so that others get their turn between them. */
export async function sealLargeBody(
  job: BodyJob,
  { regularFrames }: FrameLayout,
  plaintext: Uint8Array,
  out: Uint8Array,
  at: number,
): Promise<number> {
  const { frameLength } = job.shape
  const sealer = bodySealer(job.suite, job.key, job.messageId, frameLength)
  await inSlices(regularFrames, frameLength, job.signal, (index, count) => {
    at = sealFrames(sealer, frameLength, count, plaintext.subarray(index * frameLength), out, at)
  })
  return writeFrame(sealer.final(plaintext.subarray(regularFrames * frameLength)), out, at)
}

/**
 * Opens a body of at most `AT_ONCE` bytes that `scanBody` measured.
 *
 * @param out receives the plaintext of frames whose tags verified; without it, memory of its own is made
 * @throws EnvelopeError `TamperedMessage`
 */
export function openBody(
  job: BodyJob,
  scan: BodyScan,
  message: Uint8Array,
  bodyAt: number,
  out?: Uint8Array,
): Uint8Array {
  const opener = frameOpener(job.suite, job.key, job.messageId)
  if (scan.frameCount === 1 && out === undefined) {
    const { buffer, byteOffset, length } = opener.open(message, nextFrame(message, bodyAt, 1, job.shape))
    return new Uint8Array(buffer, byteOffset, length)
  }
  const plaintext = out ?? new Uint8Array(scan.plaintextLength)
  openFrames(opener, job.shape, scan, message, bodyAt, 0, scan.frameCount, plaintext)
  return plaintext
}

/** Opens a body of any size in slices. @param out as long as the plaintext */
export async function openLargeBody(
  job: BodyJob,
  scan: BodyScan,
  message: Uint8Array,
  bodyAt: number,
  out: Uint8Array,
): Promise<void> {
  const opener = frameOpener(job.suite, job.key, job.messageId)
  await inSlices(scan.frameCount, job.shape.frameLength, job.signal, (index, count) =>
    openFrames(opener, job.shape, scan, message, bodyAt, index, count, out),
  )
}

/**
 * Opens regular frames that were read by themselves.
 *
 * @param frames the bytes of `count` frames, the first of which has number `firstIndex`, from 0
 * @param put receives each frame's number and plaintext, after its tag verified, in any order
 * @throws EnvelopeError `TamperedMessage`, `MalformedMessage`
 */
export async function openRun(
  job: BodyJob,
  frames: Uint8Array,
  firstIndex: number,
  count: number,
  put: (index: number, plaintext: Uint8Array) => void,
): Promise<void> {
  const { suite, key, messageId, shape, signal } = job
  const { frameLength } = shape
  const opener = frameOpener(suite, key, messageId)
  await inSlices(count, frameLength, signal, (index, sliceCount) => {
    for (let i = index; i < index + sliceCount; i++) {
      const frame = nextFrame(frames, frameOffset(i, frameLength), firstIndex + i + 1, shape)
      if (frame.kind !== "regular") throw malformed(MISPLACED)
      put(firstIndex + i, opener.open(frames, frame))
    }
  })
}

function openFrames(
  opener: FrameOpener,
  shape: FrameShape,
  { frameCount }: BodyScan,
  message: Uint8Array,
  bodyAt: number,
  firstIndex: number,
  count: number,
  out: Uint8Array,
): void {
  let at = bodyAt + frameOffset(firstIndex, shape.frameLength)
  for (let index = firstIndex; index < firstIndex + count; index++) {
    const frame = nextFrame(message, at, index + 1, shape)
    // A shorter frame before the end would leave a gap in `out`.
    if ((frame.kind === "regular") !== index < frameCount - 1) throw malformed(MISPLACED)
    const plaintext = opener.open(message, frame)
    out.set(plaintext, index * shape.frameLength)
    free(plaintext)
    at = frame.end
  }
}

async function inSlices(
  frames: number,
  frameLength: number,
  signal: AbortSignal | undefined,
  work: (index: number, count: number) => void,
): Promise<void> {
  const perSlice = Math.max(1, Math.floor(AT_ONCE / frameLength))
  for (let index = 0; index < frames; index += perSlice) {
    const count = Math.min(perSlice, frames - index)
    await takeTurn(count * frameLength)
    signal?.throwIfAborted()
    work(index, count)
  }
}
