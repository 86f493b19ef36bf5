import { truncated, viewBytes } from "../core/index.ts"
import { decodeHeader, type Limits, resolveLimits } from "../format/index.ts"
import { layoutOfBody } from "../framing/index.ts"
import { type MessageHeader, toMessageHeader } from "./header-info.ts"

export interface InspectOptions
  extends Pick<Partial<Limits>, "maxWrappedKeys" | "maxHeaderLength" | "maxContextLength" | "maxFrameLength"> {
  /** Bytes of the whole message, where `message` is only its beginning. Default: the length of `message`. */
  readonly messageLength?: number
}

export interface Inspected extends MessageHeader {
  readonly authenticated: false
  /**
   * Bytes of plaintext, derived from the sizes of an unsigned framed message. Absent for signed and non-framed messages
   * and where the sizes do not fit.
   */
  readonly plaintextLength?: number
}

/**
 * Reads a message's header without any key. Nothing in the result is authenticated: use it to show and to route, never
 * to decide.
 *
 * @param message a message, or its first bytes as far as the header goes
 * @throws EnvelopeError `MalformedMessage`, `UnsupportedFormat`, `TruncatedMessage`, `LimitExceeded`
 */
export function inspect(message: ArrayBufferView | ArrayBuffer, options: InspectOptions = {}): Inspected {
  const bytes = viewBytes(message, "message")
  const header = decodeHeader(bytes, resolveLimits(options))
  if (typeof header === "number")
    throw truncated(`the message ends within its header, which goes on to byte ${header} at least`)
  // MSG-8.4
  const info = { ...toMessageHeader(header, false), authenticated: false as const }
  if (header.suite.signed || header.contentType === "non-framed") return info
  const layout = layoutOfBody((options.messageLength ?? bytes.length) - header.length, header.frameLength)
  if (layout === undefined) return info
  return { ...info, plaintextLength: layout.regularFrames * header.frameLength + layout.finalLength }
}
