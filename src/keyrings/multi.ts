import type { Keyring } from "../core/index.ts"
import { isUnavailable } from "./availability.ts"
import { STRICT, unwrapWithFirst, type WrapRule, wrapWithAll } from "./wrap-all.ts"

export interface MultiKeyringOptions {
  /** Generates the data key, and unwraps first. Without one the keyring only decrypts, or wraps a data key given to it. */
  readonly generator?: Keyring
  /** Wrap the data key of the generator; unwrap after it, in this order. */
  readonly children?: readonly Keyring[]
  /**
   * Encrypt also when some keyrings are out of reach, as long as the message holds at least this many wrapped keys.
   * When the generator is out of reach, the first child that can generates the data key. Absent: every keyring must
   * succeed. Only outages are tolerated (`tolerate`); a refusal always fails, for it would not pass by itself, and
   * messages would go on missing that key.
   */
  readonly minimumWrappedKeys?: number
  /**
   * Which errors count as an outage, with `minimumWrappedKeys`. Default: KMS throttling and internal errors, HTTP 5xx,
   * timeouts, failed connections, anywhere among an error's causes.
   */
  readonly tolerate?: (error: unknown) => boolean
}

/**
 * Wraps each data key with several keyrings, any of which can decrypt. Specification: framework/multi-keyring, except
 * that a multi keyring within another one wraps the data key it is given with its generator as well.
 *
 * Encrypting throws what the failed keyring threw (`WrapFailed` when fewer than `minimumWrappedKeys` succeed and several
 * failed) and `TypeError` without a generator. Decrypting asks the keyrings one after the other and returns the first
 * data key; a single failure is thrown as it is, several as `UnwrapFailed`, all of them in its cause, an `AggregateError`.
 *
 * @throws TypeError for no keyring at all, and for a caching keyring inside: cache the multi keyring instead
 * @throws RangeError for `minimumWrappedKeys` that is not a whole number from 1 to the number of keyrings
 */
export function multiKeyring(options: MultiKeyringOptions): Keyring {
  const { generator, children = [] } = options
  const keyrings = generator ? [generator, ...children] : [...children]
  checkKeyrings(keyrings)
  const rule = wrapRule(options, keyrings.length)
  return {
    name: `multi (${keyrings.map((keyring) => keyring.name).join(", ")})`,
    async wrap(request) {
      request.signal?.throwIfAborted()
      if (request.dataKey === undefined && generator === undefined) {
        throw new TypeError("this multiKeyring only decrypts: to encrypt, give it a generator")
      }
      return wrapWithAll(keyrings, request, rule)
    },
    unwrap: (request) => unwrapWithFirst(keyrings, request),
  }
}

function checkKeyrings(keyrings: readonly Keyring[]): void {
  if (keyrings.length === 0) throw new TypeError("multiKeyring needs a generator or children")
  for (const keyring of keyrings) {
    if (typeof keyring?.wrap !== "function" || typeof keyring.unwrap !== "function") {
      throw new TypeError("generator and children must be keyrings")
    }
    if (keyring.materials !== undefined) {
      throw new TypeError(
        `keyring ${keyring.name} cannot stand inside a multiKeyring: wrap the multiKeyring with the cachingKeyring instead`,
      )
    }
  }
}

function wrapRule({ minimumWrappedKeys, tolerate = isUnavailable }: MultiKeyringOptions, count: number): WrapRule {
  if (minimumWrappedKeys === undefined) return STRICT
  if (!Number.isInteger(minimumWrappedKeys) || minimumWrappedKeys < 1 || minimumWrappedKeys > count) {
    throw new RangeError(`minimumWrappedKeys must be a whole number from 1 to the number of keyrings, ${count}`)
  }
  return { tolerate: (error) => tolerate(error), minimumWrappedKeys }
}
