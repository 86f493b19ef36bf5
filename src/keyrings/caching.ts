import {
  type CacheTrace,
  copyBytes,
  type DecryptionMaterials,
  type DecryptionMaterialsRequest,
  type EncryptionMaterials,
  EnvelopeError,
  type Keyring,
  type MaterialsRequest,
  type MaybePromise,
  traceCache,
  type WrappedKey,
} from "../core/index.ts"
import { withPairs } from "../format/index.ts"
import { decryptionId, encryptionId } from "./cache-ids.ts"
import { type CacheLimits, checkLimits, countMessage, type Usage } from "./cache-limits.ts"
import { CachedKey } from "./cached-key.ts"
import { type KeyCache, KeyStore } from "./key-cache.ts"
import { decryptionMaterials, encryptionMaterials } from "./materials.ts"
import type { ClosableKeyring } from "./raw-aes.ts"
import { SharedCall } from "./shared-call.ts"
import { type Instant, type Stopwatch, stopwatch } from "./stopwatch.ts"

export interface CachingKeyringOptions {
  /** Age at which a data key is given up, counted from the start of the call that brought it. Above 0; no default. */
  readonly maxAgeSeconds: number
  /** Messages that one data key encrypts at most; 1 to 2^32, default 2^32. */
  readonly maxMessages?: number
  /**
   * Bytes of plaintext that one data key encrypts at most; default `Infinity`. With a limit, a message of unknown
   * length (a stream without `plaintextLength`) and one longer than the limit get a data key of their own.
   */
  readonly maxBytes?: number
  /** Data keys held at most; the least recently used one goes. Default 1,000. Not together with `cache`. */
  readonly capacity?: number
  /** A cache made by `keyCache()`, shared with other caching keyrings. Default: one of this keyring's own. */
  readonly cache?: KeyCache
  /**
   * Within a shared cache, keyrings with the same partition share their data keys: give it only to keyrings that wrap
   * under the same keys. Default: a partition of this keyring's own.
   */
  readonly partition?: string
  /** Keep unwrapped data keys for decrypting as well. Revoking a key then takes up to `maxAgeSeconds`. Default false. */
  readonly decrypt?: boolean
  /** Milliseconds since any fixed moment, for tests. Default: the machine's clocks. */
  readonly clock?: () => number
}

/**
 * Saves calls to KMS: uses a data key for several messages of the same encryption context, suite and commitment policy,
 * each of which derives its own key from it. With signed suites those messages share the signing key as well.
 * Specification: framework/caching-cmm.
 *
 * Never cached: suites without key derivation. Keys are overwritten when they leave the cache and their last user is
 * done; `close()`, or `using`, gives up all of this keyring's. Concurrent requests for the same key share one call.
 * Decisions are published on the channel `kms-envelope:cache`.
 *
 * @throws RangeError for a limit out of its range
 * @throws TypeError for a keyring that caches already, `cache` that is not of `keyCache()`, or `capacity` beside it
 */
export function cachingKeyring(keyring: Keyring, options: CachingKeyringOptions): ClosableKeyring {
  checkKeyring(keyring)
  const limits = checkLimits(options)
  const { store, ownStore } = storeOf(options)
  const partition = partitionOf(options, store)
  const state: State = { keyring, limits, store, partition, watch: stopwatch(options.clock), closed: false }
  const name = `caching (${keyring.name})`
  const checkOpen = () => {
    if (state.closed || store.closed) throw new EnvelopeError("Closed", `keyring ${name} is closed`)
  }
  const close = () => {
    state.closed = true
    if (ownStore) store.close()
    else store.evictPartition(partition, "closed")
  }
  const { generateWithoutPlaintext } = keyring
  return {
    name,
    wrap(request) {
      checkOpen()
      return keyring.wrap(request)
    },
    unwrap(request) {
      checkOpen()
      return keyring.unwrap(request)
    },
    ...(generateWithoutPlaintext && {
      generateWithoutPlaintext: (request) => {
        checkOpen()
        return generateWithoutPlaintext.call(keyring, request)
      },
    }),
    materials: {
      encryption(request) {
        checkOpen()
        return cachedEncryption(state, request)
      },
      decryption(request) {
        checkOpen()
        return options.decrypt ? cachedDecryption(state, request) : decryptionMaterials(keyring, request)
      },
    },
    close,
    [Symbol.dispose]: close,
  }
}

// --- internal ---

interface State {
  readonly keyring: Keyring
  readonly limits: CacheLimits
  readonly store: KeyStore
  readonly partition: string
  readonly watch: Stopwatch
  closed: boolean
}

/** The path of a hit allocates little and awaits nothing: it runs once for each message. */
function cachedEncryption(state: State, request: MaterialsRequest): MaybePromise<EncryptionMaterials> {
  const { store, limits, watch, partition } = state
  const { signal, plaintextLength = 0 } = request
  signal?.throwIfAborted()
  const bypass = bypassReason(request, limits)
  if (bypass !== undefined) {
    note("encrypt", "bypass", bypass)
    return encryptionMaterials(state.keyring, request)
  }
  const id = encryptionId(partition, request)
  const key = store.get(id) as CachedKey<EncryptionMaterials> | undefined
  if (key !== undefined) {
    const spent = watch.age(key.since) >= limits.maxAgeMs ? "age" : countMessage(key.usage, plaintextLength, limits)
    if (spent === undefined) {
      note("encrypt", "hit")
      const lease = encryptionLease(key)
      if (key.usage.messages >= limits.maxMessages) store.evict(id, "messages")
      return lease
    }
    store.evict(id, spent)
  }
  const current = store.calls.get(id)
  if (current && isFresh(state, current) && countMessage(current.usage, plaintextLength, limits) === undefined) {
    note("encrypt", "miss", "shared-call")
    return current.join(signal, (shared) => encryptionLease(shared as CachedKey<EncryptionMaterials>))
  }
  note("encrypt", "miss")
  return callForEncryption(state, id, request)
}

function bypassReason({ suite, plaintextLength }: MaterialsRequest, { maxBytes }: CacheLimits): string | undefined {
  if (!suite.derivesKey) return "no-key-derivation"
  if (maxBytes === Number.POSITIVE_INFINITY) return undefined
  if (plaintextLength === undefined) return "unknown-length"
  return plaintextLength > maxBytes ? "bytes" : undefined
}

function callForEncryption(state: State, id: string, request: MaterialsRequest): Promise<EncryptionMaterials> {
  const { suite, commitmentPolicy, encryptionContext, plaintextLength = 0, signal } = request
  const call = startCall(state, id, { messages: 1, bytes: plaintextLength })
  const result = call.join(signal, (key) => encryptionLease(key as CachedKey<EncryptionMaterials>))
  // The cache keeps the context, so it must not change with the caller's object.
  const shared = { suite, commitmentPolicy, encryptionContext: withPairs(encryptionContext, {}) }
  void call.run(async (callSignal) => {
    const materials = await encryptionMaterials(state.keyring, { ...shared, signal: callSignal })
    const key = new CachedKey<EncryptionMaterials>(materials, call.since, call.usage)
    if (!callSignal.aborted && call.usage.messages < state.limits.maxMessages) keep(state, id, "encrypt", key)
    return key
  })
  return result
}

function encryptionLease(key: CachedKey<EncryptionMaterials>): EncryptionMaterials {
  return { ...key.materials, release: key.acquire() }
}

function cachedDecryption(
  state: State,
  request: DecryptionMaterialsRequest,
): MaybePromise<DecryptionMaterials | undefined> {
  const { signal } = request
  signal?.throwIfAborted()
  if (!request.suite.derivesKey) {
    note("decrypt", "bypass", "no-key-derivation")
    return decryptionMaterials(state.keyring, request)
  }
  const id = decryptionId(state.partition, request)
  const key = state.store.get(id)
  if (key !== undefined) {
    if (isFresh(state, key)) {
      note("decrypt", "hit")
      return { dataKey: key.materials.dataKey, verified: () => {}, release: key.acquire() }
    }
    state.store.evict(id, "age")
  }
  const current = state.store.calls.get(id)
  const take = (shared: CachedKey | undefined) => shared && unverifiedLease(state, id, shared)
  if (current && isFresh(state, current)) {
    note("decrypt", "miss", "shared-call")
    return current.join(signal, take)
  }
  note("decrypt", "miss")
  const call = startCall(state, id, { messages: 0, bytes: 0 })
  const result = call.join(signal, take)
  // Copies, because this caller may leave and reuse its memory while others still wait.
  const wrappedKeys = request.wrappedKeys.map(copyWrappedKey)
  void call.run(async (callSignal) => {
    const materials = await decryptionMaterials(state.keyring, { ...request, wrappedKeys, signal: callSignal })
    return materials && new CachedKey<DecryptionMaterials>(materials, call.since, call.usage)
  })
  return result
}

/** Nothing is cached for decrypting before a message verified under it. */
function unverifiedLease(state: State, id: string, key: CachedKey): DecryptionMaterials {
  const release = key.acquire()
  let pending = true
  return {
    dataKey: key.materials.dataKey,
    verified: () => {
      if (pending) keep(state, id, "decrypt", key)
      pending = false
    },
    release: () => {
      pending = false
      release()
    },
  }
}

const copyWrappedKey = ({ providerId, providerInfo, ciphertext }: WrappedKey): WrappedKey => ({
  providerId,
  providerInfo: copyBytes(providerInfo),
  ciphertext: copyBytes(ciphertext),
})

function startCall({ store, watch }: State, id: string, usage: Usage): SharedCall {
  const call = new SharedCall(watch.now(), usage, () => {
    if (store.calls.get(id) === call) store.calls.delete(id)
  })
  store.calls.set(id, call)
  return call
}

const isFresh = ({ watch, limits }: State, { since }: { readonly since: Instant }): boolean =>
  watch.age(since) < limits.maxAgeMs

function keep(state: State, id: string, side: CacheTrace["side"], key: CachedKey): void {
  const { store, partition, limits, watch, closed } = state
  if (!closed) store.put(id, side, partition, key, limits.maxAgeMs - watch.age(key.since))
}

function note(side: CacheTrace["side"], decision: CacheTrace["decision"], reason?: string): void {
  traceCache(reason === undefined ? { side, decision } : { side, decision, reason })
}

function checkKeyring(keyring: Keyring): void {
  if (typeof keyring?.wrap !== "function" || typeof keyring.unwrap !== "function") {
    throw new TypeError("cachingKeyring needs a keyring")
  }
  if (keyring.materials !== undefined) throw new TypeError(`keyring ${keyring.name} caches already`)
}

function storeOf({ cache, capacity }: CachingKeyringOptions): { store: KeyStore; ownStore: boolean } {
  if (cache === undefined) return { store: new KeyStore(capacity), ownStore: true }
  if (capacity !== undefined) throw new TypeError("give capacity or cache, not both: the cache has its own capacity")
  if (!(cache instanceof KeyStore)) throw new TypeError("cache must be made by keyCache()")
  return { store: cache, ownStore: false }
}

function partitionOf({ partition }: CachingKeyringOptions, store: KeyStore): string {
  if (partition === undefined) return store.ownPartition()
  if (typeof partition !== "string") throw new TypeError("partition must be a string")
  return `named:${partition}`
}
