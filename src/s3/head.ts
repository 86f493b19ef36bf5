import type { HeadObjectCommandInput, HeadObjectCommandOutput } from "@aws-sdk/client-s3"
import { wipe } from "../crypto/index.ts"
import { openRead, planRead } from "../message/index.ts"
import { collect, nodeBody } from "./bodies.ts"
import { type Call, sendAs } from "./call.ts"
import { CUSTOMER_KEY_NAME } from "./choices.ts"
import { describeMetadata, lengthBySize, type ObjectEnvelope, withEnvelopeInfo } from "./metadata.ts"
import { getPinned, pinOf } from "./pinned.ts"
import { describeS3ec } from "./read-s3ec.ts"
import { beginReading, envelopeInfo, headerAt, plaintextInfo } from "./reading.ts"

const FIRST_READ = 4 * 1024

/**
 * OBJ-8.2: HeadObject. ContentLength is the plaintext's, by what the metadata say about the layout, which nothing
 * authenticates; of objects without our metadata, by the header at their start, for one more request.
 *
 * @throws EnvelopeError `NoMatchingKey` for an object under a customer-provided key, when that is not given
 */
export async function headObject(call: Call<HeadObjectCommandInput>): Promise<HeadObjectCommandOutput> {
  const { input, own } = call
  const output = await sendAs<typeof input, HeadObjectCommandOutput>(call, input)
  const size = output.ContentLength
  // Of a part or a range S3 tells the length of that.
  if (size === undefined || input.PartNumber !== undefined || input.Range !== undefined) return output
  const s3ec = await describeS3ec(output, size)
  if (s3ec !== undefined) return withLength(output, s3ec)
  const known = describeMetadata(output.Metadata, size)
  const customer = own.encryption?.customerKey !== undefined || known?.keys?.includes(CUSTOMER_KEY_NAME) === true
  if (known?.plaintextLength !== undefined && !customer) return withLength(output, known)
  return withLength(output, await describeHeader(call, output, size, customer))
}

function withLength(output: HeadObjectCommandOutput, envelope: ObjectEnvelope): HeadObjectCommandOutput {
  const { plaintextLength } = envelope
  const told = plaintextLength === undefined ? output : { ...output, ContentLength: plaintextLength }
  return withEnvelopeInfo(told, envelope)
}

/** Reads the header, and opens it where a customer-provided key must prove itself (OBJ-6.4). */
async function describeHeader(
  call: Call<HeadObjectCommandInput>,
  output: HeadObjectCommandOutput,
  size: number,
  customer: boolean,
): Promise<ObjectEnvelope> {
  if (size === 0) return plaintextInfo
  let header = await headerOf(call, output, Math.min(FIRST_READ, size))
  if (typeof header === "number" && header <= size) header = await headerOf(call, output, Math.min(size, 128 * 1024))
  if (header === undefined || typeof header === "number") return plaintextInfo
  const plaintextLength =
    header.suite.signed || header.contentType !== "framed"
      ? undefined
      : lengthBySize(size, header.length, header.frameLength)
  const length = { ...(plaintextLength !== undefined && { plaintextLength }), authenticated: false }
  if (!customer) return { ...envelopeInfo(header, length), authenticated: false }
  const reading = beginReading(call)
  try {
    const { key } = await openRead(planRead(reading.options), header)
    wipe(key)
    return envelopeInfo(header, length)
  } finally {
    reading.close()
  }
}

async function headerOf(call: Call<HeadObjectCommandInput>, output: HeadObjectCommandOutput, length: number) {
  const { Body } = await getPinned(call as Parameters<typeof getPinned>[0], pinOf(output), 0, length)
  return headerAt(await collect(nodeBody(Body), length))
}
