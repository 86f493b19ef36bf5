import type { MaybePromise } from "../core/index.ts"
import type { Usage } from "./cache-limits.ts"
import type { CachedKey } from "./cached-key.ts"
import type { Instant } from "./stopwatch.ts"

interface Waiter {
  readonly deliver: (key: CachedKey | undefined) => void
  readonly fail: (error: unknown) => void
}

/**
 * One call to a keyring for everybody who misses the same key meanwhile. A waiter that aborts leaves alone; the call
 * itself aborts with the last one.
 */
export class SharedCall {
  readonly since: Instant
  /** Messages that wait for the key, counted before it exists. */
  readonly usage: Usage
  readonly #waiters = new Set<Waiter>()
  readonly #controller = new AbortController()
  #onSettled: () => void

  /** @param onSettled called once, when nobody may join any more */
  constructor(since: Instant, usage: Usage, onSettled: () => void) {
    this.since = since
    this.usage = usage
    this.#onSettled = onSettled
  }

  /**
   * @param take makes of the shared key what one waiter gets; called for every waiter before any of them runs
   */
  join<T>(signal: AbortSignal | undefined, take: (key: CachedKey | undefined) => T): Promise<T> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waiters.delete(waiter)
        signal?.removeEventListener("abort", onAbort)
      }
      const waiter: Waiter = {
        deliver: (key) => {
          leave()
          resolve(take(key))
        },
        fail: (error) => {
          leave()
          reject(error)
        },
      }
      const onAbort = () => {
        waiter.fail(signal!.reason)
        if (this.#waiters.size === 0) this.#abandon(signal!.reason)
      }
      this.#waiters.add(waiter)
      signal?.addEventListener("abort", onAbort, { once: true })
    })
  }

  /** @param work the call; its key is nobody's until delivered, and given up when all waiters have left */
  async run(work: (signal: AbortSignal) => MaybePromise<CachedKey | undefined>): Promise<void> {
    try {
      const key = await work(this.#controller.signal)
      this.#settle()
      // Held until every waiter has its own hold: none of them may see it overwritten.
      const release = key?.acquire()
      for (const waiter of [...this.#waiters]) waiter.deliver(key)
      release?.()
    } catch (error) {
      this.#settle()
      for (const waiter of [...this.#waiters]) waiter.fail(error)
    }
  }

  #abandon(reason: unknown): void {
    this.#settle()
    this.#controller.abort(reason)
  }

  #settle(): void {
    this.#onSettled()
    this.#onSettled = () => {}
  }
}
