import { allocate, allocateUnfilled, EnvelopeError } from "../core/index.ts"
import { wipe } from "../crypto/index.ts"
import { decodeHeader, encodeHeader, headerLength, REGULAR_OVERHEAD, resolveLimits } from "../format/index.ts"
import {
  AT_ONCE,
  type BodySealer,
  bodySealer,
  byteQueue,
  layoutOfPlaintext,
  sealedLength,
  sealFrames,
  takeTurn,
  writeFrame,
} from "../framing/index.ts"
import { type MessageHeader, toMessageHeader } from "./header-info.ts"
import { deferred, type Processor } from "./processor.ts"
import { type OpenedWrite, obtainMaterials, openWrite, type WritePlan, writeFooter } from "./write.ts"

interface Underway extends OpenedWrite {
  readonly sealer: BodySealer
}

/** Encrypts chunks into one message. @param plaintextLength what `end` must find, where the caller knows it */
export function encryptor(plan: WritePlan, plaintextLength: number | undefined): Processor {
  const { suite, frameLength } = plan
  // Frames are sealed and handed on in runs of about a megabyte.
  const framesPerRun = Math.max(1, Math.floor(AT_ONCE / frameLength))
  const queue = byteQueue()
  const header = deferred<MessageHeader>()
  let underway: Underway | undefined
  let received = 0
  let closed = false

  /** After `close` the key is zeros: nothing may be sealed with it. */
  const checkOpen = () => {
    if (closed) throw new EnvelopeError("Closed", "the stream was destroyed")
  }

  const begin = async (): Promise<Uint8Array> => {
    if (plaintextLength !== undefined) layoutOfPlaintext(plaintextLength, frameLength)
    const materials = await obtainMaterials(plan, plaintextLength)
    try {
      checkOpen()
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

  const sealRun = ({ sealer, signer }: Underway, count: number): Uint8Array => {
    checkOpen()
    const out = allocateUnfilled(count * (frameLength + REGULAR_OVERHEAD))
    sealFrames(sealer, frameLength, count, queue.take(count * frameLength), out, 0)
    signer?.update(out)
    return out
  }

  const sealEnd = ({ key, sealer, signer }: Underway): Uint8Array => {
    checkOpen()
    const frame = sealer.final(queue.take(queue.length))
    wipe(key)
    const footer = suite.signature ? 2 + suite.signature.maxSignatureLength : 0
    const out = allocate(sealedLength(frame) + footer)
    const at = writeFrame(frame, out, 0)
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
        const turn = takeTurn(frames * frameLength)
        if (turn !== undefined) await turn
        yield sealRun(underway!, frames)
      }
    },
    async *end() {
      if (plaintextLength !== undefined && received < plaintextLength) throw wrongLength("fewer", plaintextLength)
      if (underway === undefined) yield await begin()
      yield sealEnd(underway!)
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
export function ownHeader(bytes: Uint8Array): MessageHeader {
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
