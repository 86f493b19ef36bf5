import { setImmediate } from "node:timers/promises"
import { malformed } from "../core/index.ts"
import { asyncAead, type Suite } from "../crypto/index.ts"
import { lanesPay, openInLanes, sealInLanes } from "./lanes.ts"
import { type BodyScan, type FrameOpener, frameOpener, nextFrame } from "./open.ts"
import type { FrameShape } from "./read.ts"
import { bodySealer, writeFrame } from "./seal.ts"
import { type FrameLayout, frameOffset } from "./sizes.ts"

/** Up to this many bytes of plaintext are worked at once, in less than a millisecond; more would hold up the event loop. */
export const AT_ONCE = 1024 * 1024

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
  for (const frame of sealer.regular(plaintext, regularFrames)) at = writeFrame(frame, out, at)
  return writeFrame(sealer.final(plaintext.subarray(regularFrames * frameLength)), out, at)
}

/** Seals a body of any size, on several threads where that pays, and never long without letting others run. */
export async function sealLargeBody(
  job: BodyJob,
  { regularFrames }: FrameLayout,
  plaintext: Uint8Array,
  out: Uint8Array,
  at: number,
): Promise<number> {
  const { suite, key, messageId, shape, signal } = job
  const { frameLength } = shape
  if (lanesPay(frameLength, regularFrames * frameLength)) {
    const lanes = { aead: await asyncAead(key), messageId, frameLength, signal, firstSequenceNumber: 1 }
    await sealInLanes({ ...lanes, count: regularFrames }, plaintext, out, at)
  } else {
    const sealer = bodySealer(suite, key, messageId, frameLength)
    await inSlices(regularFrames, frameLength, signal, (index, count) => {
      let place = at + frameOffset(index, frameLength)
      const frames = sealer.regular(plaintext.subarray(index * frameLength), count)
      for (const frame of frames) place = writeFrame(frame, out, place)
    })
  }
  const final = bodySealer(suite, key, messageId, frameLength, regularFrames + 1)
  const rest = plaintext.subarray(regularFrames * frameLength)
  return writeFrame(final.final(rest), out, at + frameOffset(regularFrames, frameLength))
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

/** Opens a body of any size, as `sealLargeBody` seals. @param out as long as the plaintext */
export async function openLargeBody(
  job: BodyJob,
  scan: BodyScan,
  message: Uint8Array,
  bodyAt: number,
  out: Uint8Array,
): Promise<void> {
  const { suite, key, messageId, shape, signal } = job
  const { frameLength } = shape
  const regularFrames = scan.frameCount - 1
  const opener = frameOpener(suite, key, messageId)
  if (lanesPay(frameLength, regularFrames * frameLength)) {
    const lanes = { aead: await asyncAead(key), messageId, frameLength, signal, firstSequenceNumber: 1 }
    await openInLanes({ ...lanes, count: regularFrames }, message, bodyAt, (index, plaintext) =>
      out.set(plaintext, index * frameLength),
    )
  } else {
    await inSlices(regularFrames, frameLength, signal, (index, count) =>
      openFrames(opener, shape, scan, message, bodyAt, index, count, out),
    )
  }
  openFrames(opener, shape, scan, message, bodyAt, regularFrames, 1, out)
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
  if (lanesPay(frameLength, count * frameLength)) {
    const lanes = { aead: await asyncAead(key), messageId, frameLength, signal, firstSequenceNumber: firstIndex + 1 }
    await openInLanes({ ...lanes, count }, frames, 0, (i, plaintext) => put(firstIndex + i, plaintext))
    return
  }
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
    out.set(opener.open(message, frame), index * shape.frameLength)
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
    if (index > 0) await setImmediate()
    signal?.throwIfAborted()
    work(index, Math.min(perSlice, frames - index))
  }
}
