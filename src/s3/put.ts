import type { PutObjectCommandInput, PutObjectCommandOutput } from "@aws-sdk/client-s3"
import { copyBytes, viewBytes } from "../core/index.ts"
import { byteQueue } from "../framing/index.ts"
import { type PlainBody, plainBody } from "./bodies.ts"
import { type Call, sendAs } from "./call.ts"
import { refuseDigests } from "./digests.ts"
import { putInstructionFile } from "./instruction.ts"
import { type MessageFacts, withMessageMetadata } from "./metadata.ts"
import { partSizes } from "./part-sizes.ts"
import { type WriteTarget, writeTarget } from "./target.ts"
import { type Sending, uploading } from "./upload.ts"

export type PutCall = Call<PutObjectCommandInput>

/** OBJ-2.1: PutObject. @throws TypeError, and what `encrypt` throws, before anything is sent */
export async function putObject(call: PutCall): Promise<PutObjectCommandOutput> {
  const { input } = call
  const target = writeTarget(call)
  if (target === "off") return sendAs(call, input)
  try {
    refuseDigests(input)
    if (input.WriteOffsetBytes !== undefined) throw new TypeError("an encrypted object cannot be appended to")
    return await putBody(call, target, plainBody(input.Body), input.ContentLength)
  } finally {
    target.close()
  }
}

/** @param announced bytes of plaintext, where the caller knows them */
async function putBody(
  call: PutCall,
  target: WriteTarget,
  body: PlainBody,
  announced: number | undefined,
): Promise<PutObjectCommandOutput> {
  const { multipartThreshold } = call.session.settings
  if ("bytes" in body) {
    checkLength(body.bytes.length, announced)
    if (body.bytes.length <= multipartThreshold) return putAtOnce(call, target, body.bytes)
    return putLarge(call, target, fromBytes(body.bytes), body.bytes.length)
  }
  const reader = chunkReader(body.chunks, announced)
  try {
    const first = await reader.upTo(multipartThreshold)
    if (await reader.ended()) return await putAtOnce(call, target, first)
    return await putLarge(call, target, reader.after(first), announced)
  } finally {
    await reader.close()
  }
}

async function putAtOnce(call: PutCall, target: WriteTarget, plaintext: Uint8Array): Promise<PutObjectCommandOutput> {
  const { input } = call
  const { body, metadata, instructionFile } = await target.seal(plaintext, input.Metadata)
  const output = await sendAs<typeof input, PutObjectCommandOutput>(call, {
    ...input,
    Body: body,
    ContentLength: body.length,
    Metadata: metadata,
  })
  await putInstructionFile(call, instructionFile)
  return output
}

/** Bytes that are read in pieces of the reader's choosing. */
interface PieceReader {
  /** The next bytes, fewer only at the end; valid until the next call. */
  upTo(length: number): Promise<Uint8Array>
  ended(): Promise<boolean>
}

async function putLarge(
  call: PutCall,
  target: WriteTarget,
  reader: PieceReader,
  plaintextLength: number | undefined,
): Promise<PutObjectCommandOutput> {
  if (target.stream !== undefined) return putSigned(call, target.stream, reader, plaintextLength)
  const { settings } = call.session
  const writer = await target.open(plaintextLength)
  try {
    const spare: Uint8Array[] = []
    const work = async (sending: Sending) => {
      const sizes = partSizes(settings, plaintextLength)
      for (let start = 0, last = false; !last; ) {
        const { size, mostAtOnce } = sizes.next()
        const plaintext = await reader.upTo(size)
        last = await reader.ended()
        const sealed = await writer.seal(start, plaintext, last, { signal: call.signal, into: spare.pop() })
        start += plaintext.length
        // Once S3 has answered for a part, nothing reads its bytes any more.
        await sending.part(sealed, mostAtOnce, () => spare.push(sealed))
      }
      return sending.complete()
    }
    const output = await uploading(call, writer.describe(call.input.Metadata), work)
    await putInstructionFile(call, writer.instructionFile)
    return output
  } finally {
    writer.close()
  }
}

/** OBJ-4.6: the signature covers the bytes in their order, so a signed message is one stream, cut after it is sealed. */
async function putSigned(
  call: PutCall,
  open: NonNullable<WriteTarget["stream"]>,
  reader: PieceReader,
  plaintextLength: number | undefined,
): Promise<PutObjectCommandOutput> {
  const { settings } = call.session
  const stream = open(plaintextLength)
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
    const facts: MessageFacts = { ...(await stream.header), plaintextLength }
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
