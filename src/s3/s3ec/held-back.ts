import { limitExceeded } from "../../core/index.ts"
import { wipe } from "../../crypto/index.ts"
import type { ReleasePolicy } from "./plan.ts"
import { spooled } from "./spool.ts"

/**
 * CSE-8.2: nothing comes out before `plaintext` came to its end without an error. What is held is overwritten when it does
 * not.
 *
 * @throws EnvelopeError `LimitExceeded` above the buffer's size where there is no spool
 */
export async function* heldBack(
  plaintext: AsyncGenerator<Uint8Array>,
  { bufferSize, spool }: ReleasePolicy & { when: "verified" },
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  const held: Uint8Array[] = []
  let length = 0
  try {
    for (;;) {
      const { done, value } = await plaintext.next()
      if (done) break
      held.push(value)
      length += value.length
      if (length <= bufferSize) continue
      if (spool === undefined) {
        throw limitExceeded(
          "the object's plaintext, in bytes, which the end alone authenticates,",
          length,
          bufferSize,
          "bufferSize, or spool",
        )
      }
      yield* spooled(spool, held, plaintext, signal)
      return
    }
    while (held.length > 0) yield held.shift()!
  } finally {
    wipe(...held)
    // Ends the source too, when nobody reads on.
    await plaintext.return(undefined)
  }
}
