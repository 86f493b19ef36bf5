import { createHmac } from "node:crypto"
import { EnvelopeError } from "../core/index.ts"
import { randomBytes } from "../crypto/index.ts"

/** With random ivs, NIST SP 800-38D, section 8.3, allows 2^32 invocations under one key. */
const REFUSE_AT = 2 ** 32
const WARN_AT = 2 ** 31

interface WrapCounts {
  /** Keys the ids of the counters, so that they give no wrapping key away. */
  readonly secret: Uint8Array
  readonly counters: Map<string, WrapCounter>
}

const SLOT = /* @__PURE__ */ Symbol.for("kms-envelope.wrapCounts")

/**
 * One for the process, not for each copy of this library in it (ESM beside CommonJS). Counts by key, not by keyring, so
 * that two keyrings over one key share the count.
 */
function wrapCounts(): WrapCounts {
  const holder = globalThis as { [SLOT]?: WrapCounts }
  holder[SLOT] ??= { secret: randomBytes(32), counters: new Map() }
  return holder[SLOT]
}

export interface WrapCounter {
  count: number
}

/** The count of AES-GCM wraps under one wrapping key in this process. */
export function wrapCounter(wrappingKey: Uint8Array): WrapCounter {
  const { secret, counters } = wrapCounts()
  const id = createHmac("sha256", secret).update(wrappingKey).digest("base64")
  let counter = counters.get(id)
  if (counter === undefined) {
    counter = { count: 0 }
    counters.set(id, counter)
  }
  return counter
}

/** @throws EnvelopeError `LimitExceeded` at 2^32 wraps; warns once at 2^31 */
export function countWrap(counter: WrapCounter, keyringName: string): void {
  if (counter.count >= REFUSE_AT) {
    throw new EnvelopeError(
      "LimitExceeded",
      `keyring ${keyringName} has wrapped 2^32 data keys in this process, the most that AES-GCM with random ivs allows: use a new wrapping key`,
    )
  }
  counter.count++
  if (counter.count === WARN_AT) {
    process.emitWarning(
      `keyring ${keyringName} has wrapped 2^31 data keys in this process and refuses at 2^32: plan a new wrapping key`,
      { code: "KMS_ENVELOPE_WRAP_COUNT" },
    )
  }
}
