import { type AsyncAead, IV_LENGTH, TAG_LENGTH } from "../crypto/index.ts"
import { bodyAad, frameIv, REGULAR_HEAD, REGULAR_OVERHEAD, writeRegularHead } from "../format/index.ts"
import { type FrameParts, type FrameShape, readFrameHead } from "./read.ts"

/** Calls under way at once: as many as libuv's pool has threads by default. */
const LANES = 4
/** A frame must be this long, in bytes, to be worth a trip to another thread (docs/adr/parallel-lanes.md). */
const MIN_FRAME_LENGTH = 128 * 1024
/** Bytes from which on lanes are ahead of one thread. */
const MIN_LENGTH = 1024 * 1024

/** Whether lanes are faster than this thread alone. @param length bytes of plaintext in regular frames */
export const lanesPay = (frameLength: number, length: number): boolean =>
  frameLength >= MIN_FRAME_LENGTH && length >= MIN_LENGTH

/** Does `count` pieces of work, a few at a time, in order of their start; after a failure none is started. */
async function inLanes(count: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0
  const lane = async () => {
    while (next < count) {
      const index = next++
      try {
        await work(index)
      } catch (error) {
        next = count
        throw error
      }
    }
  }
  const results = await Promise.allSettled(Array.from({ length: Math.min(LANES, count) }, lane))
  for (const result of results) if (result.status === "rejected") throw result.reason
}

/** Regular frames of one message that stand together. */
export interface LaneJob {
  readonly aead: AsyncAead
  readonly messageId: Uint8Array
  readonly frameLength: number
  readonly count: number
  readonly firstSequenceNumber: number
  readonly signal?: AbortSignal | undefined
}

/** Seals regular frames from the start of `plaintext` into `out`, where the first goes to `at`. */
export async function sealInLanes(job: LaneJob, plaintext: Uint8Array, out: Uint8Array, at: number): Promise<void> {
  const { aead, messageId, frameLength, count, firstSequenceNumber, signal } = job
  await inLanes(count, async (index) => {
    signal?.throwIfAborted()
    const sequenceNumber = firstSequenceNumber + index
    const aad = bodyAad(messageId, "regular").at(sequenceNumber, frameLength)
    const frame = plaintext.subarray(index * frameLength, (index + 1) * frameLength)
    const sealed = await aead.seal(frameIv(sequenceNumber), aad, frame)
    const start = at + index * (frameLength + REGULAR_OVERHEAD)
    writeRegularHead(out, start, sequenceNumber)
    out.set(sealed, start + REGULAR_HEAD)
  })
}

/**
 * Opens regular frames that stand one after another in `bytes`, the first at `at`.
 *
 * @param put receives each frame's plaintext, after its tag verified, in any order
 * @throws EnvelopeError `TamperedMessage`, `MalformedMessage`
 */
export async function openInLanes(
  job: LaneJob,
  bytes: Uint8Array,
  at: number,
  put: (index: number, plaintext: Uint8Array) => void,
): Promise<void> {
  const { aead, messageId, frameLength, count, firstSequenceNumber, signal } = job
  const shape: FrameShape = { contentType: "framed", frameLength }
  await inLanes(count, async (index) => {
    signal?.throwIfAborted()
    const sequenceNumber = firstSequenceNumber + index
    const start = at + index * (frameLength + REGULAR_OVERHEAD)
    const { ivAt, dataAt } = readFrameHead(bytes, start, sequenceNumber, shape, frameLength, "none") as FrameParts
    const aad = bodyAad(messageId, "regular").at(sequenceNumber, frameLength)
    const iv = bytes.slice(ivAt, ivAt + IV_LENGTH)
    put(index, await aead.open(iv, aad, bytes.subarray(dataAt, dataAt + frameLength + TAG_LENGTH)))
  })
}
