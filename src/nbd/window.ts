import type { Outbox } from "./outbox.ts"
import type { Counters } from "./stats.ts"

/** NBD-5.1: the requests of one connection that are under way, from the first byte taken to the last byte of reply sent. */
export interface Window {
  /** A request is taken. @param bytes of its data */
  begin(bytes: number): void
  /** Its reply is in the outbox; replies of one turn of the event loop go out together. */
  replied(bytes: number): void
  /** It will never be answered. */
  abandon(bytes: number): void
  /** Replies that `work` gives at once go out together, when it is done. */
  gather(work: () => void): void
  readonly full: boolean
  readonly count: number
}

export interface WindowOptions {
  readonly outbox: Outbox
  readonly counters: Counters
  /** Requests, above which no more are taken. */
  readonly maxRequests: number
  /** Bytes of their data, above which no more are taken; the request that crosses the limit still is. */
  readonly maxBytes: number
  /** Told after replies have gone out. */
  readonly onSent: () => void
}

export function createWindow({ outbox, counters, maxRequests, maxBytes, onSent }: WindowOptions): Window {
  let count = 0
  let bytes = 0
  let repliedCount = 0
  let repliedBytes = 0
  let gathering = false
  let scheduled = false

  const end = (requests: number, ofBytes: number): void => {
    count -= requests
    bytes -= ofBytes
    counters.inFlight -= requests
  }

  const send = (): void => {
    scheduled = false
    if (repliedCount === 0) return
    const [requests, ofBytes] = [repliedCount, repliedBytes]
    repliedCount = 0
    repliedBytes = 0
    outbox.flush(() => {
      end(requests, ofBytes)
      onSent()
    })
  }

  return {
    begin(ofBytes) {
      count++
      bytes += ofBytes
      counters.inFlight++
    },
    replied(ofBytes) {
      repliedCount++
      repliedBytes += ofBytes
      if (gathering || scheduled) return
      scheduled = true
      setImmediate(send)
    },
    abandon: (ofBytes) => end(1, ofBytes),
    gather(work) {
      gathering = true
      try {
        work()
      } finally {
        gathering = false
        send()
      }
    },
    get full() {
      return count >= maxRequests || bytes >= maxBytes
    },
    get count() {
      return count
    },
  }
}
