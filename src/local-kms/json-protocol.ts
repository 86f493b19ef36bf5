import { fromUtf8, utf8 } from "../core/index.ts"
import { wipe } from "../crypto/index.ts"
import type { Dispatch, KmsReply, KmsRequest } from "./dispatcher.ts"
import { type KmsFault, serialization } from "./faults.ts"

/** AWS's JSON 1.1 protocol: what a door hands over of a request. */
export interface JsonRequest extends Omit<KmsRequest, "operation" | "input"> {
  /** The header `X-Amz-Target`, for instance `TrentService.Decrypt`. */
  readonly target: string
  readonly body: Uint8Array
}

export interface JsonReply {
  readonly statusCode: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
}

const TARGET_PREFIX = "TrentService."

/** Decodes a request, has it answered, and encodes the reply. Client errors are HTTP 400, as AWS sends them. */
export async function answerJson(dispatch: Dispatch, request: JsonRequest): Promise<JsonReply> {
  const { target, body, ...rest } = request
  const operation = target.startsWith(TARGET_PREFIX) ? target.slice(TARGET_PREFIX.length) : ""
  return encodeReply(await dispatch({ ...rest, operation, input: parseBody(body) }))
}

function parseBody(body: Uint8Array): unknown {
  const text = fromUtf8(body)
  if (text === undefined) return serialization("The body is not UTF-8.")
  try {
    return text === "" ? {} : JSON.parse(text)
  } catch {
    return serialization("The body is not JSON.")
  }
}

export function encodeReply(reply: KmsReply): JsonReply {
  const headers = { "content-type": "application/x-amz-json-1.1", "x-amzn-requestid": reply.requestId }
  if ("fault" in reply) return { statusCode: reply.fault.statusCode, headers, body: encodeFault(reply.fault) }
  // Operations without an output answer with an empty body.
  const isEmpty = Object.keys(reply.output).length === 0
  const body = isEmpty ? new Uint8Array(0) : utf8(JSON.stringify(encodeValue(reply.output)))
  const { Plaintext } = reply.output
  if (Plaintext instanceof Uint8Array) wipe(Plaintext)
  return { statusCode: 200, headers, body }
}

const encodeFault = (fault: KmsFault): Uint8Array =>
  utf8(JSON.stringify({ __type: fault.name, ...(fault.message === "" ? {} : { message: fault.message }) }))

/** Blobs in base64, times in seconds. */
function encodeValue(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.length).toString("base64")
  if (value instanceof Date) return value.getTime() / 1000
  if (Array.isArray(value)) return value.map(encodeValue)
  if (typeof value === "object" && value !== null)
    return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, encodeValue(member)]))
  return value
}
