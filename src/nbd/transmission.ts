import { malformed } from "../core/index.ts"
import { costOf, type Desk, perform, refuse, write } from "./commands.ts"
import { COMMAND, MAX_PAYLOAD } from "./constants.ts"
import type { Intake } from "./intake.ts"
import { parseRequest, REQUEST_LENGTH, type Request } from "./requests.ts"
import { refusalOf } from "./rules.ts"

/** The request phase of one connection. */
export interface Transmission {
  /** Takes requests from the intake as long as there are some and the limits allow. @throws EnvelopeError `MalformedMessage` */
  pump(): void
  /** NBD-5.1: whether the limits keep requests waiting. */
  readonly full: boolean
  /** Whether the client has said that it is done, or `stop` was called. */
  readonly ended: boolean
  /** Requests whose replies have not gone out. */
  readonly inFlight: number
  /** No more requests are taken. */
  stop(): void
}

export function transmit(intake: Intake, desk: Desk): Transmission {
  const { agreement, payloads, window } = desk
  let ended = false
  /** A write whose payload is on its way. */
  let awaited: { readonly request: Request; readonly payload: Uint8Array } | undefined

  const start = (request: Request): void => {
    const { type, length } = request
    // NBD-3.10: what is in flight is still answered.
    if (type === COMMAND.disconnect) {
      ended = true
      return
    }
    // NBD-3.3: more than this is no payload but an attack, or the stream out of step.
    if (type === COMMAND.write && length > MAX_PAYLOAD) throw malformed(`a write has ${length} bytes`)
    const refusal = refusalOf(request, agreement)
    window.begin(costOf(request))
    if (refusal !== 0) {
      if (type === COMMAND.write) intake.skip(length)
      refuse(desk, request, refusal)
    } else if (type === COMMAND.write && length > 0) {
      awaited = { request, payload: payloads.take(length) }
      intake.collect(awaited.payload)
    } else perform(desk, request)
  }

  /** @returns whether there may be another */
  const next = (): boolean => {
    if (ended || !intake.ready()) return false
    if (awaited !== undefined) {
      const { request, payload } = awaited
      awaited = undefined
      write(desk, request, payload)
      return true
    }
    if (window.full) return false
    const header = intake.take(REQUEST_LENGTH)
    if (header === undefined) return false
    start(parseRequest(header))
    return true
  }

  return {
    pump: () =>
      window.gather(() => {
        while (next());
      }),
    get full() {
      // A payload that has begun is read to its end, also when it takes the connection to its limit.
      return awaited === undefined && window.full
    },
    get ended() {
      return ended
    },
    get inFlight() {
      return window.count
    },
    stop() {
      ended = true
      if (awaited !== undefined) window.abandon(costOf(awaited.request))
      awaited = undefined
    },
  }
}
