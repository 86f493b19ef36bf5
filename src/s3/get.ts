import type { Readable } from "node:stream"
import { pipeline } from "node:stream"
import type { GetObjectCommandOutput } from "@aws-sdk/client-s3"
import { limitExceeded, truncated } from "../core/index.ts"
import type { Header } from "../format/index.ts"
import { decrypt, decryptStream } from "../message/index.ts"
import { collect, nodeBody } from "./bodies.ts"
import { sendAs } from "./call.ts"
import { getRange } from "./get-range.ts"
import { lengthBySize, withEnvelopeInfo } from "./metadata.ts"
import { bytesBody, sdkBody } from "./output-body.ts"
import { peek } from "./peek.ts"
import { parseRange } from "./range.ts"
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

/** S3-2.2: GetObject. */
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
    if (size <= AT_ONCE) return await openAtOnce(call, output, await collect(body, size), size)
    const header = await peekHeader(body, size)
    if (header === undefined) {
      requirePlaintextAllowed(call)
      return withEnvelopeInfo(output, plaintextInfo)
    }
    requireMessagesAllowed(call)
    if (header.suite.signed) return await openSigned(call, output, body, header, size)
    return await openStream(call, output, body, header, size)
  } catch (error) {
    body.destroy()
    throw error
  }
}

async function openAtOnce(
  call: GetCall,
  output: GetObjectCommandOutput,
  bytes: Uint8Array,
  size: number,
): Promise<GetObjectCommandOutput> {
  if (headerAt(bytes) === undefined || size === 0) {
    requirePlaintextAllowed(call)
    return withEnvelopeInfo({ ...output, Body: bytesBody(bytes) }, plaintextInfo)
  }
  requireMessagesAllowed(call)
  const reading = beginReading(call)
  try {
    if (bytes.length < size) throw truncated("the object ended before its length")
    const { plaintext, header } = await decrypt(bytes, reading.options)
    const fields = { Body: bytesBody(plaintext), ContentLength: plaintext.length }
    const info = { suite: { id: header.suiteId } as Header["suite"], wrappedKeys: header.wrappedKeys }
    const length = { plaintextLength: plaintext.length, authenticated: true }
    return withEnvelopeInfo(plainOutput(output, fields), envelopeInfo(info, length))
  } finally {
    reading.close()
  }
}

/** The header of a message, which stays in the stream. */
async function peekHeader(body: Readable, size: number): Promise<Header | undefined> {
  for (let wanted = Math.min(FIRST_PEEK, size); ; ) {
    const bytes = await peek(body, wanted)
    const header = headerAt(bytes)
    if (typeof header !== "number") return header
    if (bytes.length < wanted || header > size) throw truncated("the object ends within its header")
    wanted = header
  }
}

/** Resolves once the header is authentic; frames follow as they are read, each after its tag verified. */
async function openStream(
  call: GetCall,
  output: GetObjectCommandOutput,
  body: Readable,
  header: Header,
  size: number,
): Promise<GetObjectCommandOutput> {
  const reading = beginReading(call)
  try {
    const stream = decryptStream(reading.options)
    // Errors of either side reach the reader through the stream's own error.
    pipeline(body, stream, () => {})
    await stream.header
    const plaintextLength =
      header.contentType === "framed" ? lengthBySize(size, header.length, header.frameLength) : undefined
    const fields = {
      Body: sdkBody(stream, plaintextLength),
      ...(plaintextLength !== undefined && { ContentLength: plaintextLength }),
    }
    const length = { ...(plaintextLength !== undefined && { plaintextLength }), authenticated: false }
    return withEnvelopeInfo(plainOutput(output, fields), envelopeInfo(header, length))
  } finally {
    reading.close()
  }
}

/** S3-4.6: nothing of a signed message is released before its signature. */
async function openSigned(
  call: GetCall,
  output: GetObjectCommandOutput,
  body: Readable,
  header: Header,
  size: number,
): Promise<GetObjectCommandOutput> {
  const { bufferSize } = call.session.settings
  if (size - header.length > bufferSize) {
    throw limitExceeded("the signed object, in bytes,", size, bufferSize, "bufferSize")
  }
  return openAtOnce(call, output, await collect(body, size), size)
}
