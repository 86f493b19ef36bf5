import { limitExceeded, type MessageTrace, truncated, viewBytes } from "../core/index.ts"
import { wipe } from "../crypto/index.ts"
import { decodeHeader, type Header, type Limits } from "../format/index.ts"
import { frameOpener } from "../framing/index.ts"
import { type LastFrame, openLastFrame, type ReadExactly } from "./locate.ts"
import { noteHeader, type OpenedRead, openRead, type ReadPlan } from "./open.ts"
import type { RandomAccessSource } from "./source.ts"

/** A message that can be read at any place: header and last frame are authentic. */
export interface OpenedAt {
  readonly opened: OpenedRead
  readonly last: LastFrame
}

const FIRST_READ = 4 * 1024

/** Reads and opens header and last frame. The caller overwrites `opened.key`. */
export async function openAt(
  source: RandomAccessSource,
  plan: ReadPlan,
  trace: MessageTrace | undefined,
): Promise<OpenedAt> {
  const header = await readHeader(source, plan)
  noteHeader(trace, header)
  const opened = await openRead(plan, header)
  try {
    const opener = frameOpener(header.suite, opened.key, header.messageId)
    const last = await openLastFrame(header, opener, source.size, plan.limits, exactReader(source, plan.signal))
    checkFrameLength(header, last, plan.limits)
    if (trace !== undefined) trace.plaintextLength = last.plaintextLength
    return { opened, last }
  } catch (error) {
    wipe(opened.key)
    throw error
  }
}

function checkFrameLength({ frameLength }: Header, last: LastFrame, { maxUnauthenticatedBytes }: Limits): void {
  if (last.regularFrames === 0 || frameLength <= maxUnauthenticatedBytes) return
  throw limitExceeded("the frame length, in bytes,", frameLength, maxUnauthenticatedBytes, "maxUnauthenticatedBytes")
}

/** Reads from a source, or throws `TruncatedMessage` where it gives less than it was asked for. */
export const exactReader =
  (source: RandomAccessSource, signal: AbortSignal | undefined): ReadExactly =>
  async (offset, length) => {
    signal?.throwIfAborted()
    const bytes = viewBytes(await source.read(offset, length, signal), "what the source returned")
    signal?.throwIfAborted()
    if (bytes.length !== length)
      throw truncated(`the source gave ${bytes.length} bytes of ${length} at offset ${offset}`)
    return bytes
  }

/** The header of a message. @throws what `decodeHeader` throws */
export async function readHeader(source: RandomAccessSource, { limits, signal }: ReadPlan): Promise<Header> {
  const read = exactReader(source, signal)
  for (let wanted = Math.min(FIRST_READ, source.size); ; ) {
    const decoded = decodeHeader(await read(0, wanted), limits)
    if (typeof decoded !== "number") return decoded
    if (decoded > source.size) throw truncated("the message ends within its header")
    wanted = Math.min(Math.max(decoded, wanted * 2), source.size)
  }
}
