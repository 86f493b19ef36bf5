/** Lets many run side by side, or one alone. */
export interface Exclusion {
  /** Whether one runs alone, or waits to. */
  readonly closed: boolean
  /** Whether nobody is inside, or waits. */
  readonly idle: boolean
  enter(): void
  leave(): void
  /** Runs `work` when nobody is inside, and lets nobody in before it ends. In order of the calls. */
  alone<T>(work: () => Promise<T> | T): Promise<T>
}

/** @param onOpen called when others may enter again */
export function exclusion(onOpen: () => void): Exclusion {
  let inside = 0
  let waiting = 0
  let tail: Promise<unknown> = Promise.resolve()
  let emptied: (() => void) | undefined
  const empty = (): Promise<void> => {
    if (inside === 0) return Promise.resolve()
    return new Promise((resolve) => {
      emptied = resolve
    })
  }
  return {
    get closed() {
      return waiting > 0
    },
    get idle() {
      return inside === 0 && waiting === 0
    },
    enter() {
      inside++
    },
    leave() {
      inside--
      if (inside > 0) return
      emptied?.()
      emptied = undefined
    },
    alone(work) {
      waiting++
      const run = tail.then(async () => {
        await empty()
        try {
          return await work()
        } finally {
          waiting--
          if (waiting === 0) onOpen()
        }
      })
      tail = run.catch(() => {})
      return run
    },
  }
}
