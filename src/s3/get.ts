import { pipeline, type Readable } from "node:stream"
import type { GetObjectCommandOutput } from "@aws-sdk/client-s3"
import { limitExceeded, truncated } from "../core/index.ts"
import { wipe } from "../crypto/index.ts"
import type { Header } from "../format/index.ts"
import { decrypt, decryptStream } from "../message/index.ts"
import { collect, nodeBody } from "./bodies.ts"
import { sendAs } from "./call.ts"
import { getRange } from "./get-range.ts"
import { withEnvelopeInfo } from "./metadata.ts"
import { collectFrames, jobOf, layoutOf, openHeader, streamFrames } from "./opened.ts"
import { bytesBody, sdkBody } from "./output-body.ts"
import { peek } from "./peek.ts"
import { parseRange } from "./range.ts"
import { findS3ec, isS3ec, openS3ec } from "./read-s3ec.ts"
import {
  beginReading,
  envelopeInfo,
  type GetCall,
  headerAt,
  plainOutput,
  plaintextInfo,
  requireMessagesAllowed,
  requirePlaintextAllowed,
} from "./reading.ts"

/** Objects up to this many bytes are opened before the output is there. */
const AT_ONCE = 1024 * 1024
/** Enough for the headers of most messages. */
const FIRST_PEEK = 4 * 1024

/** OBJ-2.2: GetObject. */
export async function getObject(call: GetCall): Promise<GetObjectCommandOutput> {
  const { input } = call
  if (input.PartNumber !== undefined) {
    throw new TypeError("PartNumber names a part of the ciphertext: read a Range of the plaintext instead")
  }
  const range = parseRange(input.Range)
  return range === undefined ? getWhole(call) : getRange(call, range)
}

async function getWhole(call: GetCall): Promise<GetObjectCommandOutput> {
  const output = await sendAs<typeof call.input, GetObjectCommandOutput>(call, call.input)
  const size = output.ContentLength ?? 0
  const body = nodeBody(output.Body)
  try {
    const bytes = size <= AT_ONCE ? await collect(body, size) : undefined
    if (bytes !== undefined && bytes.length < size) throw truncated("the object ended before its length")
    if (isS3ec(output.Metadata))
      return await openS3ec(call, (await findS3ec(call, output.Metadata))!, output, bytes ?? body, size)
    const header = bytes === undefined ? await peekHeader(body, size) : headerAt(bytes)
    if (header === undefined) {
      const object = await findS3ec(call, output.Metadata)
      return object === undefined
        ? passOn(call, output, bytes)
        : await openS3ec(call, object, output, bytes ?? body, size)
    }
    if (typeof header === "number") throw truncated("the object ends within its header")
    requireMessagesAllowed(call)
    if (header.suite.signed) return await openSigned(call, output, bytes ?? body, header, size)
    if (header.contentType !== "framed") return await openNonFramed(call, output, bytes ?? body, header, size)
    return await openFramed(call, output, bytes ?? body, header, size)
  } catch (error) {
    body.destroy()
    throw error
  }
}

function passOn(call: GetCall, output: GetObjectCommandOutput, bytes: Uint8Array | undefined): GetObjectCommandOutput {
  requirePlaintextAllowed(call)
  return withEnvelopeInfo(bytes === undefined ? output : { ...output, Body: bytesBody(bytes) }, plaintextInfo)
}

/** The header of a message, which stays in the stream. */
async function peekHeader(body: Readable, size: number): Promise<Header | number | undefined> {
  for (let wanted = Math.min(FIRST_PEEK, size); ; ) {
    const bytes = await peek(body, wanted)
    const header = headerAt(bytes)
    if (typeof header !== "number" || bytes.length < wanted || header > size) return header
    wanted = header
  }
}

/** Resolves once the header is authentic; of a large object frames follow as they are read, each after its tag. */
async function openFramed(
  call: GetCall,
  output: GetObjectCommandOutput,
  body: Uint8Array | Readable,
  header: Header,
  size: number,
): Promise<GetObjectCommandOutput> {
  const opened = await openHeader(call, header)
  try {
    const { regularFrames, finalLength, plaintextLength } = layoutOf(header, size)
    const run = { first: 0, regular: regularFrames, finalLength }
    const span = { start: 0, end: plaintextLength }
    const job = jobOf(call, opened)
    const atOnce = body instanceof Uint8Array
    const Body = atOnce
      ? bytesBody(await collectFrames(job, run, [body.subarray(header.length)], span))
      : streamFrames(job, run, await without(body, header.length), span)
    const info = envelopeInfo(header, { plaintextLength, authenticated: atOnce })
    return withEnvelopeInfo(plainOutput(output, { Body, ContentLength: plaintextLength }), info)
  } finally {
    wipe(opened.key)
  }
}

/** The stream after its first bytes, which it holds already. */
async function without(body: Readable, length: number): Promise<Readable> {
  const bytes = await peek(body, length)
  body.read(bytes.length)
  if (bytes.length > length) body.unshift(bytes.subarray(length))
  return body
}

/** OBJ-4.6: nothing of a signed message is released before its signature. */
async function openSigned(
  call: GetCall,
  output: GetObjectCommandOutput,
  body: Uint8Array | Readable,
  header: Header,
  size: number,
): Promise<GetObjectCommandOutput> {
  const { bufferSize } = call.session.settings
  if (!(body instanceof Uint8Array) && size - header.length > bufferSize) {
    throw limitExceeded("the signed object, in bytes,", size, bufferSize, "bufferSize")
  }
  const reading = beginReading(call)
  try {
    const bytes = body instanceof Uint8Array ? body : await collect(body, size)
    const { plaintext } = await decrypt(bytes, reading.options)
    const fields = { Body: bytesBody(plaintext), ContentLength: plaintext.length }
    const length = { plaintextLength: plaintext.length, authenticated: true }
    return withEnvelopeInfo(plainOutput(output, fields), envelopeInfo(header, length))
  } finally {
    reading.close()
  }
}

/** Messages of other writers with one tag for all: held back until it verified, up to the limit of `decryptStream`. */
async function openNonFramed(
  call: GetCall,
  output: GetObjectCommandOutput,
  body: Uint8Array | Readable,
  header: Header,
  size: number,
): Promise<GetObjectCommandOutput> {
  if (body instanceof Uint8Array) return openSigned(call, output, body, header, size)
  const reading = beginReading(call)
  try {
    const stream = decryptStream(reading.options)
    // Errors of either side reach the reader through the stream's own error.
    pipeline(body, stream, () => {})
    await stream.header
    const fields = { Body: sdkBody(stream) }
    return withEnvelopeInfo(plainOutput(output, fields), envelopeInfo(header, { authenticated: false }))
  } finally {
    reading.close()
  }
}
