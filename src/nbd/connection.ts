import type { Socket } from "node:net"
import type { TlsOptions } from "node:tls"
import { EnvelopeError, malformed } from "../core/index.ts"
import type { Exports } from "./exports.ts"
import { greeting } from "./handshake.ts"
import { createIntake } from "./intake.ts"
import type { Agreement, Answer, TlsMode } from "./negotiation.ts"
import { readOptions } from "./options.ts"
import { createOutbox, type Slabs } from "./outbox.ts"
import { receiveIntoOwnMemory } from "./own-memory.ts"
import type { Payloads } from "./payloads.ts"
import { secure } from "./secure.ts"
import type { Counters } from "./stats.ts"
import { type Transmission, transmit } from "./transmission.ts"
import { createWindow } from "./window.ts"

export interface ConnectionOptions {
  readonly exports: Exports
  readonly tlsMode: TlsMode
  /** Present unless the mode is `none`. */
  readonly tls: TlsOptions | undefined
  readonly handshakeSeconds: number
  readonly maxRequests: number
  readonly maxBytes: number
  readonly slabs: Slabs
  readonly payloads: Payloads
  readonly counters: Counters
  readonly onError: (error: unknown) => void
}

export interface Connection {
  /** Resolves when the connection is closed and no request of it is under way. */
  readonly done: Promise<void>
  /** NBD-5.4: takes no more requests, answers those it has, closes. */
  stop(): void
  /** Closes at once. */
  destroy(): void
}

/** Time for a client to take the last replies and close. */
const LINGER_MILLISECONDS = 2000

/** Serves one client, from greeting to end. @param accepted just accepted, nothing read */
export function serveConnection(accepted: Socket, options: ConnectionOptions): Connection {
  const { counters } = options
  const intake = createIntake()
  const handshake = readOptions(intake, { exports: options.exports, tls: options.tlsMode })
  let resolve!: () => void
  const done = new Promise<void>((onDone) => {
    resolve = onDone
  })
  let socket = accepted
  let transmission: Transmission | undefined
  /** Nothing more is read: the last replies are going out, or TLS is being set up. */
  let deaf = false
  let reading = true
  let finishing = false
  let linger: NodeJS.Timeout | undefined
  let failed = false
  let closed = false

  // NBD-1.11.
  const deadline = setTimeout(() => fail(), options.handshakeSeconds * 1000)
  deadline.unref()

  const settle = (): void => {
    if (closed && (transmission === undefined || transmission.inFlight === 0)) resolve()
  }

  const onClose = (): void => {
    closed = true
    deaf = true
    clearTimeout(deadline)
    clearTimeout(linger)
    transmission?.stop()
    counters.connections--
    settle()
  }

  /** NBD-4.2: the client's doing, or its absence, and the end of its own connection alone. */
  const fail = (): void => {
    if (failed) return
    failed = true
    counters.connectionsFailed++
    destroy()
  }

  const destroy = (): void => {
    deaf = true
    socket.destroy()
  }

  /**
   * Ends its side after what was written, and reads on, of no use as it is, until the client has ended its own: closing with
   * bytes unread would reset the connection and could cost the client the last replies.
   */
  const finish = (): void => {
    deaf = true
    if (finishing || closed) return
    finishing = true
    intake.skip(Number.POSITIVE_INFINITY)
    socket.end()
    socket.resume()
    linger = setTimeout(() => socket.destroy(), LINGER_MILLISECONDS)
    linger.unref()
  }

  const finishWhenAnswered = (): void => {
    if (transmission?.ended === true && transmission.inFlight === 0) finish()
    settle()
  }

  const follow = ({ replies, next }: Answer): void => {
    socket.cork()
    for (const reply of replies) socket.write(reply)
    socket.uncork()
    if (next === "option") return
    if (next === "close") finish()
    else if (next === "tls") startTls().catch(fail)
    else begin(next)
  }

  const begin = (agreement: Agreement): void => {
    clearTimeout(deadline)
    const { maxRequests, maxBytes, payloads, slabs, onError } = options
    const outbox = createOutbox(socket, slabs)
    const onSent = (): void => {
      if (closed || transmission!.ended) finishWhenAnswered()
      else if (!transmission!.full) advance()
    }
    const window = createWindow({ outbox, counters, maxRequests, maxBytes, onSent })
    transmission = transmit(intake, { agreement, outbox, window, payloads, counters, onError })
  }

  const startTls = async (): Promise<void> => {
    // NBD-2.4: what came in the clear behind STARTTLS must not be taken for what TLS protects.
    if (intake.waiting > 0) throw malformed("bytes follow STARTTLS before its answer")
    deaf = true
    socket.removeListener("data", onData)
    const plain = socket
    plain.removeListener("end", onEnd)
    const encrypted = await secure(plain, options.tls!)
    socket = encrypted
    encrypted.on("error", () => {})
    encrypted.on("end", onEnd)
    encrypted.on("close", () => plain.destroy())
    handshake.secured()
    deaf = false
    reading = true
    encrypted.on("data", onData)
  }

  /** @returns whether there may be more to do with what has arrived */
  const step = (): boolean => {
    if (deaf) return false
    if (transmission !== undefined) {
      transmission.pump()
      return false
    }
    const answer = handshake.next()
    if (answer !== undefined) follow(answer)
    return answer !== undefined
  }

  /** Uses what has arrived; what keeps it from that stops the reading too, until it is out of the way. */
  const advance = (): void => {
    try {
      while (step());
    } catch (error) {
      if (!(error instanceof EnvelopeError)) options.onError(error)
      fail()
      return
    }
    finishWhenAnswered()
    if (closed || deaf || wantsMore() === reading) return
    reading = !reading
    if (reading) socket.resume()
    else socket.pause()
  }

  const wantsMore = (): boolean => finishing || (!deaf && transmission?.full !== true && transmission?.ended !== true)

  const onData = (chunk: Buffer): void => {
    for (let at = 0; at < chunk.length; ) {
      const target = intake.target()
      const length = Math.min(target.length, chunk.length - at)
      target.set(chunk.subarray(at, at + length))
      intake.filled(length)
      at += length
    }
    advance()
  }

  /** Without DISC, but with no more to say: what it asked for is answered. */
  const onEnd = (): void => {
    if (transmission === undefined) {
      destroy()
      return
    }
    transmission.stop()
    finishWhenAnswered()
  }

  const received = (): boolean => {
    advance()
    return wantsMore()
  }

  counters.connections++
  counters.connectionsTotal++
  if (options.tlsMode === "none") socket = receiveIntoOwnMemory(accepted, intake, received)
  if (socket === accepted) socket.on("data", onData)
  const outer = socket
  outer.on("error", () => {})
  outer.on("close", onClose)
  outer.on("end", onEnd)
  socket.write(greeting())
  socket.resume()

  return {
    done,
    stop() {
      if (transmission === undefined) destroy()
      else {
        transmission.stop()
        finishWhenAnswered()
      }
    },
    destroy,
  }
}
