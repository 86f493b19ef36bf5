import { setImmediate } from "node:timers/promises"

/** Up to this many bytes of plaintext are worked at once, in less than a millisecond; more would hold up the event loop. */
export const AT_ONCE = 1024 * 1024

/** Bytes worked in this turn of the event loop, by whatever is under way in the process; and the wait for the next. */
let worked = 0
let next: Promise<void> | undefined

/**
 * Counts bytes that are about to be worked. All bulk work of the process shares one allowance a turn, so that many
 * streams at once hold up the event loop no longer than one, in the order in which they came.
 *
 * @returns nothing when there is room in this turn; else a promise, after which the work may begin
 */
export function takeTurn(bytes: number): Promise<void> | undefined {
  if (worked > 0 && worked + bytes > AT_ONCE) return waitFor(bytes)
  worked += bytes
  return undefined
}

async function waitFor(bytes: number): Promise<void> {
  do {
    next ??= setImmediate().then(() => {
      worked = 0
      next = undefined
    })
    await next
  } while (worked > 0 && worked + bytes > AT_ONCE)
  worked += bytes
}
