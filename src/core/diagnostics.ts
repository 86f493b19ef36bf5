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

/** What a subscriber of `kms-envelope:encrypt` and `kms-envelope:decrypt` sees; fields are filled in as they become known. */
export interface MessageTrace {
  /** `encrypt`, `decrypt`, `encryptStream`, `decryptStream` or `openMessage`. */
  operation: string
  suiteId?: number
  plaintextLength?: number
  wrappedKeyCount?: number
  keyring: string
  error?: unknown
}

/** What a subscriber of `kms-envelope:kms` sees. */
export interface KmsTrace {
  /** `GenerateDataKey`, `GenerateDataKeyWithoutPlaintext`, `Encrypt` or `Decrypt`. */
  operation: string
  keyId: string
  requestId?: string
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

/** Runs `work`, traced when anybody listens; costs one check when nobody does. */
export function traced<T>(
  operation: TracedOperation,
  describe: () => MessageTrace | KmsTrace,
  work: (trace: MessageTrace | KmsTrace | undefined) => MaybePromise<T>,
): MaybePromise<T> {
  if (!hasSubscribers(operation)) return work(undefined)
  const trace = describe()
  return tracedResult(operation, trace, work)
}

/** `tracePromise` publishes what its function resolves to, here keys and plaintext: so the result goes past it. */
async function tracedResult<T>(
  operation: TracedOperation,
  trace: MessageTrace | KmsTrace,
  work: (trace: MessageTrace | KmsTrace) => MaybePromise<T>,
): Promise<T> {
  let result: { value: T } | undefined
  await tracing[operation].tracePromise(async () => {
    result = { value: await work(trace) }
  }, trace)
  return result!.value
}

export function traceCache(event: CacheTrace): void {
  if (cacheChannel.hasSubscribers) cacheChannel.publish(event)
}
