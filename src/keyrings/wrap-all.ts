import { EnvelopeError, type Keyring, type UnwrapRequest, type WrapRequest, type WrapResult } from "../core/index.ts"
import { constantTimeEqual, wipe } from "../crypto/index.ts"
import { linkedController } from "./abort.ts"
import { combineFailures, type Failure } from "./failures.ts"
import { checkDataKeyLength, checkWrapResult } from "./materials.ts"

/** When a failed keyring fails the whole. */
export interface WrapRule {
  /** True for errors after which the others go on. */
  readonly tolerate: (error: unknown) => boolean
  /** Fewer wrapped keys than this fail the whole, whatever was tolerated. */
  readonly minimumWrappedKeys: number
}

export const STRICT: WrapRule = { tolerate: () => false, minimumWrappedKeys: 1 }

/**
 * Wraps one data key with every keyring: the one given, or one that the first keyring generates (or, where its failure
 * is tolerated, the next). The others wrap at the same time. Whatever fails, no generated data key stays in memory.
 */
export async function wrapWithAll(
  keyrings: readonly Keyring[],
  request: WrapRequest,
  rule: WrapRule,
): Promise<WrapResult> {
  const failures: Failure[] = []
  const generated = request.dataKey ? undefined : await generateWithFirst(keyrings, request, rule, failures)
  const dataKey = request.dataKey ?? generated!.dataKey
  try {
    const others = generated ? keyrings.slice(generated.used) : keyrings
    const results = await wrapEach(others, { ...request, dataKey }, rule, failures)
    const wrappedKeys = [...(generated?.wrappedKeys ?? []), ...results.flatMap((result) => result.wrappedKeys)]
    if (wrappedKeys.length < rule.minimumWrappedKeys) throw combineFailures("WrapFailed", failures)
    return { dataKey, wrappedKeys }
  } catch (error) {
    if (generated) wipe(generated.dataKey)
    throw error
  }
}

/** @returns with `used`, the number of keyrings that were asked */
async function generateWithFirst(
  keyrings: readonly Keyring[],
  request: WrapRequest,
  rule: WrapRule,
  failures: Failure[],
): Promise<WrapResult & { used: number }> {
  for (const [i, keyring] of keyrings.entries()) {
    try {
      const result = await keyring.wrap(request)
      checkWrapResult(keyring, request.suite, result)
      return { ...result, used: i + 1 }
    } catch (error) {
      if (request.signal?.aborted || !rule.tolerate(error)) throw error
      failures.push({ keyring: keyring.name, error })
    }
  }
  throw combineFailures("WrapFailed", failures)
}

/** Waits for every keyring, so that none still reads the data key when the caller overwrites it. */
async function wrapEach(
  keyrings: readonly Keyring[],
  request: WrapRequest & { dataKey: Uint8Array },
  rule: WrapRule,
  failures: Failure[],
): Promise<WrapResult[]> {
  const { controller, unlink } = linkedController(request.signal)
  let fatal: { error: unknown } | undefined
  const wrapOne = async (keyring: Keyring): Promise<WrapResult[]> => {
    try {
      const result = await keyring.wrap({ ...request, signal: controller.signal })
      checkSameDataKey(keyring, request, result)
      return [result]
    } catch (error) {
      if (request.signal?.aborted || !rule.tolerate(error)) {
        fatal ??= { error }
        controller.abort(error)
      } else failures.push({ keyring: keyring.name, error })
      return []
    }
  }
  const results = await Promise.all(keyrings.map(wrapOne))
  unlink()
  if (fatal !== undefined) throw fatal.error
  return results.flat()
}

function checkSameDataKey(
  keyring: Keyring,
  { dataKey, suite }: WrapRequest & { dataKey: Uint8Array },
  result: WrapResult,
) {
  const same = constantTimeEqual(result.dataKey, dataKey)
  if (result.dataKey !== dataKey) wipe(result.dataKey)
  if (!same)
    throw new EnvelopeError("WrapFailed", `keyring ${keyring.name} wrapped another data key than the one given`)
  checkWrapResult(keyring, suite, { ...result, dataKey })
}

/**
 * The first data key that a keyring unwraps, in order (MSG-4.7). Later keyrings are asked when earlier ones fail.
 *
 * @returns undefined when no wrapped key belongs to any keyring
 * @throws the one failure, or `UnwrapFailed` with all of them
 */
export async function unwrapWithFirst(
  keyrings: readonly Keyring[],
  request: UnwrapRequest,
): Promise<Uint8Array | undefined> {
  const failures: Failure[] = []
  for (const keyring of keyrings) {
    request.signal?.throwIfAborted()
    try {
      const dataKey = await keyring.unwrap(request)
      if (dataKey === undefined) continue
      checkDataKeyLength(keyring.name, request.suite, dataKey)
      return dataKey
    } catch (error) {
      if (request.signal?.aborted) throw error
      failures.push({ keyring: keyring.name, error })
    }
  }
  if (failures.length === 0) return undefined
  throw combineFailures("UnwrapFailed", failures)
}
