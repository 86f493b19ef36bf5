import { createHash } from "node:crypto"
import type { IncomingMessage } from "node:http"
import { CHECKSUMS, type ChecksumName, type RunningChecksum, runningChecksum } from "./checksums.ts"
import type { Content, Keep } from "./content.ts"
import { invalidRequest, S3Fault } from "./fault.ts"

export interface Received {
  readonly content: Content
  /** Hexadecimal, without quotes. */
  readonly md5: string
  /** As headers of the answer: `x-amz-checksum-crc32` and so on. */
  readonly checksums: Readonly<Record<string, string>>
}

/** Receives a body, unframed where it is aws-chunked, and holds it to every length and digest that came along. */
export async function receive(request: IncomingMessage, keep: Keep): Promise<Received> {
  const { headers } = request
  const trailers = new Map<string, string>()
  const chunked = String(headers["content-encoding"] ?? "").includes("aws-chunked")
  const source = chunked ? unframed(request, trailers) : (request as AsyncIterable<Uint8Array>)
  const expectedLength = chunked ? headers["x-amz-decoded-content-length"] : headers["content-length"]
  if (chunked && expectedLength === undefined) {
    throw new S3Fault(411, "MissingContentLength", "You must provide the Content-Length HTTP header.")
  }
  const announced = [headers["x-amz-trailer"] ?? []].flat().map((name) => name.toLowerCase().trim())
  const names = CHECKSUMS.filter((name) => headers[header(name)] !== undefined || announced.includes(header(name)))
  const running = new Map<ChecksumName, RunningChecksum>(names.map((name) => [name, runningChecksum(name)]))
  const md5 = createHash("md5")
  let length = 0
  const content = await keep(
    (async function* () {
      for await (const chunk of source) {
        length += chunk.length
        md5.update(chunk)
        for (const checksum of running.values()) checksum.update(chunk)
        yield chunk
      }
    })(),
  )
  if (expectedLength !== undefined && length !== Number(expectedLength)) {
    throw new S3Fault(400, "IncompleteBody", "You did not provide the number of bytes that Content-Length says.")
  }
  const digest = md5.digest()
  const contentMd5 = headers["content-md5"]
  if (contentMd5 !== undefined && contentMd5 !== digest.toString("base64")) {
    throw new S3Fault(400, "BadDigest", "The Content-MD5 you specified did not match what we received.")
  }
  const checksums: Record<string, string> = {}
  for (const [name, checksum] of running) {
    const actual = checksum.digest()
    const given = headers[header(name)] ?? trailers.get(header(name))
    if (given === undefined) throw invalidRequest(`The trailer ${header(name)} was announced and did not come.`)
    if (given !== actual) throw new S3Fault(400, "BadDigest", `The ${name} you specified did not match.`)
    checksums[header(name)] = actual
  }
  return { content, md5: digest.toString("hex"), checksums }
}

const header = (name: ChecksumName): string => `x-amz-checksum-${name}`

/** Takes the framing off an aws-chunked body: size in hexadecimal, bytes, at the end trailers. */
async function* unframed(source: AsyncIterable<Uint8Array>, trailers: Map<string, string>): AsyncGenerator<Uint8Array> {
  const chunks = source[Symbol.asyncIterator]()
  let rest: Uint8Array = Buffer.alloc(0)
  const more = async (): Promise<void> => {
    const { done, value } = await chunks.next()
    if (done) throw new S3Fault(400, "IncompleteBody", "The body ends within its aws-chunked framing.")
    rest = rest.length === 0 ? value : Buffer.concat([rest, value])
  }
  const line = async (): Promise<string> => {
    for (;;) {
      const end = Buffer.from(rest.buffer, rest.byteOffset, rest.length).indexOf("\r\n")
      if (end >= 0) {
        const text = Buffer.from(rest.subarray(0, end)).toString("latin1")
        rest = rest.subarray(end + 2)
        return text
      }
      await more()
    }
  }
  for (;;) {
    const [digits] = (await line()).split(";")
    if (!/^[0-9a-f]+$/i.test(digits!)) throw invalidRequest("The body is not aws-chunked.")
    let left = Number.parseInt(digits!, 16)
    if (left === 0) break
    while (left > 0) {
      if (rest.length === 0) await more()
      const piece = rest.subarray(0, left)
      rest = rest.subarray(piece.length)
      left -= piece.length
      yield piece
    }
    if ((await line()) !== "") throw invalidRequest("A chunk is longer than it says.")
  }
  for (let text = await line(); text !== ""; text = await line()) {
    const colon = text.indexOf(":")
    trailers.set(text.slice(0, colon).toLowerCase(), text.slice(colon + 1).trim())
  }
}
