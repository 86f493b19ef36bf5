import { concatBytes } from "../core/index.ts"
import { type Inspected, type InspectOptions, inspect } from "../message/index.ts"
import { looksLikeBase64 } from "./base64.ts"
import { CliError } from "./failures.ts"

type Chunks = AsyncIterable<Uint8Array>

export interface Peeked {
  /** Not authenticated: good for choosing a KMS, no more. */
  readonly message: Inspected
  /** The whole input again, from its beginning. */
  readonly chunks: Chunks
  /** Its beginning, header included. */
  readonly head: Uint8Array
}

/**
 * Reads as far as the end of the header.
 *
 * @throws EnvelopeError what `inspect` throws; a header is refused as soon as it is above a limit
 */
export async function peekMessage(chunks: Chunks, options: InspectOptions): Promise<Peeked> {
  const iterator = chunks[Symbol.asyncIterator]()
  let head: Uint8Array = new Uint8Array(0)
  for (;;) {
    const { value, done } = await iterator.next()
    if (!done) head = head.length === 0 ? value : concatBytes([head, value])
    const message = tryInspect(head, options, done === true)
    if (message !== undefined) return { message, chunks: replay(head, iterator), head }
  }
}

// --- internal ---

async function* replay(head: Uint8Array, rest: AsyncIterator<Uint8Array>): Chunks {
  yield head
  yield* { [Symbol.asyncIterator]: () => rest }
}

/** @returns undefined when there may be more of the header to come */
function tryInspect(head: Uint8Array, options: InspectOptions, isAll: boolean): Inspected | undefined {
  if (head.length === 0 && isAll) throw new CliError("truncated", "the input is empty")
  try {
    return inspect(head, options)
  } catch (error) {
    const { code } = error as { code?: unknown }
    if (code === "TruncatedMessage" && !isAll) return undefined
    if (code !== "MalformedMessage" && code !== "UnsupportedFormat") throw error
    const hint = looksLikeBase64(head) ? "it looks like a message in base64: add --base64" : undefined
    throw new CliError("notAMessage", (error as Error).message, { hint, cause: error })
  }
}
