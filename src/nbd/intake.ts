/** Bytes read at once when no payload is awaited. */
const INBOX = 64 * 1024
/** Less room than this at the end of the inbox is not worth a read. */
const MIN_ROOM = 4096

/**
 * What a connection has received and not yet used, with no I/O of its own. Headers are read out of an inbox; a payload that
 * has not arrived yet is received straight into its own memory.
 */
export interface Intake {
  /** Where the next bytes belong; it stays so until `filled`, whatever is called between. */
  target(): Uint8Array
  /** The first `length` bytes of the target have been received. */
  filled(length: number): void
  /** Bytes received and not used. */
  readonly waiting: number
  /** The next `length` bytes, valid until the next `target()`; `undefined` while they are not all there. */
  take(length: number): Buffer | undefined
  /** The next bytes go into `payload`; `ready()` tells when it is full. */
  collect(payload: Uint8Array): void
  /** The next `length` bytes are of no use. */
  skip(length: number): void
  /** Whether everything collected or skipped has arrived. */
  ready(): boolean
}

export function createIntake(): Intake {
  let inbox = Buffer.allocUnsafeSlow(INBOX)
  let start = 0
  let end = 0
  let payload: Uint8Array | undefined
  let collected = 0
  let skipping = 0
  let targetIsPayload = false

  const makeRoom = (): void => {
    if (start === end) {
      start = 0
      end = 0
    }
    if (inbox.length - end >= MIN_ROOM) return
    const rest = inbox.subarray(start, end)
    if (inbox.length - rest.length < MIN_ROOM) inbox = Buffer.allocUnsafeSlow(rest.length + INBOX)
    inbox.set(rest, 0)
    end = rest.length
    start = 0
  }

  const drain = (): void => {
    if (skipping > 0) {
      const skipped = Math.min(skipping, end - start)
      start += skipped
      skipping -= skipped
    }
    if (payload !== undefined && end > start) {
      const moved = Math.min(payload.length - collected, end - start)
      payload.set(inbox.subarray(start, start + moved), collected)
      start += moved
      collected += moved
    }
    if (payload !== undefined && collected === payload.length) payload = undefined
  }

  return {
    target() {
      drain()
      targetIsPayload = payload !== undefined && skipping === 0
      if (targetIsPayload) return payload!.subarray(collected)
      makeRoom()
      return inbox.subarray(end)
    },
    filled(length) {
      if (targetIsPayload) collected += length
      else end += length
    },
    get waiting() {
      return end - start
    },
    take(length) {
      if (end - start < length) return undefined
      start += length
      return inbox.subarray(start - length, start)
    },
    collect(bytes) {
      payload = bytes
      collected = 0
    },
    skip(length) {
      skipping = length
    },
    ready() {
      drain()
      return payload === undefined && skipping === 0
    },
  }
}
