import { type MaybePromise, malformed } from "../core/index.ts"
import { BASE_ALLOCATION_ID, COMMAND, COMMAND_FLAGS, ERRNO, type Errno, MAX_PAYLOAD } from "./constants.ts"
import type { Extent, WriteFlags } from "./device.ts"
import { errnoOf } from "./errno.ts"
import type { Intake } from "./intake.ts"
import type { Agreement } from "./negotiation.ts"
import type { Outbox } from "./outbox.ts"
import type { Payloads } from "./payloads.ts"
import { type Data, dataLength, replyData, replyError, replySparse, replySuccess } from "./replies.ts"
import { blockStatusReply, parseRequest, REQUEST_LENGTH, type Request } from "./requests.ts"
import { refusalOf } from "./rules.ts"
import type { Counters } from "./stats.ts"
import { MAX_EXTENTS, statusExtents } from "./status.ts"

export interface TransmissionOptions {
  readonly agreement: Agreement
  readonly intake: Intake
  readonly outbox: Outbox
  readonly payloads: Payloads
  readonly counters: Counters
  /** Requests whose replies have not gone out, above which no more are taken. */
  readonly maxRequests: number
  /** The same for the bytes of their data; the request that crosses the limit is still taken. */
  readonly maxBytes: number
  /** Told of what a device failed with. */
  readonly onError: (error: unknown) => void
  /** Told after replies have gone out. */
  readonly onSent: () => void
}

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

const PLAIN: WriteFlags = Object.freeze({ fua: false })
const DURABLE: WriteFlags = Object.freeze({ fua: true })

export function transmit(options: TransmissionOptions): Transmission {
  const { agreement, intake, outbox, payloads, counters, maxRequests, maxBytes, onError, onSent } = options
  const { structured } = agreement
  const { device, sparseReads } = agreement.export
  const release = device.release === undefined ? undefined : (data: Data) => giveBack(data)
  let inFlight = 0
  let bytes = 0
  let ended = false
  let awaited: { readonly request: Request; readonly payload: Uint8Array } | undefined
  /** Replies that are in the outbox, and the bytes that their requests took. */
  let replied = 0
  let repliedBytes = 0
  let gathering = false
  let scheduled = false

  const giveBack = (data: Data): void => {
    try {
      device.release!(data)
    } catch (error) {
      onError(error)
    }
  }

  const isFull = (): boolean => inFlight >= maxRequests || bytes >= maxBytes

  const sendReplies = (): void => {
    scheduled = false
    if (replied === 0) return
    const [count, size] = [replied, repliedBytes]
    replied = 0
    repliedBytes = 0
    outbox.flush(() => {
      inFlight -= count
      bytes -= size
      counters.inFlight -= count
      onSent()
    })
  }

  /** A reply is in the outbox. Those of one turn of the event loop go out together. */
  const finished = (cost: number): void => {
    replied++
    repliedBytes += cost
    if (gathering || scheduled) return
    scheduled = true
    setImmediate(sendReplies)
  }

  const fail = (request: Request, errno: Errno, cost: number): void => {
    counters.errors++
    replyError(outbox, request, errno, structured)
    finished(cost)
  }

  /** NBD-5.2: runs a device's method, at once where it answers at once, and has the answer or the error replied. */
  const settle = <T>(
    request: Request,
    cost: number,
    work: () => MaybePromise<T>,
    reply: (result: T) => void,
    done?: () => void,
  ): void => {
    const failed = (error: unknown): void => {
      const errno = errnoOf(error)
      if (errno !== ERRNO.ENOTSUP) onError(error)
      done?.()
      fail(request, errno, cost)
    }
    const succeeded = (result: T): void => {
      try {
        reply(result)
      } catch (error) {
        failed(error)
        return
      }
      done?.()
      finished(cost)
    }
    let result: MaybePromise<T>
    try {
      result = work()
    } catch (error) {
      failed(error)
      return
    }
    if (isPromise(result)) result.then(succeeded, failed)
    else succeeded(result)
  }

  const succeed = (request: Request) => (): void => replySuccess(outbox, request, structured)

  const read = (request: Request): void => {
    const { offset, length, flags } = request
    counters.reads++
    const whole = !structured || (flags & COMMAND_FLAGS.dontFragment) !== 0
    if (sparseReads && !whole && device.blockStatus !== undefined) {
      settle(
        request,
        length,
        () => readSparsely(offset, length),
        (pieces) => {
          counters.bytesRead += length
          replySparse(outbox, request, pieces, release)
        },
      )
      return
    }
    settle(
      request,
      length,
      () => device.read(offset, length),
      (data) => {
        if (dataLength(data) !== length) {
          release?.(data)
          throw new Error(`the device read ${dataLength(data)} bytes instead of ${length}`)
        }
        counters.bytesRead += length
        replyData(outbox, request, data, structured, release)
      },
    )
  }

  /** The parts of a range in order: data, or the length of a run of zeros. */
  const readSparsely = async (offset: number, length: number): Promise<(Data | number)[]> => {
    const extents = statusExtents(await device.blockStatus!(offset, length, { maxExtents: MAX_EXTENTS }), length, false)
    const known = extents.reduce((sum, extent) => sum + extent.length, 0)
    if (known < length) extents.push({ length: length - known, state: 0 })
    let at = offset
    const parts = extents.map(({ length: size, state }) => {
      at += size
      return state === 0 || state === 1 ? device.read(at - size, size) : size
    })
    const results = await Promise.allSettled(parts)
    const pieces = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []))
    const failed = results.find((result) => result.status === "rejected")
    if (failed === undefined && pieces.every((piece, i) => lengthOf(piece) === extents[i]!.length)) return pieces
    for (const piece of pieces) if (typeof piece !== "number") release?.(piece)
    throw failed?.reason ?? new Error("the device read another number of bytes than it was asked for")
  }

  const write = (request: Request, payload: Uint8Array): void => {
    settle(
      request,
      payload.length,
      () => device.write(request.offset, payload, writeFlags(request)),
      () => {
        counters.bytesWritten += payload.length
        replySuccess(outbox, request, structured)
      },
      () => payloads.give(payload),
    )
  }

  /** NBD-3.7. */
  const zero = (request: Request): void => {
    const { offset, length, flags } = request
    const zeroFlags = {
      fua: (flags & COMMAND_FLAGS.fua) !== 0,
      noHole: (flags & COMMAND_FLAGS.noHole) !== 0,
      fast: (flags & COMMAND_FLAGS.fastZero) !== 0,
    }
    settle(request, 0, () => device.writeZeroes!(offset, length, zeroFlags), succeed(request))
  }

  const blockStatus = (request: Request): void => {
    const { offset, length, flags } = request
    const one = (flags & COMMAND_FLAGS.requestOne) !== 0
    settle(
      request,
      0,
      () => device.blockStatus!(offset, length, { maxExtents: one ? 1 : MAX_EXTENTS }),
      (extents: readonly Extent[]) =>
        outbox.append(blockStatusReply(request, BASE_ALLOCATION_ID, statusExtents(extents, length, one))),
    )
  }

  const flush = (request: Request): void => {
    counters.flushes++
    const work = agreement.export.readOnly ? () => undefined : () => device.flush()
    settle(request, 0, work, succeed(request))
  }

  const perform = (request: Request): void => {
    const { type, offset, length } = request
    if (type === COMMAND.flush) flush(request)
    else if (length === 0) {
      replySuccess(outbox, request, structured)
      finished(0)
    } else if (type === COMMAND.read) read(request)
    else if (type === COMMAND.trim) {
      // NBD-3.5.
      counters.trims++
      settle(request, 0, () => device.trim!(offset, length, writeFlags(request)), succeed(request))
    } else if (type === COMMAND.writeZeroes) {
      counters.zeroings++
      zero(request)
    } else if (type === COMMAND.blockStatus) {
      counters.others++
      blockStatus(request)
    } else {
      // NBD-3.6: all that is left is CACHE.
      counters.others++
      settle(request, 0, () => device.cache?.(offset, length), succeed(request))
    }
  }

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
    inFlight++
    counters.inFlight++
    if (refusal !== 0) {
      if (type === COMMAND.write) intake.skip(length)
      fail(request, refusal, 0)
    } else if (type === COMMAND.write && length > 0) {
      counters.writes++
      bytes += length
      awaited = { request, payload: payloads.take(length) }
      intake.collect(awaited.payload)
    } else {
      if (type === COMMAND.read) bytes += length
      perform(request)
    }
  }

  /** @returns whether there may be another */
  const next = (): boolean => {
    if (ended || !intake.ready()) return false
    if (awaited !== undefined) {
      const { request, payload } = awaited
      awaited = undefined
      write(request, payload)
      return true
    }
    if (isFull()) return false
    const header = intake.take(REQUEST_LENGTH)
    if (header === undefined) return false
    start(parseRequest(header))
    return true
  }

  return {
    pump() {
      gathering = true
      try {
        while (next());
      } finally {
        gathering = false
        sendReplies()
      }
    },
    get full() {
      // A payload that has begun is read to its end, also when it takes the connection to its limit.
      return awaited === undefined && isFull()
    },
    get ended() {
      return ended
    },
    get inFlight() {
      return inFlight
    },
    stop() {
      ended = true
      if (awaited === undefined) return
      // Its payload will not come.
      inFlight--
      counters.inFlight--
      bytes -= awaited.payload.length
      awaited = undefined
    },
  }
}

/** NBD-3.9. */
const writeFlags = ({ flags }: Request): WriteFlags => ((flags & COMMAND_FLAGS.fua) === 0 ? PLAIN : DURABLE)

const isPromise = <T>(value: MaybePromise<T>): value is Promise<T> =>
  typeof (value as { then?: unknown } | undefined)?.then === "function"

const lengthOf = (piece: Data | number): number => (typeof piece === "number" ? piece : dataLength(piece))
