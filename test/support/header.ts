import { concatBytes } from "../../src/core/index.ts"
import { decodeHeader, encodeHeader, type Header, headerLength, resolveLimits } from "../../src/format/index.ts"

export function headerOf(message: Uint8Array): Header {
  const header = decodeHeader(message, resolveLimits({}))
  if (typeof header === "number") throw new Error(`the header needs ${header} bytes`)
  return header
}

/** The bytes that a header as read is written back to, with its own tag and, in version 1, its own iv. */
export function reencodedHeader(header: Header): Uint8Array {
  const out = new Uint8Array(headerLength(header))
  let bodyLength = 0
  encodeHeader(header, out, (_iv, body) => {
    bodyLength = body.length
    return header.tag
  })
  const iv = header.suite.formatVersion === 1 ? header.iv : new Uint8Array(0)
  return concatBytes([out.subarray(0, bodyLength), iv, header.tag])
}
