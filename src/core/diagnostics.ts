import { AsyncResource } from "node:async_hooks"
import { channel, tracingChannel } from "node:diagnostics_channel"
import type { MaybePromise } from "./types.ts"

/**
 * Tracing channels (start, end, asyncStart, asyncEnd, error) and one plain channel, described in docs/guide/telemetry.md.
 * No payload holds a key or plaintext.
 */
const tracing = {
  encrypt: tracingChannel("kms-envelope:encrypt"),
  decrypt: tracingChannel("kms-envelope:decrypt"),
  kms: tracingChannel("kms-envelope:kms"),
}
const cacheChannel = channel("kms-envelope:cache")

export type TracedOperation = keyof typeof tracing

/**
 * What a subscriber of `kms-envelope:encrypt` and `kms-envelope:decrypt` sees. Fields are filled in as they become known;
 * what a message to decrypt says of itself is authentic only when the operation succeeds.
 */
export interface MessageTrace {
  /**
   * `encrypt`, `decrypt`, `encryptInto`, `decryptInto`, `encryptFile`, `decryptFile`, `encryptStream`, `decryptStream`,
   * `openMessage`, `getObject`, or `reencrypt` on both channels.
   */
  operation: string
  /** For instance 0x0478. */
  suiteId?: number
  /** Bytes; of a stream that fails, those it took in (encrypt) or gave out (decrypt). */
  plaintextLength?: number
  wrappedKeyCount?: number
  /** The keyring's name. */
  keyring: string
  /** What the operation failed with. */
  error?: unknown
}

/** What a subscriber of `kms-envelope:kms` sees. */
export interface KmsTrace {
  /** `GenerateDataKey`, `GenerateDataKeyWithoutPlaintext`, `Encrypt`, `Decrypt` or `ReEncrypt`. */
  operation: string
  /** As it was sent: a key ARN, an alias or a key id; empty where only the ciphertext names the key. */
  keyId: string
  /** KMS's own, as it stands in CloudTrail; once it answered. */
  requestId?: string
  /** What the call failed with. */
  error?: unknown
}

/** What a subscriber of `kms-envelope:cache` sees, one message for each decision. */
export interface CacheTrace {
  side: "encrypt" | "decrypt"
  decision: "hit" | "miss" | "bypass" | "evict"
  /** Why, for instance `age`, `messages`, `bytes`, `capacity`, `closed`, `no-key-derivation`, `unknown-length`. */
  reason?: string
}

const hasSubscribers = (operation: TracedOperation): boolean => {
  const { start, end, asyncStart, asyncEnd, error } = tracing[operation]
  return (
    start.hasSubscribers ||
    end.hasSubscribers ||
    asyncStart.hasSubscribers ||
    asyncEnd.hasSubscribers ||
    error.hasSubscribers
  )
}

interface Traces {
  encrypt: MessageTrace
  decrypt: MessageTrace
  kms: KmsTrace
}

/** Runs `work`, traced when anybody listens; costs one check when nobody does. */
export function traced<O extends TracedOperation, T>(
  operation: O,
  describe: () => Traces[O],
  work: (trace: Traces[O] | undefined) => MaybePromise<T>,
): MaybePromise<T> {
  if (!hasSubscribers(operation)) return work(undefined)
  return tracedResult(operation, describe(), work)
}

/** `tracePromise` publishes what its function resolves to, here keys and plaintext: so the result goes past it. */
async function tracedResult<O extends TracedOperation, T>(
  operation: O,
  trace: Traces[O],
  work: (trace: Traces[O]) => MaybePromise<T>,
): Promise<T> {
  let result: { value: T } | undefined
  await tracing[operation].tracePromise(async () => {
    result = { value: await work(trace) }
  }, trace)
  return result!.value
}

/** A trace of work that no single call encloses, such as a stream. */
export interface OpenTrace {
  readonly trace: MessageTrace
  /** Runs `work` inside the trace, so that KMS calls it makes are children of it. */
  run<T>(work: () => T): T
  /** Ends the trace once; later calls do nothing. */
  end(error?: unknown): void
}

/** @returns undefined when nobody listens */
export function openTrace(operation: "encrypt" | "decrypt", describe: () => MessageTrace): OpenTrace | undefined {
  if (!hasSubscribers(operation)) return undefined
  const trace = describe()
  let scope!: AsyncResource
  let settle!: (error?: unknown) => void
  const work = () =>
    new Promise<void>((resolve, reject) => {
      scope = new AsyncResource("kms-envelope")
      settle = (error) => (error === undefined ? resolve() : reject(error))
    })
  tracing[operation].tracePromise(work, trace).catch(() => {})
  return { trace, run: (inside) => scope.runInAsyncScope(inside), end: settle }
}

export function traceCache(event: CacheTrace): void {
  if (cacheChannel.hasSubscribers) cacheChannel.publish(event)
}
