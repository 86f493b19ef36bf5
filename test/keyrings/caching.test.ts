import { describe, expect, test } from "vitest"
import type { EncryptionMaterials, MaterialsRequest } from "../../src/core/index.ts"
import { findSuite } from "../../src/crypto/index.ts"
import { decrypt, encrypt } from "../../src/index.ts"
import { cachingKeyring, keyCache, kmsKeyring, multiKeyring, rawAesKeyring } from "../../src/keyrings/index.ts"
import { countingKeyring, decisions, encryptionRequest, gate, use } from "./cache-support.ts"
import { expectNoSecrets, testKeyring } from "./contract.ts"
import { createWorld, recorder } from "./kms-world.ts"
import { COMMITTING, CONTEXT, failureOf, SIGNED, suite, wrapRequest } from "./requests.ts"

const { home, keyArn, otherArn } = await createWorld()

testKeyring("cachingKeyring", () => ({
  keyring: cachingKeyring(kmsKeyring({ client: home, generatorKeyId: keyArn }), { maxAgeSeconds: 60, decrypt: true }),
  stranger: cachingKeyring(kmsKeyring({ client: home, generatorKeyId: otherArn }), { maxAgeSeconds: 60 }),
}))

describe("cachingKeyring saves calls", () => {
  test("messages of one context share a KMS call and a data key, and each decrypts", async () => {
    const client = recorder(home)
    const keyring = cachingKeyring(kmsKeyring({ client, generatorKeyId: keyArn }), { maxAgeSeconds: 60 })
    const messages = []
    for (let i = 0; i < 5; i++) messages.push(await encrypt(`m${i}`, { keyring, encryptionContext: CONTEXT }))
    expect(client.sent.map(({ operation }) => operation)).toEqual(["GenerateDataKey"])
    for (const [i, message] of messages.entries()) {
      expect((await decrypt(message, { keyring })).text()).toBe(`m${i}`)
    }
    expect(client.sent).toHaveLength(6)
  })

  test("for signed suites too, with the signing key", async () => {
    const inner = countingKeyring()
    const keyring = cachingKeyring(inner, { maxAgeSeconds: 60 })
    const request = encryptionRequest({ suite: SIGNED })
    const one = await keyring.materials!.encryption(request)
    const two = await keyring.materials!.encryption(request)
    expect(inner.wraps).toHaveLength(1)
    expect(two.signingKey).toBe(one.signingKey)
    expect(two.encryptionContext).toBe(one.encryptionContext)
    expect(two.encryptionContext["aws-crypto-public-key"]).toBe(one.signingKey!.publicKey)
    const messages = [0, 1].map((i) => encrypt(`m${i}`, { keyring, signed: true, encryptionContext: CONTEXT }))
    for (const message of await Promise.all(messages)) await decrypt(message, { keyring })
    expect(inner.wraps).toHaveLength(1)
  })

  test("a hit comes at once, without a promise", async () => {
    const keyring = cachingKeyring(countingKeyring(), { maxAgeSeconds: 60 })
    await use(keyring)
    expect(keyring.materials!.encryption(encryptionRequest())).not.toBeInstanceOf(Promise)
  })

  test("every decision is published, without a key", async () => {
    const keyring = cachingKeyring(countingKeyring(), { maxAgeSeconds: 60, maxMessages: 3, capacity: 1 })
    const other = encryptionRequest({ encryptionContext: { tenant: "43" } })
    const seen = await decisions(async () => {
      await Promise.all([use(keyring), use(keyring)])
      await use(keyring)
      await use(keyring)
      await use(keyring, other)
      await use(keyring, encryptionRequest({ suite: suite(0x0078), commitmentPolicy: "ForbidEncryptAllowDecrypt" }))
      keyring.close()
    })
    expect(seen).toEqual([
      "encrypt miss",
      "encrypt miss shared-call",
      "encrypt hit",
      "encrypt evict messages",
      "encrypt miss",
      "encrypt miss",
      "encrypt evict capacity",
      "encrypt bypass no-key-derivation",
      "encrypt evict closed",
    ])
  })
})

describe("a data key is shared only by requests that agree in", () => {
  const variants: [string, Partial<MaterialsRequest>][] = [
    ["the suite", { suite: SIGNED }],
    ["the suite, with equal key lengths", { suite: suite(0x0178) }],
    ["the commitment policy", { commitmentPolicy: "RequireEncryptAllowDecrypt" }],
    ["the values of the context", { encryptionContext: { ...CONTEXT, tenant: "43" } }],
    ["the pairs of the context", { encryptionContext: { tenant: "42" } }],
    ["the presence of a context", { encryptionContext: {} }],
  ]
  test.each(variants)("%s", async (_, more) => {
    const inner = countingKeyring()
    const keyring = cachingKeyring(inner, { maxAgeSeconds: 60 })
    const one = await use(keyring)
    const two = await use(keyring, encryptionRequest(more))
    expect(inner.wraps).toHaveLength(2)
    expect(two.dataKey).not.toBe(one.dataKey)
    await use(keyring)
    expect(inner.wraps).toHaveLength(2)
  })

  test.each([
    [
      { a: "b", c: "d" },
      { a: "b1:c", d: "" },
    ],
    [{ ab: "c" }, { a: "bc" }],
    [{ a: "1:b" }, { "a1:": "b" }],
    [{ "": "ab" }, { ab: "" }],
  ] as Record<string, string>[][])("contexts that only look alike when run together: %j and %j", async (one, two) => {
    const inner = countingKeyring()
    const keyring = cachingKeyring(inner, { maxAgeSeconds: 60 })
    await use(keyring, encryptionRequest({ encryptionContext: one! }))
    await use(keyring, encryptionRequest({ encryptionContext: two! }))
    expect(inner.wraps).toHaveLength(2)
  })

  test("not in the order of the context's pairs", async () => {
    const inner = countingKeyring()
    const keyring = cachingKeyring(inner, { maxAgeSeconds: 60 })
    await use(keyring)
    await use(keyring, encryptionRequest({ encryptionContext: Object.fromEntries(Object.entries(CONTEXT).reverse()) }))
    expect(inner.wraps).toHaveLength(1)
  })

  test("the cache keeps the context as it was, when the caller's object changes", async () => {
    const keyring = cachingKeyring(countingKeyring(), { maxAgeSeconds: 60 })
    const encryptionContext: Record<string, string> = { tenant: "1" }
    await use(keyring, encryptionRequest({ encryptionContext }))
    encryptionContext.tenant = "2"
    const { encryptionContext: kept } = await use(keyring, encryptionRequest({ encryptionContext: { tenant: "1" } }))
    expect(kept).toEqual({ tenant: "1" })
  })
})

describe("the limits of a cached key", () => {
  test("age counts from the start of the call, on the clock given", async () => {
    let now = 1000
    const inner = countingKeyring(() => {
      now += 400
    })
    const keyring = cachingKeyring(inner, { maxAgeSeconds: 1, clock: () => now })
    await use(keyring)
    now += 599
    await use(keyring)
    expect(inner.wraps).toHaveLength(1)
    now += 1
    expect(await decisions(() => use(keyring))).toEqual(["encrypt evict age", "encrypt miss"])
    expect(inner.wraps).toHaveLength(2)
  })

  test("a call that took longer than the age serves its callers only", async () => {
    let now = 0
    const inner = countingKeyring(() => {
      now += 1000
    })
    const keyring = cachingKeyring(inner, { maxAgeSeconds: 1, clock: () => now })
    await use(keyring)
    await use(keyring)
    expect(inner.wraps).toHaveLength(2)
  })

  test.each([1, 2, 5])("maxMessages: %i messages under each key, waiting ones included", async (maxMessages) => {
    const inner = countingKeyring()
    const keyring = cachingKeyring(inner, { maxAgeSeconds: 60, maxMessages })
    const uses = new Map<Uint8Array, number>()
    const count = ({ dataKey }: EncryptionMaterials) => uses.set(dataKey, (uses.get(dataKey) ?? 0) + 1)
    for (const materials of await Promise.all(Array.from({ length: 7 }, () => use(keyring)))) count(materials)
    for (let i = 0; i < 7; i++) count(await use(keyring))
    expect(Math.max(...uses.values())).toBe(maxMessages)
    expect([...uses.values()].reduce((a, b) => a + b)).toBe(14)
    expect(inner.wraps).toHaveLength(uses.size)
  })

  test("maxBytes: exactly as many bytes as allowed under each key", async () => {
    const inner = countingKeyring()
    const keyring = cachingKeyring(inner, { maxAgeSeconds: 60, maxBytes: 250 })
    const of = (plaintextLength: number) => use(keyring, encryptionRequest({ plaintextLength }))
    await of(100)
    await of(150)
    expect(inner.wraps).toHaveLength(1)
    await of(0)
    expect(inner.wraps).toHaveLength(1)
    expect(await decisions(() => of(1))).toEqual(["encrypt evict bytes", "encrypt miss"])
    expect(inner.wraps).toHaveLength(2)
  })

  test("a message above maxBytes, or of unknown length, gets a key of its own and leaves the cached one", async () => {
    const inner = countingKeyring()
    const keyring = cachingKeyring(inner, { maxAgeSeconds: 60, maxBytes: 250 })
    await use(keyring)
    const { plaintextLength: _, ...unknown } = encryptionRequest()
    expect(await decisions(() => use(keyring, unknown))).toEqual(["encrypt bypass unknown-length"])
    expect(await decisions(() => use(keyring, encryptionRequest({ plaintextLength: 251 })))).toEqual([
      "encrypt bypass bytes",
    ])
    expect(await decisions(() => use(keyring))).toEqual(["encrypt hit"])
    expect(inner.wraps).toHaveLength(3)
  })

  test("without maxBytes, streams of unknown length are served from the cache", async () => {
    const inner = countingKeyring()
    const keyring = cachingKeyring(inner, { maxAgeSeconds: 60 })
    const { plaintextLength: _, ...unknown } = encryptionRequest()
    await use(keyring, unknown)
    await use(keyring, unknown)
    expect(inner.wraps).toHaveLength(1)
  })

  test("capacity: the least recently used key goes", async () => {
    const inner = countingKeyring()
    const keyring = cachingKeyring(inner, { maxAgeSeconds: 60, capacity: 2 })
    const of = (tenant: string) => use(keyring, encryptionRequest({ encryptionContext: { tenant } }))
    for (const tenant of ["a", "b", "a", "c", "a", "c"]) await of(tenant)
    expect(inner.wraps).toHaveLength(3)
    await of("b")
    expect(inner.wraps).toHaveLength(4)
  })

  // MSG-5.3
  test("suites without key derivation are never cached", async () => {
    const inner = countingKeyring()
    const keyring = cachingKeyring(inner, { maxAgeSeconds: 60 })
    for (const id of [0x0014, 0x0046, 0x0078, 0x0078]) {
      await use(keyring, encryptionRequest({ suite: findSuite(id)!, commitmentPolicy: "ForbidEncryptAllowDecrypt" }))
    }
    expect(inner.wraps).toHaveLength(4)
  })
})

describe("concurrent requests for one key", () => {
  test("share one call", async () => {
    const inner = countingKeyring()
    const keyring = cachingKeyring(inner, { maxAgeSeconds: 60 })
    const all = await Promise.all(Array.from({ length: 50 }, () => use(keyring)))
    expect(inner.wraps).toHaveLength(1)
    expect(new Set(all.map(({ dataKey }) => dataKey)).size).toBe(1)
  })

  test("one caller's abort leaves the others and the call alone", async () => {
    const door = gate()
    const inner = countingKeyring(door.wait)
    const keyring = cachingKeyring(inner, { maxAgeSeconds: 60 })
    const controllers = [new AbortController(), new AbortController(), new AbortController()]
    const waiting = controllers.map(({ signal }) => use(keyring, encryptionRequest({ signal })))
    controllers[0]!.abort("first")
    expect(await failureOf(() => waiting[0])).toBe("first")
    expect(inner.wraps[0]!.signal!.aborted).toBe(false)
    door.open()
    const [one, two] = await Promise.all(waiting.slice(1))
    expect(one!.dataKey).toBe(two!.dataKey)
    expect(await decisions(() => use(keyring))).toEqual(["encrypt hit"])
  })

  test("the last caller's abort aborts the call, and the next request makes a new one", async () => {
    const door = gate()
    const inner = countingKeyring(door.wait)
    const keyring = cachingKeyring(inner, { maxAgeSeconds: 60 })
    const controllers = [new AbortController(), new AbortController()]
    const waiting = controllers.map(({ signal }) => use(keyring, encryptionRequest({ signal })))
    for (const controller of controllers) controller.abort("stop")
    for (const one of waiting) expect(await failureOf(() => one)).toBe("stop")
    expect(inner.wraps[0]!.signal!.reason).toBe("stop")
    door.open()
    // What comes too late is neither cached nor kept.
    await expect.poll(() => inner.dataKeys.map((key) => key.every((byte) => byte === 0))).toEqual([true])
    await use(keyring)
    expect(inner.wraps).toHaveLength(2)
  })

  test("a failure reaches all of them and is not remembered", async () => {
    let fail = true
    const inner = countingKeyring(() => {
      if (fail) throw new Error("down")
    })
    const keyring = cachingKeyring(inner, { maxAgeSeconds: 60 })
    const waiting = [use(keyring), use(keyring)]
    for (const one of waiting) expect((await failureOf(() => one)).message).toBe("down")
    expect(inner.wraps).toHaveLength(1)
    fail = false
    await use(keyring)
    expect(inner.wraps).toHaveLength(2)
  })

  test("an aborted signal makes no call", async () => {
    const inner = countingKeyring()
    const keyring = cachingKeyring(inner, { maxAgeSeconds: 60 })
    expect(await failureOf(() => use(keyring, encryptionRequest({ signal: AbortSignal.abort("no") })))).toBe("no")
    expect(inner.wraps).toEqual([])
  })
})

describe("a shared cache", () => {
  test("keeps keyrings apart, unless they name one partition", async () => {
    const cache = keyCache()
    const inner = countingKeyring()
    const make = (partition?: string) =>
      cachingKeyring(inner, { maxAgeSeconds: 60, cache, ...(partition !== undefined && { partition }) })
    await use(make())
    await use(make())
    await use(make("own:0"))
    expect(inner.wraps).toHaveLength(3)
    await use(make("a"))
    await use(make("a"))
    expect(inner.wraps).toHaveLength(4)
    await use(make("b"))
    expect(inner.wraps).toHaveLength(5)
  })

  test("has one capacity for all of them", async () => {
    const cache = keyCache({ capacity: 1 })
    const [one, two] = [countingKeyring(), countingKeyring()].map((inner) =>
      cachingKeyring(inner, { maxAgeSeconds: 60, cache }),
    )
    await use(one!)
    expect(await decisions(() => use(two!))).toEqual(["encrypt miss", "encrypt evict capacity"])
  })

  test("outlives a keyring, whose close gives up its own partition only", async () => {
    const cache = keyCache()
    const [one, two] = [countingKeyring(), countingKeyring()]
    const first = cachingKeyring(one, { maxAgeSeconds: 60, cache })
    const second = cachingKeyring(two, { maxAgeSeconds: 60, cache })
    await use(first)
    await use(second)
    first.close()
    expect(one.dataKeys[0]!.every((byte) => byte === 0)).toBe(true)
    expect(await decisions(() => use(second))).toEqual(["encrypt hit"])
    cache.close()
    expect((await failureOf(() => use(second))).code).toBe("Closed")
  })
})

describe("options of cachingKeyring", () => {
  const inner = rawAesKeyring({ keyNamespace: "ns", keyName: "k", wrappingKey: new Uint8Array(32) })
  test.each([
    ["no maxAgeSeconds", { maxAgeSeconds: undefined }],
    ["maxAgeSeconds 0", { maxAgeSeconds: 0 }],
    ["maxAgeSeconds Infinity", { maxAgeSeconds: Number.POSITIVE_INFINITY }],
    ["maxAgeSeconds as text", { maxAgeSeconds: "60" }],
    ["maxMessages 0", { maxMessages: 0 }],
    ["maxMessages above 2^32", { maxMessages: 2 ** 32 + 1 }],
    ["maxBytes below 0", { maxBytes: -1 }],
    ["maxBytes NaN", { maxBytes: Number.NaN }],
    ["capacity 0", { capacity: 0 }],
    ["capacity 1.5", { capacity: 1.5 }],
  ])("%s is a RangeError", (_, options) => {
    expect(() => cachingKeyring(inner, { maxAgeSeconds: 60, ...options } as never)).toThrow(RangeError)
  })

  test("maxMessages 2^32 and maxAgeSeconds beyond Node's longest timer are fine", async () => {
    const keyring = cachingKeyring(countingKeyring(), { maxAgeSeconds: 2 ** 31, maxMessages: 2 ** 32 })
    await use(keyring)
    expect(await decisions(() => use(keyring))).toEqual(["encrypt hit"])
    keyring.close()
  })

  test.each([
    ["a keyring that caches already", cachingKeyring(inner, { maxAgeSeconds: 1 }), {}],
    ["no keyring", undefined, {}],
    ["a cache of another kind", inner, { cache: new Map() }],
    ["capacity beside a cache", inner, { cache: keyCache(), capacity: 10 }],
    ["a partition that is no text", inner, { partition: 1 }],
  ])("%s is a TypeError", (_, keyring, options) => {
    expect(() => cachingKeyring(keyring as never, { maxAgeSeconds: 60, ...options } as never)).toThrow(TypeError)
  })

  test("it caches a multi keyring as a whole", async () => {
    const [one, two] = [countingKeyring(), countingKeyring()]
    const keyring = cachingKeyring(multiKeyring({ generator: one, children: [two] }), { maxAgeSeconds: 60 })
    const { wrappedKeys } = await use(keyring)
    await use(keyring)
    expect(wrappedKeys).toHaveLength(2)
    expect([one.wraps.length, two.wraps.length]).toEqual([1, 1])
  })

  test("it hands on generateWithoutPlaintext, where there is one", async () => {
    const kms = kmsKeyring({ client: home, generatorKeyId: keyArn })
    const keyring = cachingKeyring(kms, { maxAgeSeconds: 60 })
    expect(await keyring.generateWithoutPlaintext!(wrapRequest())).toHaveLength(1)
    expect(cachingKeyring(inner, { maxAgeSeconds: 60 }).generateWithoutPlaintext).toBeUndefined()
    keyring.close()
    expect((await failureOf(() => keyring.generateWithoutPlaintext!(wrapRequest()))).code).toBe("Closed")
    expect((await failureOf(() => keyring.wrap(wrapRequest()))).code).toBe("Closed")
  })

  test("its errors hold no key", async () => {
    const counting = countingKeyring()
    const keyring = cachingKeyring(counting, { maxAgeSeconds: 60 })
    await use(keyring)
    const dataKey = new Uint8Array(counting.dataKeys[0]!)
    keyring.close()
    expectNoSecrets(await failureOf(() => use(keyring)), [dataKey])
  })
})

test("COMMITTING derives keys, so the tests above are of cached ones", () => {
  expect(COMMITTING.derivesKey).toBe(true)
})
