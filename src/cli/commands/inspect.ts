import { type Inspected, inspect } from "../../message/index.ts"
import { print } from "../fd.ts"
import { hex, jsonHeader, suiteText } from "../header-json.ts"
import { contextText, wrappedKeysText } from "../header-text.ts"
import { decodeInput } from "../job.ts"
import type { InspectCommandOptions } from "../options.ts"
import { type Peeked, peekMessage } from "../peek.ts"
import { openSource, type Source } from "../source.ts"
import { formatExactBytes, formatPairs, toJson } from "../text.ts"

export async function inspectCommand(file: string | undefined, options: InspectCommandOptions): Promise<void> {
  const { base64, limit = {}, json } = options
  const source = await openSource(file)
  const peeked = await peekMessage(decodeInput(source.chunks, base64), limit)
  const messageLength = await lengthOf(source, peeked, base64)
  const message = inspect(peeked.head, { ...limit, messageLength })
  await print(json ? toJson(asJson(message, messageLength)) : asText(message, messageLength))
}

// --- internal ---

/** From the file's size where that says it, else by reading to the end. */
async function lengthOf(source: Source, { chunks }: Peeked, base64: boolean | undefined): Promise<number> {
  if (source.size !== undefined && !base64) return source.size
  let length = 0
  for await (const chunk of chunks) length += chunk.length
  return length
}

const asJson = (message: Inspected, messageLength: number): object => ({
  ...jsonHeader(message),
  messageLength,
  ...(message.plaintextLength !== undefined && { plaintextLength: message.plaintextLength }),
})

function asText(message: Inspected, messageLength: number): string {
  const { plaintextLength, encryptionContext, wrappedKeys } = message
  const pairs: [string, string][] = [
    ["algorithm suite", `${suiteText(message.suiteId)} (${suiteDescription(message)})`],
    ["message id", hex(message.messageId)],
    ["frames", frames(message)],
    ["header", formatExactBytes(message.headerLength)],
    ["message", formatExactBytes(messageLength)],
    ["plaintext", plaintextLength === undefined ? "known after decryption only" : formatExactBytes(plaintextLength)],
  ]
  return [
    `AWS Encryption SDK message, format ${message.formatVersion}; nothing shown here is authenticated\n`,
    formatPairs(pairs),
    contextText(encryptionContext),
    wrappedKeysText(wrappedKeys),
  ].join("")
}

function suiteDescription({ suiteId, committed, signed }: Inspected): string {
  const bits = { 20: 128, 70: 192, 120: 256 }[suiteId & 0xff] ?? 256
  const parts = [`AES-${bits}-GCM`]
  if (suiteId > 0xff) parts.push("HKDF")
  parts.push(committed ? "key commitment" : "no key commitment", signed ? "signed" : "not signed")
  return parts.join(", ")
}

const frames = ({ contentType, frameLength }: Inspected): string =>
  contentType === "non-framed" ? "none, one tag for the whole body" : `of ${formatExactBytes(frameLength)} of plaintext`
