import { EnvelopeError } from "../core/index.ts"
import { BASE_ALLOCATION, BASE_ALLOCATION_ID, INFO, MAX_PAYLOAD, OPTION, OPTION_REPLY } from "./constants.ts"
import { type Export, type Exports, exportFlags, findExport, preferredBlockSize } from "./exports.ts"
import {
  acknowledge,
  blockSizeInfo,
  exportInfo,
  exportNameReply,
  metaContextReply,
  optionError,
  optionReply,
  parseInfoRequest,
  parseMetaRequest,
  parseName,
  serverReply,
  textInfo,
} from "./handshake.ts"

/** Whether clients can, or must, turn the connection into a TLS one. */
export type TlsMode = "none" | "optional" | "required"

/** What was agreed on, when requests begin. */
export interface Agreement {
  readonly export: Export
  readonly structured: boolean
  /** Whether BLOCK_STATUS may be asked. */
  readonly baseAllocation: boolean
}

/** What follows an option, after its replies have gone out. */
export type Next = "option" | "close" | "tls" | Agreement

export interface Answer {
  readonly replies: readonly Uint8Array[]
  readonly next: Next
}

/** NBD-1.2: the option phase of one connection: pure, each option with its data answered in turn. */
export interface Negotiation {
  answer(option: number, data: Buffer): Answer
  /** An option whose data is too long to be read. */
  refuseTooBig(option: number): Answer
  /** NBD-2.4: nothing that was said before TLS counts after it. */
  secured(): void
}

export interface NegotiationOptions {
  readonly exports: Exports
  readonly tls: TlsMode
  readonly noZeroes: boolean
}

export function negotiate({ exports, tls, noZeroes }: NegotiationOptions): Negotiation {
  let secure = false
  let structured = false
  /** The export that `base:allocation` was chosen for. */
  let contextOf: Export | undefined

  const agree = (chosen: Export): Agreement => ({ export: chosen, structured, baseAllocation: contextOf === chosen })

  const exportName = (data: Buffer): Answer => {
    const found = findExport(exports, parseName(data))
    if (found === undefined || (tls === "required" && !secure)) return { replies: [], next: "close" }
    const reply = exportNameReply(found.device.size, exportFlags(found, structured), noZeroes)
    return { replies: [reply], next: agree(found) }
  }

  /** NBD-1.4: without data, as it must be. */
  const list = (data: Buffer): Answer => {
    if (data.length > 0) return refuse(OPTION.list, OPTION_REPLY.invalid, "LIST has no data")
    const servers = [...exports.values()].map(({ name, description }) =>
      optionReply(OPTION.list, OPTION_REPLY.server, serverReply(name, description)),
    )
    return { replies: [...servers, acknowledge(OPTION.list)], next: "option" }
  }

  /** NBD-2.1. */
  const startTls = (data: Buffer): Answer => {
    if (data.length > 0) return refuse(OPTION.startTls, OPTION_REPLY.invalid, "STARTTLS has no data")
    if (tls === "none") return refuse(OPTION.startTls, OPTION_REPLY.policy, "this server has no TLS")
    if (secure) return refuse(OPTION.startTls, OPTION_REPLY.invalid, "the connection has TLS already")
    return { replies: [acknowledge(OPTION.startTls)], next: "tls" }
  }

  /** NBD-1.8. */
  const structuredReply = (data: Buffer): Answer => {
    if (data.length > 0) return refuse(OPTION.structuredReply, OPTION_REPLY.invalid, "STRUCTURED_REPLY has no data")
    structured = true
    return { replies: [acknowledge(OPTION.structuredReply)], next: "option" }
  }

  /** NBD-1.7. */
  const info = (option: number, data: Buffer): Answer => {
    const { name, infos } = parseInfoRequest(data)
    const found = findExport(exports, name)
    if (found === undefined)
      return refuse(option, OPTION_REPLY.unknown, `there is no export of the name ${quote(name)}`)
    const details = [exportInfo(found.device.size, exportFlags(found, structured))]
    if (infos.includes(INFO.name)) details.push(textInfo(INFO.name, found.name))
    if (infos.includes(INFO.description) && found.description !== "")
      details.push(textInfo(INFO.description, found.description))
    details.push(blockSizeInfo(1, preferredBlockSize(found), MAX_PAYLOAD))
    const replies = details.map((detail) => optionReply(option, OPTION_REPLY.info, detail))
    return { replies: [...replies, acknowledge(option)], next: option === OPTION.go ? agree(found) : "option" }
  }

  /** NBD-1.9. */
  const metaContext = (option: number, data: Buffer): Answer => {
    const isSet = option === OPTION.setMetaContext
    if (isSet) contextOf = undefined
    const { name, queries } = parseMetaRequest(data)
    if (!structured) return refuse(option, OPTION_REPLY.invalid, "metadata contexts take structured replies first")
    const found = findExport(exports, name)
    if (found === undefined)
      return refuse(option, OPTION_REPLY.unknown, `there is no export of the name ${quote(name)}`)
    const matches = queries.some((query) => query === BASE_ALLOCATION || (!isSet && query === "base:"))
    const chosen = found.device.blockStatus !== undefined && (matches || (!isSet && queries.length === 0))
    if (chosen && isSet) contextOf = found
    const context = metaContextReply(isSet ? BASE_ALLOCATION_ID : 0, BASE_ALLOCATION)
    const replies = chosen ? [optionReply(option, OPTION_REPLY.metaContext, context)] : []
    return { replies: [...replies, acknowledge(option)], next: "option" }
  }

  const answer = (option: number, data: Buffer): Answer => {
    if (option === OPTION.exportName) return exportName(data)
    // NBD-1.10.
    if (option === OPTION.abort) return { replies: [acknowledge(OPTION.abort)], next: "close" }
    if (option === OPTION.startTls) return startTls(data)
    // NBD-2.2.
    if (tls === "required" && !secure)
      return refuse(option, OPTION_REPLY.tlsRequired, "this server takes STARTTLS before anything else")
    switch (option) {
      case OPTION.list:
        return list(data)
      case OPTION.structuredReply:
        return structuredReply(data)
      case OPTION.info:
      case OPTION.go:
        return info(option, data)
      case OPTION.listMetaContext:
      case OPTION.setMetaContext:
        return metaContext(option, data)
      default:
        // NBD-1.4: the client learns that there is no such option, and goes on.
        return refuse(option, OPTION_REPLY.unsupported, "this server has no such option")
    }
  }

  return {
    answer(option, data) {
      try {
        return answer(option, data)
      } catch (error) {
        if (!(error instanceof EnvelopeError) || option === OPTION.exportName) throw error
        return refuse(option, OPTION_REPLY.invalid, error.message)
      }
    },
    refuseTooBig: (option) =>
      option === OPTION.exportName
        ? { replies: [], next: "close" }
        : refuse(option, OPTION_REPLY.tooBig, "the option's data is too long"),
    secured() {
      secure = true
      structured = false
      contextOf = undefined
    },
  }
}

const refuse = (option: number, type: number, message: string): Answer => ({
  replies: [optionError(option, type, message)],
  next: "option",
})

/** A name as it came, short enough for a message. */
const quote = (name: string): string => JSON.stringify(name.length > 64 ? `${name.slice(0, 64)}…` : name)
