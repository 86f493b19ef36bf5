import { Readable } from "node:stream"
import type { ReadableStream } from "node:stream/web"
import { allocateUnfilled, type BytesLike, viewBytes } from "../core/index.ts"

/** A body to encrypt: bytes, or chunks that come one by one. */
export type PlainBody = { readonly bytes: Uint8Array } | { readonly chunks: AsyncIterable<Uint8Array> }

/**
 * What the SDK takes as a Body, and every other iterable of bytes.
 *
 * @throws TypeError
 */
export function plainBody(body: unknown): PlainBody {
  if (body === undefined || body === null) return { bytes: new Uint8Array(0) }
  if (typeof body === "string" || ArrayBuffer.isView(body) || body instanceof ArrayBuffer) {
    return { bytes: viewBytes(body as BytesLike, "Body") }
  }
  if (body instanceof Blob) return { chunks: chunksOf(body.stream()) }
  if (typeof body === "object" && (Symbol.asyncIterator in body || "getReader" in body))
    return { chunks: chunksOf(body) }
  throw new TypeError("Body must be a string, bytes, a Blob, or a Node or Web stream")
}

async function* chunksOf(body: object): AsyncGenerator<Uint8Array> {
  const iterable = (
    Symbol.asyncIterator in body ? body : Readable.fromWeb(body as ReadableStream)
  ) as AsyncIterable<BytesLike>
  for await (const chunk of iterable) yield viewBytes(chunk, "a chunk of Body")
}

/** A stream of the SDK's output as a Node stream. */
export function nodeBody(body: unknown): Readable {
  if (body instanceof Readable) return body
  if (body instanceof Blob) return Readable.fromWeb(body.stream() as ReadableStream)
  if (typeof body === "object" && body !== null && "getReader" in body) return Readable.fromWeb(body as ReadableStream)
  throw new TypeError("the S3 client gave a body that is no stream")
}

/** All of a stream that should have `length` bytes; fewer when it ends early. */
export async function collect(stream: AsyncIterable<Uint8Array>, length: number): Promise<Uint8Array> {
  const bytes = allocateUnfilled(length)
  let at = 0
  for await (const chunk of stream) {
    if (at + chunk.length > length)
      throw new RangeError(`the S3 client gave more than the ${length} bytes it announced`)
    bytes.set(chunk, at)
    at += chunk.length
  }
  return at === length ? bytes : bytes.subarray(0, at)
}
