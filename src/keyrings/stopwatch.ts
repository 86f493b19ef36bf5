/** A moment on two clocks. */
export interface Instant {
  readonly steady: number
  readonly wall: number
}

/** Measures ages, in milliseconds. */
export interface Stopwatch {
  now(): Instant
  age(since: Instant): number
}

/**
 * Ages by the steady clock or by the wall clock, whichever says more: the steady one stands still while the machine
 * sleeps, the wall clock may be set back. With a clock of the caller's, by that one alone.
 *
 * @param clock milliseconds since any fixed moment
 */
export function stopwatch(clock?: () => number): Stopwatch {
  if (clock !== undefined) {
    return { now: () => ({ steady: clock(), wall: 0 }), age: ({ steady }) => clock() - steady }
  }
  return {
    now: () => ({ steady: performance.now(), wall: Date.now() }),
    age: ({ steady, wall }) => Math.max(performance.now() - steady, Date.now() - wall),
  }
}
