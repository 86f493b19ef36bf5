import { setImmediate } from "node:timers/promises"
import type { BytesLike, EncryptionContext, Keyring } from "../core/index.ts"
import { cachingKeyring } from "../keyrings/index.ts"
import { type Decrypted, decrypt } from "./decrypt.ts"
import { type EncryptInMemoryOptions, encrypt } from "./encrypt.ts"
import { planRead } from "./open.ts"
import type { DecryptOptions } from "./options.ts"
import { checkKeyring } from "./write.ts"

export interface EncryptManyItem {
  readonly plaintext: BytesLike
  /** Added to the context of the options; a pair given in both has this value. */
  readonly encryptionContext?: EncryptionContext
}

export interface ManyOptions {
  /** Calls to the keyring under way at once. Default 16. */
  readonly concurrency?: number
}

/**
 * Encrypts many small records, each into a message of its own, with one data key (and for signed suites one signing
 * key) for each distinct encryption context: a batch of one context costs one KMS call. A keyring that caches already
 * keeps to its own limits instead.
 *
 * @returns the messages in the order of the records
 * @throws what `encrypt` throws, for the first record that fails; no message is returned then
 */
export async function encryptMany(
  items: Iterable<EncryptManyItem | BytesLike>,
  options: EncryptInMemoryOptions & ManyOptions,
): Promise<Uint8Array[]> {
  const records = [...items].map((item) => (isItem(item) ? item : { plaintext: item }))
  return withSharedKeys(options.keyring, false, records.length, (keyring) =>
    mapSome(records, options.concurrency, ({ plaintext, encryptionContext }) =>
      encrypt(plaintext, {
        ...options,
        keyring,
        encryptionContext: { ...options.encryptionContext, ...encryptionContext },
      }),
    ),
  )
}

/**
 * Decrypts many messages. Those with the same wrapped keys and context, as `encryptMany` and a caching keyring write
 * them, share one call of the keyring. One bad message never costs the good ones.
 *
 * @param options the same for all; pairs of `encryptionContext` must be in every message
 * @returns in the order of the messages, what became of each: its plaintext, or the error `decrypt` has for it
 * @throws TypeError, RangeError for options that contradict themselves; the signal's reason
 */
export async function decryptMany(
  messages: Iterable<ArrayBufferView | ArrayBuffer>,
  options: DecryptOptions & ManyOptions,
): Promise<PromiseSettledResult<Decrypted>[]> {
  planRead(options)
  const all = [...messages]
  return withSharedKeys(options.keyring, true, all.length, (keyring) =>
    mapSome(all, options.concurrency, async (message) => {
      try {
        return { status: "fulfilled", value: await decrypt(message, { ...options, keyring }) }
      } catch (reason) {
        options.signal?.throwIfAborted()
        return { status: "rejected", reason }
      }
    }),
  )
}

// --- internal ---

const isItem = (item: EncryptManyItem | BytesLike): item is EncryptManyItem =>
  typeof item === "object" && item !== null && "plaintext" in item

/** The batch's own cache: it lives as long as the call, and its keys are overwritten at the end. */
async function withSharedKeys<T>(
  keyring: Keyring,
  decrypting: boolean,
  count: number,
  work: (keyring: Keyring) => Promise<T>,
): Promise<T> {
  checkKeyring(keyring)
  if (keyring.materials !== undefined) return work(keyring)
  using shared = cachingKeyring(keyring, { maxAgeSeconds: 3600, capacity: Math.max(1, count), decrypt: decrypting })
  return await work(shared)
}

/** Records that need no KMS call settle without the event loop turning; so that others get their turn, it is asked to. */
const TURN_MILLISECONDS = 4

async function mapSome<T, R>(items: readonly T[], concurrency = 16, work: (item: T) => Promise<R>): Promise<R[]> {
  if (!Number.isInteger(concurrency) || concurrency < 1) throw new RangeError("concurrency must be 1 or more")
  const results = new Array<R>(items.length)
  let next = 0
  let turn = performance.now()
  const lane = async () => {
    while (next < items.length) {
      const index = next++
      results[index] = await work(items[index]!)
      if (performance.now() - turn > TURN_MILLISECONDS) {
        await setImmediate()
        turn = performance.now()
      }
    }
  }
  const lanes = Array.from({ length: Math.min(concurrency, items.length) }, lane)
  try {
    await Promise.all(lanes)
  } catch (error) {
    next = items.length
    await Promise.allSettled(lanes)
    throw error
  }
  return results
}
