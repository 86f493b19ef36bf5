import { malformed } from "../core/index.ts"
import {
  CLIENT_FLAGS_LENGTH,
  OPTION_HEADER_LENGTH,
  type OptionHeader,
  parseClientFlags,
  parseOptionHeader,
} from "./handshake.ts"
import type { Intake } from "./intake.ts"
import { type Answer, type Negotiation, type NegotiationOptions, negotiate } from "./negotiation.ts"

/** NBD-1.3. Bytes of an option's data, and options of one connection. */
const MAX_OPTION_LENGTH = 64 * 1024
const MAX_OPTIONS = 128

/** The handshake of one connection: the client's flags, then its options, out of what has arrived. */
export interface OptionReader {
  /** The answer to the next option; `undefined` until it is all there. @throws EnvelopeError `MalformedMessage` */
  next(): Answer | undefined
  /** NBD-2.4: see `Negotiation`. */
  secured(): void
}

export function readOptions(intake: Intake, options: Omit<NegotiationOptions, "noZeroes">): OptionReader {
  let negotiation: Negotiation | undefined
  let header: OptionHeader | undefined
  let data: Buffer | undefined
  let count = 0

  /** @returns whether they are there */
  const readFlags = (): boolean => {
    const bytes = intake.take(CLIENT_FLAGS_LENGTH)
    if (bytes === undefined) return false
    const { fixedNewstyle, noZeroes } = parseClientFlags(bytes)
    if (!fixedNewstyle) throw malformed("the client does not speak the fixed newstyle handshake")
    negotiation = negotiate({ ...options, noZeroes })
    return true
  }

  /** @returns whether it is there */
  const readHeader = (): boolean => {
    const bytes = intake.take(OPTION_HEADER_LENGTH)
    if (bytes === undefined) return false
    header = parseOptionHeader(bytes)
    if (++count > MAX_OPTIONS) throw malformed("the client sends options without end")
    if (header.length > MAX_OPTION_LENGTH) intake.skip(header.length)
    else {
      data = Buffer.allocUnsafeSlow(header.length)
      intake.collect(data)
    }
    return true
  }

  return {
    next() {
      if (negotiation === undefined && !readFlags()) return undefined
      if (header === undefined && !readHeader()) return undefined
      if (!intake.ready()) return undefined
      const { option } = header!
      const whole = data
      header = undefined
      data = undefined
      return whole === undefined ? negotiation!.refuseTooBig(option) : negotiation!.answer(option, whole)
    },
    secured: () => negotiation!.secured(),
  }
}
