/** Requests up to so many bytes are tried at once. */
const SMALL = 2 ** 16
/** One that took longer, in milliseconds, was not answered by the page cache. */
const SLOW = 0.5
/** Requests that go through a thread before the next attempt: at first, and at most. */
const FIRST_REST = 16
const MAX_REST = 1024

/**
 * Decides whether a small request is made at once, on the thread that asks. The page cache answers in two microseconds, and
 * the way through a thread of the pool costs ten times as much. Where a request had to wait for the disk, the next ones go
 * through threads, more of them each time, so that a slow disk holds up others for one request in a thousand.
 */
export interface Eagerness {
  mayTry(length: number): boolean
  /** Runs a request at once, and learns from how long it took. */
  attempt<T>(work: () => T): T
}

export function eagerness(): Eagerness {
  let rest = 0
  let nextRest = FIRST_REST
  return {
    mayTry: (length) => length <= SMALL && (rest === 0 || --rest === 0),
    attempt(work) {
      const start = performance.now()
      const result = work()
      if (performance.now() - start > SLOW) {
        rest = nextRest
        nextRest = Math.min(nextRest * 2, MAX_REST)
      } else {
        nextRest = FIRST_REST
      }
      return result
    },
  }
}
