import {
  type EncryptionContext,
  fromUtf8,
  limitExceeded,
  malformed,
  traced,
  truncated,
  viewBytes,
} from "../core/index.ts"
import { type Verifier, wipe } from "../crypto/index.ts"
import { decodeHeader, type Header, readU16 } from "../format/index.ts"
import { frameOpener, openBody, scanBody } from "../framing/index.ts"
import { type MessageHeader, toMessageHeader } from "./header-info.ts"
import { decryptTrace, noteHeader, type OpenedRead, openRead, planRead } from "./open.ts"
import type { DecryptOptions } from "./options.ts"

export interface Decrypted {
  /** In memory of its own. */
  readonly plaintext: Uint8Array
  /** The plaintext as UTF-8. @throws TypeError when it is not UTF-8 */
  text(): string
  /** All authenticated pairs: those the header stores and those only required. */
  readonly encryptionContext: EncryptionContext
  readonly header: MessageHeader
}

/**
 * Decrypts a message in memory. Nothing is released before every tag and, in signed messages, the signature verified.
 *
 * @param message one whole message, at most `maxMessageLength` bytes (2 GiB)
 * @throws TypeError, RangeError for options that contradict themselves
 * @throws EnvelopeError `MalformedMessage`, `UnsupportedFormat`, `TruncatedMessage`, `LimitExceeded`,
 *   `CommitmentPolicy`, `ContextMismatch`, `NoMatchingKey`, `UnwrapFailed`, `KmsError`, `TamperedMessage`, `Closed`
 */
export async function decrypt(message: ArrayBufferView | ArrayBuffer, options: DecryptOptions): Promise<Decrypted> {
  if (typeof message === "string") throw new TypeError("message must be bytes: decode a base64 text first")
  const bytes = viewBytes(message, "message")
  const plan = planRead(options)
  const { limits } = plan
  if (bytes.length > limits.maxMessageLength) {
    throw limitExceeded("the message, in bytes,", bytes.length, limits.maxMessageLength, "maxMessageLength")
  }
  return traced(
    "decrypt",
    () => decryptTrace(plan, "decrypt"),
    (trace) => {
      const header = decodeHeader(bytes, limits)
      if (typeof header === "number") throw truncated("the message ends within its header")
      noteHeader(trace, header)
      const finish = (opened: OpenedRead) => {
        const decrypted = openMessageBody(opened, bytes)
        if (trace !== undefined) trace.plaintextLength = decrypted.plaintext.length
        return decrypted
      }
      const opened = openRead(plan, header)
      return opened instanceof Promise ? opened.then(finish) : finish(opened)
    },
  )
}

function openMessageBody({ header, encryptionContext, key, verifier }: OpenedRead, message: Uint8Array): Decrypted {
  try {
    const scan = scanBody(message, header.length, header)
    if (verifier === undefined) checkEnd(message, scan.end)
    else verifyFooter(message, header, scan.end, verifier)
    const opener = frameOpener(header.suite, key, header.messageId)
    const plaintext = openBody(opener, message, header.length, header, scan)
    return new DecryptResult(plaintext, encryptionContext, header)
  } finally {
    wipe(key)
  }
}

/** Several megabytes fit the text; the class keeps one function for all results. */
class DecryptResult implements Decrypted {
  readonly plaintext: Uint8Array
  readonly encryptionContext: EncryptionContext
  readonly header: MessageHeader

  constructor(plaintext: Uint8Array, encryptionContext: EncryptionContext, header: Header) {
    this.plaintext = plaintext
    this.encryptionContext = encryptionContext
    this.header = toMessageHeader(header, true)
  }

  text(): string {
    const text = fromUtf8(this.plaintext)
    if (text === undefined) throw new TypeError("the plaintext is not UTF-8: use plaintext instead of text()")
    return text
  }
}

/** MSG-1.1: nothing follows a message. */
function checkEnd(message: Uint8Array, end: number): void {
  if (end !== message.length) throw malformed(`${message.length - end} bytes follow the end of the message`)
}

/** MSG-7.2: before anything is released. */
function verifyFooter(message: Uint8Array, header: Header, at: number, verifier: Verifier): void {
  if (message.length < at + 2) throw truncated("the message ends before its signature")
  const end = at + 2 + readU16(message, at)
  if (message.length < end) throw truncated("the message ends within its signature")
  checkEnd(message, end)
  verifier.update(message.subarray(header.length, at))
  verifier.finish(message.subarray(at + 2, end))
}
