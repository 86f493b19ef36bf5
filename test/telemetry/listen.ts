import { channel, tracingChannel } from "node:diagnostics_channel"
import type { CacheTrace, KmsTrace, MessageTrace } from "../../src/index.ts"

export type Moment = "start" | "end" | "asyncStart" | "asyncEnd" | "error"

/** One publication, and the payload as it stood then. */
export interface Heard {
  readonly channel: string
  readonly moment: Moment | "message"
  readonly payload: Partial<MessageTrace & KmsTrace & CacheTrace>
}

const TRACING = ["kms-envelope:encrypt", "kms-envelope:decrypt", "kms-envelope:kms"]
const CACHE = "kms-envelope:cache"
const MOMENTS: readonly Moment[] = ["start", "end", "asyncStart", "asyncEnd", "error"]

/**
 * Subscribes to every channel of the library.
 *
 * @param each called with the very object that is published
 */
export function listen(each: (payload: object) => void = () => {}): { heard: Heard[]; [Symbol.dispose](): void } {
  const heard: Heard[] = []
  const stop: (() => void)[] = []
  const take = (name: string, moment: Heard["moment"]) => (payload: unknown) => {
    heard.push({ channel: name, moment, payload: { ...(payload as object) } })
    each(payload as object)
  }
  for (const name of TRACING) {
    const subscribers = Object.fromEntries(MOMENTS.map((moment) => [moment, take(name, moment)])) as unknown as Record<
      Moment,
      (payload: object) => void
    >
    tracingChannel(name).subscribe(subscribers)
    stop.push(() => tracingChannel(name).unsubscribe(subscribers))
  }
  const subscriber = take(CACHE, "message")
  channel(CACHE).subscribe(subscriber)
  stop.push(() => channel(CACHE).unsubscribe(subscriber))
  return {
    heard,
    [Symbol.dispose]: () => {
      for (const each of stop) each()
    },
  }
}

/** The payloads at the end of each operation of a tracing channel. */
export const ended = (heard: readonly Heard[], name: string) =>
  heard.filter((one) => one.channel === name && one.moment === "asyncEnd").map((one) => one.payload)

export const cacheDecisions = (heard: readonly Heard[]): string[] =>
  heard
    .filter((one) => one.channel === CACHE)
    .map(({ payload: { side, decision, reason } }) => [side, decision, reason].filter(Boolean).join(" "))

export const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
