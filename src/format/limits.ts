/** MSG-9.1: limits checked before memory is allocated. Each is an option of the calls that read or write messages. */
export interface Limits {
  /** Wrapped keys in one message; default 16, at most 65,535. */
  readonly maxWrappedKeys: number
  /** Bytes of the header with its tag; default 131,072 (128 KiB). */
  readonly maxHeaderLength: number
  /** Bytes of the serialised encryption context; default 8,192 (8 KiB), at most 65,535. */
  readonly maxContextLength: number
  /** Bytes of plaintext in one frame, on reading; default 67,108,864 (64 MiB). */
  readonly maxFrameLength: number
  /** Bytes of a message (or of its plaintext) held in memory as a whole; default 2,147,483,648 (2 GiB). */
  readonly maxMessageLength: number
  /**
   * Bytes that a stream or a range read holds back until their tag verifies; default 67,108,864 (64 MiB). It bounds
   * non-framed messages, which have one tag, and messages with giant frames.
   */
  readonly maxUnauthenticatedBytes: number
}

const defaults: Limits = {
  maxWrappedKeys: 16,
  maxHeaderLength: 128 * 1024,
  maxContextLength: 8 * 1024,
  maxFrameLength: 64 * 1024 * 1024,
  maxMessageLength: 2 * 1024 * 1024 * 1024,
  maxUnauthenticatedBytes: 64 * 1024 * 1024,
}

/** @throws RangeError for a limit that is not a whole number from 0 to 2^53 - 1 */
export const resolveLimits = (options: Partial<Limits>): Limits => ({
  maxWrappedKeys: limit(options, "maxWrappedKeys"),
  maxHeaderLength: limit(options, "maxHeaderLength"),
  maxContextLength: limit(options, "maxContextLength"),
  maxFrameLength: limit(options, "maxFrameLength"),
  maxMessageLength: limit(options, "maxMessageLength"),
  maxUnauthenticatedBytes: limit(options, "maxUnauthenticatedBytes"),
})

function limit(options: Partial<Limits>, name: keyof Limits): number {
  const value = options[name] ?? defaults[name]
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`${name} must be a whole number, 0 or more`)
  return value
}
