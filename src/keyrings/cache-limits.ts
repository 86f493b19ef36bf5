/** What a data key has served so far. */
export interface Usage {
  messages: number
  /** Bytes of plaintext. */
  bytes: number
}

/** How far one data key may go, checked. */
export interface CacheLimits {
  readonly maxAgeMs: number
  readonly maxMessages: number
  readonly maxBytes: number
}

/** Specification: framework/caching-cmm, "Limit Messages": the default and the most that may be set. */
const MOST_MESSAGES = 2 ** 32

/** @throws RangeError for a limit out of its range */
export function checkLimits(options: {
  readonly maxAgeSeconds: number
  readonly maxMessages?: number
  readonly maxBytes?: number
}): CacheLimits {
  const { maxAgeSeconds, maxMessages = MOST_MESSAGES, maxBytes = Number.POSITIVE_INFINITY } = options
  if (typeof maxAgeSeconds !== "number" || !Number.isFinite(maxAgeSeconds) || maxAgeSeconds <= 0) {
    throw new RangeError("maxAgeSeconds must be a number above 0")
  }
  if (!Number.isInteger(maxMessages) || maxMessages < 1 || maxMessages > MOST_MESSAGES) {
    throw new RangeError("maxMessages must be a whole number from 1 to 2^32")
  }
  if (maxBytes !== Number.POSITIVE_INFINITY && (!Number.isSafeInteger(maxBytes) || maxBytes < 0)) {
    throw new RangeError("maxBytes must be a whole number of bytes, 0 or more, or Infinity")
  }
  return { maxAgeMs: maxAgeSeconds * 1000, maxMessages, maxBytes }
}

/**
 * Counts one more message, unless a limit forbids it.
 *
 * @returns the limit, or undefined when the message is counted
 */
export function countMessage(usage: Usage, length: number, limits: CacheLimits): "messages" | "bytes" | undefined {
  if (usage.messages >= limits.maxMessages) return "messages"
  if (usage.bytes + length > limits.maxBytes) return "bytes"
  usage.messages++
  usage.bytes += length
  return undefined
}
