import {
  type DecryptOptions,
  decrypt,
  decryptStream,
  decryptTransform,
  type MessageHeader,
  openMessage,
} from "../../src/index.ts"
import { chunksOf, through } from "./streams.ts"

/** One way to turn a message into its plaintext. */
export interface Reader {
  readonly name: string
  /** Whether it refuses a signed message whose signature is wrong. */
  readonly checksSignature: boolean
  read(message: Uint8Array, options: DecryptOptions): Promise<Uint8Array>
}

const streamed = (name: string, chunkLength: number): Reader => ({
  name,
  checksSignature: true,
  read: (message, options) =>
    through(decryptStream({ ...options, signed: "verify-at-end" }), chunksOf(message, chunkLength)),
})

/** Every way to read a whole message. */
export const readers: readonly Reader[] = [
  {
    name: "whole",
    checksSignature: true,
    read: async (message, options) => (await decrypt(message, options)).plaintext,
  },
  streamed("as a stream of 64 KiB chunks", 64 * 1024),
  streamed("as a stream byte by byte", 1),
  {
    name: "as a Web stream",
    checksSignature: true,
    async read(message, options) {
      const chunks = new ReadableStream<Uint8Array>({
        start(controller) {
          for (const chunk of chunksOf(message, 1000)) controller.enqueue(chunk)
          controller.close()
        },
      })
      const plaintext = chunks.pipeThrough(decryptTransform({ ...options, signed: "verify-at-end" }))
      return new Uint8Array(await new Response(plaintext).arrayBuffer())
    },
  },
  {
    name: "at random places, after verify()",
    checksSignature: true,
    read: (message, options) => readInRanges(message, options, "verify-first"),
  },
  {
    name: "at random places, signature skipped",
    checksSignature: false,
    read: (message, options) => readInRanges(message, options, "skip-signature"),
  },
]

async function readInRanges(message: Uint8Array, options: DecryptOptions, signed: "verify-first" | "skip-signature") {
  await using handle = await openMessage(message, { ...options, signed })
  if (signed === "verify-first") await handle.verify()
  const length = handle.plaintextLength
  const whole = await handle.read()
  // Ranges that start and end inside frames must agree with the whole.
  for (const [start, end] of [
    [0, Math.min(1, length)],
    [length >> 1, length],
    [Math.floor(length / 3), Math.floor((2 * length) / 3)],
  ] as const) {
    const range = await handle.read(start, end)
    if (!Buffer.from(range).equals(whole.subarray(start, end))) throw new Error(`range ${start} to ${end} differs`)
  }
  return whole
}

/** The header that a stream gives once it is authentic. */
export async function streamedHeader(message: Uint8Array, options: DecryptOptions): Promise<MessageHeader> {
  const stream = decryptStream({ ...options, signed: "verify-at-end" })
  const [header] = await Promise.all([stream.header, through(stream, [message])])
  return header
}
