import { allocate, EnvelopeError } from "../core/index.ts"
import { wipe } from "../crypto/index.ts"
import {
  decodeHeader,
  encodeHeader,
  FINAL_OVERHEAD,
  headerLength,
  REGULAR_OVERHEAD,
  resolveLimits,
} from "../format/index.ts"
import { type BodySealer, bodySealer, byteQueue, layoutOfPlaintext } from "../framing/index.ts"
import { type MessageHeader, toMessageHeader } from "./header-info.ts"
import { deferred, type Processor } from "./processor.ts"
import { type OpenedWrite, obtainMaterials, openWrite, type WritePlan, writeFooter } from "./write.ts"

/** Frames are sealed and handed on in runs of about this many bytes. */
const RUN_LENGTH = 1024 * 1024

interface Underway extends OpenedWrite {
  readonly sealer: BodySealer
}

/** Encrypts chunks into one message. @param plaintextLength what `end` must find, where the caller knows it */
export function encryptor(plan: WritePlan, plaintextLength: number | undefined): Processor {
  const { suite, frameLength } = plan
  const framesPerRun = Math.max(1, Math.floor(RUN_LENGTH / frameLength))
  const queue = byteQueue()
  const header = deferred<MessageHeader>()
  let underway: Underway | undefined
  let received = 0
  let closed = false

  const begin = async (): Promise<Uint8Array> => {
    if (plaintextLength !== undefined) layoutOfPlaintext(plaintextLength, frameLength)
    const materials = await obtainMaterials(plan, plaintextLength)
    try {
      if (closed) throw new EnvelopeError("Closed", "the stream was destroyed")
      const write = openWrite(plan, materials)
      const { fields, key, signer } = write
      underway = { ...write, sealer: bodySealer(suite, key, fields.messageId, frameLength) }
      const bytes = allocate(headerLength(fields))
      encodeHeader(fields, bytes, write.tag)
      signer?.update(bytes)
      header.resolve(ownHeader(bytes))
      return bytes
    } finally {
      materials.release()
    }
  }

  const sealRun = ({ sealer, signer }: Underway, frames: number): Uint8Array => {
    const out = new Uint8Array(frames * (frameLength + REGULAR_OVERHEAD))
    sealer.regular(queue.take(frames * frameLength), frames, out, 0)
    signer?.update(out)
    return out
  }

  const sealEnd = ({ sealer, signer }: Underway): Uint8Array => {
    const rest = queue.take(queue.length)
    const footer = suite.signature ? 2 + suite.signature.maxSignatureLength : 0
    const out = new Uint8Array(rest.length + FINAL_OVERHEAD + footer)
    const at = sealer.final(rest, out, 0)
    if (signer === undefined) return out
    signer.update(out.subarray(0, at))
    return out.subarray(0, at + writeFooter(signer, out, at))
  }

  return {
    header: header.promise,
    async *write(chunk) {
      received += chunk.length
      if (plaintextLength !== undefined && received > plaintextLength) throw wrongLength("more", plaintextLength)
      queue.push(chunk)
      if (underway === undefined) yield await begin()
      // One frame is always kept back: if nothing follows, it is the final one.
      while (queue.length > frameLength) {
        const frames = Math.min(framesPerRun, Math.ceil(queue.length / frameLength) - 1)
        yield sealRun(underway!, frames)
      }
    },
    async *end() {
      if (plaintextLength !== undefined && received < plaintextLength) throw wrongLength("fewer", plaintextLength)
      if (underway === undefined) yield await begin()
      const last = sealEnd(underway!)
      wipe(underway?.key)
      yield last
    },
    close(error) {
      closed = true
      wipe(underway?.key)
      queue.clear()
      header.reject(error ?? new EnvelopeError("Closed", "the stream was destroyed"))
    },
  }
}

const wrongLength = (which: "more" | "fewer", plaintextLength: number): RangeError =>
  new RangeError(`the plaintext has ${which} than the ${plaintextLength} bytes that plaintextLength says`)

/** Our own header needs no limits: it was checked when it was written. */
function ownHeader(bytes: Uint8Array): MessageHeader {
  const most = Number.MAX_SAFE_INTEGER
  const limits = resolveLimits({
    maxHeaderLength: most,
    maxContextLength: most,
    maxFrameLength: most,
    maxWrappedKeys: most,
  })
  const header = decodeHeader(bytes, limits)
  if (typeof header === "number") throw new Error("internal: a header that was just written does not read")
  return toMessageHeader(header, true)
}
