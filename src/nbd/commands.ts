import type { MaybePromise } from "../core/index.ts"
import { BASE_ALLOCATION_ID, COMMAND, COMMAND_FLAGS, ERRNO, type Errno } from "./constants.ts"
import type { WriteFlags } from "./device.ts"
import { errnoOf } from "./errno.ts"
import type { Agreement } from "./negotiation.ts"
import type { Outbox } from "./outbox.ts"
import type { Payloads } from "./payloads.ts"
import { dataLength, replyData, replyError, replySparse, replySuccess } from "./replies.ts"
import { blockStatusReply, type Request } from "./requests.ts"
import { mayBeSparse, readSparsely, releaser } from "./sparse.ts"
import type { Counters } from "./stats.ts"
import { MAX_EXTENTS, statusExtents } from "./status.ts"
import type { Window } from "./window.ts"

/** What the requests of one connection are performed with. */
export interface Desk {
  readonly agreement: Agreement
  readonly outbox: Outbox
  readonly window: Window
  readonly payloads: Payloads
  readonly counters: Counters
  /** Told of what a device failed with. */
  readonly onError: (error: unknown) => void
}

const PLAIN: WriteFlags = Object.freeze({ fua: false })
const DURABLE: WriteFlags = Object.freeze({ fua: true })

/** Performs a request that is allowed and has begun, DISC and WRITE apart, and has it answered. */
export function perform(desk: Desk, request: Request): void {
  const { type, offset, length } = request
  const { counters, agreement } = desk
  const { device } = agreement.export
  if (type === COMMAND.flush) flush(desk, request)
  else if (length === 0) succeed(desk, request)
  else if (type === COMMAND.read) read(desk, request)
  else if (type === COMMAND.trim) {
    // NBD-3.5.
    counters.trims++
    settle(desk, request, () => device.trim!(offset, length, writeFlags(request)))
  } else if (type === COMMAND.writeZeroes) zero(desk, request)
  else if (type === COMMAND.blockStatus) blockStatus(desk, request)
  else {
    // NBD-3.6: all that is left is CACHE.
    counters.others++
    settle(desk, request, () => device.cache?.(offset, length))
  }
}

export function write(desk: Desk, request: Request, payload: Uint8Array): void {
  const { agreement, counters, payloads } = desk
  counters.writes++
  const done = (): void => payloads.give(payload)
  const reply = (): void => {
    counters.bytesWritten += payload.length
    replySuccess(desk.outbox, request, agreement.structured)
  }
  settle(desk, request, () => agreement.export.device.write(request.offset, payload, writeFlags(request)), reply, done)
}

/** Answers with an error. */
export function refuse(desk: Desk, request: Request, errno: Errno): void {
  desk.counters.errors++
  replyError(desk.outbox, request, errno, desk.agreement.structured)
  desk.window.replied(costOf(request))
}

/** Bytes of data that a request keeps in memory here: its payload or what it reads. */
export const costOf = ({ type, length }: Request): number =>
  type === COMMAND.read || type === COMMAND.write ? length : 0

function succeed(desk: Desk, request: Request): void {
  replySuccess(desk.outbox, request, desk.agreement.structured)
  desk.window.replied(costOf(request))
}

/**
 * NBD-5.2: runs a device's method, at once where it answers at once, and has the answer or the error replied.
 *
 * @param reply puts the reply into the outbox; by default that of success without data
 * @param done called when the device is done, whatever came of it
 */
function settle<T>(
  desk: Desk,
  request: Request,
  work: () => MaybePromise<T>,
  reply: (result: T) => void = () => replySuccess(desk.outbox, request, desk.agreement.structured),
  done?: () => void,
): void {
  const failed = (error: unknown): void => {
    const errno = errnoOf(error)
    if (errno !== ERRNO.ENOTSUP) desk.onError(error)
    done?.()
    refuse(desk, request, errno)
  }
  const succeeded = (result: T): void => {
    try {
      reply(result)
    } catch (error) {
      failed(error)
      return
    }
    done?.()
    desk.window.replied(costOf(request))
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

function read(desk: Desk, request: Request): void {
  const { agreement, counters, outbox, onError } = desk
  const { offset, length } = request
  const { device } = agreement.export
  const release = releaser(device, onError)
  counters.reads++
  if (mayBeSparse(request, agreement)) {
    settle(
      desk,
      request,
      () => readSparsely(device, offset, length, release),
      (pieces) => {
        counters.bytesRead += length
        replySparse(outbox, request, pieces, release)
      },
    )
    return
  }
  settle(
    desk,
    request,
    () => device.read(offset, length),
    (data) => {
      if (dataLength(data) !== length) {
        release?.(data)
        throw new Error(`the device read ${dataLength(data)} bytes instead of ${length}`)
      }
      counters.bytesRead += length
      replyData(outbox, request, data, agreement.structured, release)
    },
  )
}

/** NBD-3.7. */
function zero(desk: Desk, request: Request): void {
  const { offset, length, flags } = request
  const zeroFlags = {
    fua: (flags & COMMAND_FLAGS.fua) !== 0,
    noHole: (flags & COMMAND_FLAGS.noHole) !== 0,
    fast: (flags & COMMAND_FLAGS.fastZero) !== 0,
  }
  desk.counters.zeroings++
  settle(desk, request, () => desk.agreement.export.device.writeZeroes!(offset, length, zeroFlags))
}

function blockStatus(desk: Desk, request: Request): void {
  const { offset, length, flags } = request
  const one = (flags & COMMAND_FLAGS.requestOne) !== 0
  desk.counters.others++
  settle(
    desk,
    request,
    () => desk.agreement.export.device.blockStatus!(offset, length, { maxExtents: one ? 1 : MAX_EXTENTS }),
    (extents) => desk.outbox.append(blockStatusReply(request, BASE_ALLOCATION_ID, statusExtents(extents, length, one))),
  )
}

function flush(desk: Desk, request: Request): void {
  const { device, readOnly } = desk.agreement.export
  desk.counters.flushes++
  settle(desk, request, () => (readOnly ? undefined : device.flush()))
}

/** NBD-3.9. */
const writeFlags = ({ flags }: Request): WriteFlags => ((flags & COMMAND_FLAGS.fua) === 0 ? PLAIN : DURABLE)

const isPromise = <T>(value: MaybePromise<T>): value is Promise<T> =>
  typeof (value as { then?: unknown } | undefined)?.then === "function"
