import { readSync, writeSync } from "node:fs"
import { allocateUnfilled, free, malformed, truncated } from "../core/index.ts"
import { findSuite } from "../crypto/index.ts"
import { FINAL_OVERHEAD, REGULAR_OVERHEAD } from "../format/index.ts"
import { frameOpener } from "./open.ts"
import { type FrameShape, readFrameHead } from "./read.ts"
import { bodySealer, sealFrames, writeFrame } from "./seal.ts"
import { type FrameLayout, frameOffset } from "./sizes.ts"

/** The body of one unsigned message, between two files. Plain data, so that it can be handed to a worker. */
export interface FileJob {
  readonly direction: "seal" | "open"
  readonly suiteId: number
  readonly key: Uint8Array
  readonly messageId: Uint8Array
  readonly shape: FrameShape
  readonly layout: FrameLayout
  /** Where the body starts in the file that holds the message. */
  readonly bodyAt: number
  readonly sourceFd: number
  readonly targetFd: number
}

/** Frames that are read, worked and written together: the unit that lanes share out. */
export interface FileRun {
  readonly firstFrame: number
  readonly regularFrames: number
  readonly hasFinal: boolean
  readonly plaintextAt: number
  readonly plaintextLength: number
  readonly sealedAt: number
  readonly sealedLength: number
}

/** Bytes of plaintext in a run, about: enough to make a system call cheap, little enough to stay in a core's cache. */
const RUN_LENGTH = 1024 * 1024

/** Of tiny frames fewer, as most of a run would be heads and tags. */
function framesPerRun({ shape: { frameLength } }: FileJob): number {
  const bySealed = Math.floor((2 * RUN_LENGTH) / (frameLength + REGULAR_OVERHEAD))
  return Math.max(1, Math.min(bySealed, Math.floor(RUN_LENGTH / frameLength)))
}

/** How many runs the job has; the last one holds the final frame. */
export const runCount = (job: FileJob): number => Math.ceil((job.layout.regularFrames + 1) / framesPerRun(job))

export function runAt(job: FileJob, index: number): FileRun {
  const { frameLength } = job.shape
  const firstFrame = index * framesPerRun(job)
  const hasFinal = index === runCount(job) - 1
  const regularFrames = hasFinal ? job.layout.regularFrames - firstFrame : framesPerRun(job)
  const finalLength = hasFinal ? job.layout.finalLength : 0
  return {
    firstFrame,
    regularFrames,
    hasFinal,
    plaintextAt: firstFrame * frameLength,
    plaintextLength: regularFrames * frameLength + finalLength,
    sealedAt: job.bodyAt + frameOffset(firstFrame, frameLength),
    sealedLength: regularFrames * (frameLength + REGULAR_OVERHEAD) + (hasFinal ? finalLength + FINAL_OVERHEAD : 0),
  }
}

/** Memory for one run after another. */
export interface RunBuffers {
  readonly input: Uint8Array
  readonly output: Uint8Array
}

const largestRun = (job: FileJob): number =>
  framesPerRun(job) * (job.shape.frameLength + REGULAR_OVERHEAD) + FINAL_OVERHEAD

/** Bytes that all lanes together may hold in buffers: of long frames there are fewer under way at once. */
const MEMORY_OF_LANES = 48 * 1024 * 1024

/** How many lanes the job has work for, within that memory: input, output and what the cipher returns for each. */
export const usefulLanes = (job: FileJob): number =>
  Math.min(runCount(job), Math.max(1, Math.floor(MEMORY_OF_LANES / (3 * largestRun(job)))))

export function runBuffers(job: FileJob): RunBuffers {
  const largest = largestRun(job)
  return { input: allocateUnfilled(largest), output: allocateUnfilled(largest) }
}

/**
 * Reads, works and writes one run, all at once: meant for a thread that has nothing else to do.
 *
 * @throws EnvelopeError `TamperedMessage`, `MalformedMessage`, `TruncatedMessage`; the errors of the file system
 */
export function workFileRun(job: FileJob, run: FileRun, { input, output }: RunBuffers): void {
  const sealing = job.direction === "seal"
  const from = input.subarray(0, sealing ? run.plaintextLength : run.sealedLength)
  const to = output.subarray(0, sealing ? run.sealedLength : run.plaintextLength)
  readFully(job.sourceFd, from, sealing ? run.plaintextAt : run.sealedAt)
  if (sealing) sealRun(job, run, from, to)
  else openRun(job, run, from, to)
  writeFully(job.targetFd, to, sealing ? run.sealedAt : run.plaintextAt)
}

function readFully(fd: number, bytes: Uint8Array, position: number): void {
  for (let filled = 0; filled < bytes.length; ) {
    const count = readSync(fd, bytes, filled, bytes.length - filled, position + filled)
    if (count === 0) throw truncated("the file became shorter while it was read")
    filled += count
  }
}

function writeFully(fd: number, bytes: Uint8Array, position: number): void {
  for (let written = 0; written < bytes.length; ) {
    written += writeSync(fd, bytes, written, bytes.length - written, position + written)
  }
}

function sealRun(job: FileJob, run: FileRun, plaintext: Uint8Array, out: Uint8Array): void {
  const { frameLength } = job.shape
  const sealer = bodySealer(findSuite(job.suiteId)!, job.key, job.messageId, frameLength, run.firstFrame + 1)
  const at = sealFrames(sealer, frameLength, run.regularFrames, plaintext, out, 0)
  if (run.hasFinal) writeFrame(sealer.final(plaintext.subarray(run.regularFrames * frameLength)), out, at)
}

function openRun(job: FileJob, run: FileRun, sealed: Uint8Array, out: Uint8Array): void {
  const opener = frameOpener(findSuite(job.suiteId)!, job.key, job.messageId)
  const frames = run.regularFrames + (run.hasFinal ? 1 : 0)
  let at = 0
  let filled = 0
  for (let i = 0; i < frames; i++) {
    const frame = readFrameHead(sealed, at, run.firstFrame + i + 1, job.shape, job.shape.frameLength, "maxFrameLength")
    const isLast = run.hasFinal && i === frames - 1
    if (typeof frame === "number" || (frame.kind === "final") !== isLast || frame.end > sealed.length) {
      throw malformed(`frame ${run.firstFrame + i + 1} does not end where the message's size puts it`)
    }
    const plaintext = opener.open(sealed, frame)
    out.set(plaintext, filled)
    free(plaintext)
    filled += frame.dataLength
    at = frame.end
  }
}
