import { CliError } from "./failures.ts"

/** Encodes a stream as one line of base64 (RFC 4648, section 4), ended by a line feed. */
export async function* encodeBase64(chunks: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  let rest = Buffer.alloc(0)
  for await (const chunk of chunks) {
    const bytes = rest.length === 0 ? viewOf(chunk) : Buffer.concat([rest, chunk])
    const whole = bytes.length - (bytes.length % 3)
    if (whole > 0) yield Buffer.from(bytes.toString("base64", 0, whole), "latin1")
    rest = Buffer.from(bytes.subarray(whole))
  }
  yield Buffer.from(`${rest.toString("base64")}\n`, "latin1")
}

const NOT_BASE64 = /[^A-Za-z0-9+/=]/
const SPACE = /[\t\n\r ]+/g
const PADDING = /^[A-Za-z0-9+/]*={0,2}$/

/**
 * Decodes base64 text in lines of any length.
 *
 * @throws CliError `notAMessage` for anything that is not base64, or is cut within a group of four
 */
export async function* decodeBase64(chunks: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  let rest = ""
  let ended = false
  for await (const chunk of chunks) {
    const text = rest + viewOf(chunk).toString("latin1").replace(SPACE, "")
    if (text === "") continue
    if (ended || NOT_BASE64.test(text)) throw notBase64()
    const group = text.slice(0, text.length - (text.length % 4))
    rest = text.slice(group.length)
    if (group === "") continue
    if (!PADDING.test(group)) throw notBase64()
    ended = group.endsWith("=")
    yield decode(group)
  }
  if (rest !== "") throw ended ? notBase64() : new CliError("truncated", "the base64 text ends within a group")
}

/** Whether the beginning of something that is no message looks like one in base64: version and suite of either format. */
export const looksLikeBase64 = (bytes: Uint8Array): boolean =>
  /^\s*(?:AYA|AgR|AgV)[A-Za-z0-9+/\s]*=*\s*$/.test(viewOf(bytes.subarray(0, 64)).toString("latin1"))

// --- internal ---

const notBase64 = (): CliError =>
  new CliError("notAMessage", "the input is not base64", { hint: "leave out --base64 for a message in binary" })

const viewOf = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)

function decode(group: string): Uint8Array {
  const bytes = Buffer.from(group, "base64")
  // Bits beyond the end of the data must be zero; Node does not look.
  if (group.endsWith("=") && bytes.toString("base64", bytes.length - (bytes.length % 3)) !== group.slice(-4)) {
    throw notBase64()
  }
  return bytes
}
