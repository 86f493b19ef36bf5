import type { PutObjectCommandInput, PutObjectCommandOutput } from "@aws-sdk/client-s3"
import { copyBytes, type EncryptionContext, type Keyring, viewBytes } from "../core/index.ts"
import { byteQueue } from "../framing/index.ts"
import { encrypt, encryptStream, inspect } from "../message/index.ts"
import { type PlainBody, plainBody } from "./bodies.ts"
import { type Call, sendAs } from "./call.ts"
import { refuseDigests } from "./digests.ts"
import { contextOf } from "./keys.ts"
import { type MessageFacts, withMessageMetadata } from "./metadata.ts"
import { partSizes } from "./part-sizes.ts"
import { type Sending, uploading } from "./upload.ts"
import { encryptOptions, openWriter, type WriteRequest } from "./writer.ts"

export type PutCall = Call<PutObjectCommandInput>

/** S3-2.1: PutObject. @throws TypeError, and what `encrypt` throws, before anything is sent */
export async function putObject(call: PutCall): Promise<PutObjectCommandOutput> {
  const { session, input, own } = call
  const place = { bucket: input.Bucket!, key: input.Key! }
  const lease = session.keys.forWriting(own.boundTo ?? place, own)
  if (lease === "off") return sendAs(call, input)
  try {
    refuseDigests(input)
    if (input.WriteOffsetBytes !== undefined) throw new TypeError("an encrypted object cannot be appended to")
    const context = contextOf(session.settings, own.boundTo ?? place, own)
    return await putBody(call, lease.keyring, context, plainBody(input.Body), input.ContentLength)
  } finally {
    lease.close()
  }
}

/** @param announced bytes of plaintext, where the caller knows them */
export async function putBody(
  call: PutCall,
  keyring: Keyring,
  encryptionContext: EncryptionContext,
  body: PlainBody,
  announced: number | undefined,
): Promise<PutObjectCommandOutput> {
  const { settings } = call.session
  const { multipartThreshold } = settings
  const request = { keyring, encryptionContext, signal: call.signal }
  if ("bytes" in body) {
    checkLength(body.bytes.length, announced)
    if (body.bytes.length <= multipartThreshold) return putAtOnce(call, body.bytes, request)
    return putLarge(call, fromBytes(body.bytes), body.bytes.length, request)
  }
  const reader = chunkReader(body.chunks, announced)
  try {
    const first = await reader.upTo(multipartThreshold)
    if (await reader.ended()) return await putAtOnce(call, first, request)
    return await putLarge(call, reader.after(first), announced, request)
  } finally {
    await reader.close()
  }
}

async function putAtOnce(
  call: PutCall,
  plaintext: Uint8Array,
  request: Omit<WriteRequest, "plaintextLength">,
): Promise<PutObjectCommandOutput> {
  const { input, session } = call
  const options = encryptOptions(session.settings, { ...request, plaintextLength: plaintext.length })
  const message = await encrypt(plaintext, options)
  const { suiteId, wrappedKeys, headerLength, frameLength } = inspect(message)
  const facts = { suiteId, wrappedKeys, headerLength, frameLength, plaintextLength: plaintext.length }
  return sendAs(call, {
    ...input,
    Body: message,
    ContentLength: message.length,
    Metadata: withMessageMetadata(input.Metadata, facts),
  })
}

/** Bytes that are read in pieces of the reader's choosing. */
interface PieceReader {
  /** The next bytes, fewer only at the end; valid until the next call. */
  upTo(length: number): Promise<Uint8Array>
  ended(): Promise<boolean>
}

async function putLarge(
  call: PutCall,
  reader: PieceReader,
  plaintextLength: number | undefined,
  request: Omit<WriteRequest, "plaintextLength">,
): Promise<PutObjectCommandOutput> {
  if (call.session.settings.signed) return putSigned(call, reader, plaintextLength, request)
  const { settings } = call.session
  const writer = await openWriter(settings, { ...request, plaintextLength })
  try {
    const work = async (sending: Sending) => {
      const sizes = partSizes(settings, plaintextLength)
      for (let start = 0, last = false; !last; ) {
        const { size, mostAtOnce } = sizes.next()
        const plaintext = await reader.upTo(size)
        last = await reader.ended()
        const sealed = await writer.seal(start, plaintext, last, call.signal)
        start += plaintext.length
        await sending.part(sealed, mostAtOnce)
      }
      return sending.complete()
    }
    return await uploading(call, withMessageMetadata(call.input.Metadata, writer.facts), work)
  } finally {
    writer.close()
  }
}

/** S3-4.6: the signature covers the bytes in their order, so a signed message is one stream, cut after it is sealed. */
async function putSigned(
  call: PutCall,
  reader: PieceReader,
  plaintextLength: number | undefined,
  request: Omit<WriteRequest, "plaintextLength">,
): Promise<PutObjectCommandOutput> {
  const { settings } = call.session
  const options = encryptOptions(settings, { ...request, plaintextLength })
  const stream = encryptStream({ ...options, ...(plaintextLength !== undefined && { plaintextLength }) })
  const feed = async () => {
    do {
      const piece = await reader.upTo(settings.frameLength)
      // A copy, since the reader's memory is used again.
      if (!stream.write(copyBytes(piece)))
        await new Promise<void>((resolve) => stream.once("drain", resolve).once("close", resolve))
    } while (!stream.destroyed && !(await reader.ended()))
    stream.end()
  }
  const feeding = feed().catch((error) => void stream.destroy(error))
  try {
    const sealed = chunkReader(stream, undefined)
    const header = await stream.header
    const facts: MessageFacts = { ...header, plaintextLength }
    return await uploading(call, withMessageMetadata(call.input.Metadata, facts), async (sending) => {
      const sizes = partSizes(settings, plaintextLength)
      do await sending.part(copyBytes(await sealed.upTo(sizes.next().size)), 1)
      while (!(await sealed.ended()))
      return sending.complete()
    })
  } finally {
    stream.destroy()
    await feeding
  }
}

function fromBytes(bytes: Uint8Array): PieceReader {
  let at = 0
  return {
    upTo: async (length) => {
      const piece = bytes.subarray(at, at + length)
      at += piece.length
      return piece
    },
    ended: async () => at === bytes.length,
  }
}

interface ChunkReader extends PieceReader {
  /** A reader that gives `first` again, and then the rest. */
  after(first: Uint8Array): PieceReader
  close(): Promise<void>
}

/** @param announced what the chunks must come to. @throws RangeError when they do not */
function chunkReader(chunks: AsyncIterable<Uint8Array>, announced: number | undefined): ChunkReader {
  const iterator = chunks[Symbol.asyncIterator]()
  const queue = byteQueue()
  let received = 0
  let done = false
  const fill = async (length: number): Promise<void> => {
    while (!done && queue.length < length) {
      const next = await iterator.next()
      if (next.done) {
        done = true
        checkLength(received, announced)
      } else {
        const chunk = viewBytes(next.value, "a chunk of Body")
        received += chunk.length
        if (announced !== undefined && received > announced) checkLength(received, announced)
        queue.push(chunk)
      }
    }
  }
  const reader: ChunkReader = {
    async upTo(length) {
      await fill(length)
      return queue.take(Math.min(length, queue.length))
    },
    async ended() {
      await fill(1)
      return queue.length === 0
    },
    after(first) {
      const rest = byteQueue()
      rest.push(first)
      return {
        async upTo(length) {
          if (rest.length < length) rest.push(await reader.upTo(length - rest.length))
          return rest.take(Math.min(length, rest.length))
        },
        ended: async () => rest.length === 0 && (await reader.ended()),
      }
    },
    async close() {
      if (!done) await iterator.return?.(undefined)
    },
  }
  return reader
}

function checkLength(actual: number, announced: number | undefined): void {
  if (announced === undefined || announced === actual) return
  throw new RangeError(`Body has ${actual > announced ? "more" : "fewer"} than the ${announced} bytes of ContentLength`)
}
