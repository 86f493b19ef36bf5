import { createHmac } from "node:crypto"
import { EnvelopeError } from "../core/index.ts"
import { randomBytes } from "../crypto/index.ts"

/** With random ivs, NIST SP 800-38D, section 8.3, allows 2^32 invocations under one key. */
const REFUSE_AT = 2 ** 32
const WARN_AT = 2 ** 31

/** Counts by key, not by keyring, so that two keyrings over one key share the count; keyed so that it gives no key away. */
let processSecret: Uint8Array | undefined
const counters = /* @__PURE__ */ new Map<string, WrapCounter>()

export interface WrapCounter {
  count: number
}

/** The count of AES-GCM wraps under one wrapping key in this process. */
export function wrapCounter(wrappingKey: Uint8Array): WrapCounter {
  processSecret ??= randomBytes(32)
  const id = createHmac("sha256", processSecret).update(wrappingKey).digest("base64")
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
