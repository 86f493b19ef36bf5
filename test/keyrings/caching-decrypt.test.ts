import { describe, expect, test } from "vitest"
import type { DecryptionMaterials, DecryptionMaterialsRequest, WrappedKey } from "../../src/core/index.ts"
import { decrypt, encrypt } from "../../src/index.ts"
import { cachingKeyring, kmsKeyring, rawAesKeyring } from "../../src/keyrings/index.ts"
import { countingKeyring, decisions, decryptionRequest, gate } from "./cache-support.ts"
import { createWorld, recorder } from "./kms-world.ts"
import { CONTEXT, failureOf, flipBit, isZero, suite, wrapRequest } from "./requests.ts"

const OPTIONS = { maxAgeSeconds: 60, decrypt: true }

async function setUp(options: object = OPTIONS, wait?: () => unknown) {
  const inner = countingKeyring(wait)
  const { wrappedKeys } = await countingKeyring().wrap(wrapRequest())
  const keyring = cachingKeyring(inner, options as typeof OPTIONS)
  const ask = (more: Partial<DecryptionMaterialsRequest> = {}, keys: readonly WrappedKey[] = wrappedKeys) =>
    keyring.materials!.decryption(decryptionRequest(keys, more))
  return { inner, keyring, wrappedKeys, ask }
}

/** Decrypts one message, so to say. */
async function read(materials: ReturnType<Awaited<ReturnType<typeof setUp>>["ask"]>): Promise<DecryptionMaterials> {
  const found = (await materials)!
  found.verified()
  found.release()
  return found
}

describe("caching for decryption", () => {
  test("is off by default", async () => {
    const { inner, ask } = await setUp({ maxAgeSeconds: 60 })
    await read(ask())
    await read(ask())
    expect(inner.unwraps).toHaveLength(2)
    expect(inner.dataKeys.every(isZero)).toBe(true)
  })

  test("saves calls to KMS for messages that share a data key", async () => {
    const { home, keyArn } = await createWorld()
    const client = recorder(home)
    const keyring = cachingKeyring(kmsKeyring({ client, generatorKeyId: keyArn }), OPTIONS)
    const messages = await Promise.all(
      [0, 1, 2].map((i) => encrypt(`m${i}`, { keyring, encryptionContext: CONTEXT, signed: true })),
    )
    for (const [i, message] of messages.entries()) expect((await decrypt(message, { keyring })).text()).toBe(`m${i}`)
    expect(client.sent.map(({ operation }) => operation)).toEqual(["GenerateDataKey", "Decrypt"])
  })

  test("a hit comes at once, without a promise, and needs no verification", async () => {
    const { ask } = await setUp()
    await read(ask())
    const hit = ask()
    expect(hit).not.toBeInstanceOf(Promise)
    expect(await decisions(() => ask())).toEqual(["decrypt hit"])
  })

  test("keeps nothing that was not verified, and overwrites it with its release", async () => {
    const { inner, ask } = await setUp()
    const unverified = (await ask())!
    expect(isZero(unverified.dataKey)).toBe(false)
    unverified.release()
    expect(isZero(inner.dataKeys[0]!)).toBe(true)
    unverified.verified()
    await read(ask())
    expect(inner.unwraps).toHaveLength(2)
  })

  test("through the library: a tampered header leaves nothing in the cache", async () => {
    const { home, keyArn } = await createWorld()
    const client = recorder(home)
    const keyring = cachingKeyring(kmsKeyring({ client, generatorKeyId: keyArn }), OPTIONS)
    const message = await encrypt("m", { keyring })
    // Byte 4 is within the message id: the commitment fails.
    expect((await failureOf(() => decrypt(flipBit(message, 4), { keyring }))).code).toBe("TamperedMessage")
    await decrypt(message, { keyring })
    await decrypt(message, { keyring })
    expect(client.sent.map(({ operation }) => operation)).toEqual(["GenerateDataKey", "Decrypt", "Decrypt"])
  })

  test("age counts from the start of the call", async () => {
    let now = 0
    const options = { ...OPTIONS, maxAgeSeconds: 1, clock: () => now }
    const { inner, ask } = await setUp(options, () => {
      now += 400
    })
    const slow = (await ask())!
    now += 599
    slow.verified()
    slow.release()
    await read(ask())
    expect(inner.unwraps).toHaveLength(1)
    now += 1
    expect(await decisions(() => read(ask()))).toEqual(["decrypt evict age", "decrypt miss"])
    expect(isZero(inner.dataKeys[0]!)).toBe(true)
  })

  test("what is verified after its age is not cached", async () => {
    let now = 0
    const { inner, ask } = await setUp({ ...OPTIONS, maxAgeSeconds: 1, clock: () => now })
    const slow = (await ask())!
    now = 1000
    slow.verified()
    slow.release()
    expect(isZero(inner.dataKeys[0]!)).toBe(true)
  })

  const variants: [string, Partial<DecryptionMaterialsRequest>][] = [
    ["another policy", { commitmentPolicy: "RequireEncryptAllowDecrypt" }],
    ["another suite", { suite: suite(0x0178) }],
  ]
  test.each(variants)("%s is a miss", async (_, more) => {
    const { inner, ask } = await setUp()
    await read(ask())
    await read(ask(more))
    expect(inner.unwraps).toHaveLength(2)
  })

  test("another context is a miss, and fails as it must, whatever is cached", async () => {
    const { inner, ask } = await setUp()
    await read(ask())
    // A pair that the message does not store stands in the request all the same.
    for (const encryptionContext of [{ ...CONTEXT, more: "1" }, { tenant: "42" }]) {
      expect((await failureOf(() => ask({ encryptionContext }))).code).toBe("UnwrapFailed")
    }
    expect(inner.unwraps).toHaveLength(3)
  })

  test("other wrapped keys are a miss: changed, added or moved", async () => {
    const { inner, wrappedKeys, ask } = await setUp()
    await read(ask())
    const [key] = wrappedKeys as [WrappedKey]
    const info = key.providerInfo
    const lists: WrappedKey[][] = [
      [key, key],
      [{ ...key, providerId: "other" }, key],
      [{ ...key, providerInfo: flipBit(info, info.length - 1) }, key],
      [{ ...key, ciphertext: flipBit(key.ciphertext, 0) }, key],
    ]
    for (const list of lists) await read(ask({}, list))
    expect(inner.unwraps).toHaveLength(1 + lists.length)
    const joined = { providerId: "n", providerInfo: new TextEncoder().encode("s"), ciphertext: key.ciphertext }
    expect(await ask({}, [joined])).toBeUndefined()
  })

  test("not mine stays not mine, for all who wait", async () => {
    const { ask } = await setUp()
    const { wrappedKeys } = await rawAesKeyring({
      keyNamespace: "other",
      keyName: "k",
      wrappingKey: new Uint8Array(32),
    }).wrap(wrapRequest())
    expect(await Promise.all([ask({}, wrappedKeys), ask({}, wrappedKeys)])).toEqual([undefined, undefined])
  })

  test("concurrent requests share one call, and one caller's abort leaves the others alone", async () => {
    const door = gate()
    const { inner, ask } = await setUp(OPTIONS, door.wait)
    const controller = new AbortController()
    const waiting = [ask({ signal: controller.signal }), ask(), ask()]
    controller.abort("stop")
    expect(await failureOf(() => waiting[0])).toBe("stop")
    door.open()
    const [one, two] = (await Promise.all(waiting.slice(1))) as [DecryptionMaterials, DecryptionMaterials]
    expect(inner.unwraps).toHaveLength(1)
    expect(two.dataKey).toBe(one.dataKey)
    one.release()
    expect(isZero(two.dataKey)).toBe(false)
    two.verified()
    two.release()
    expect(isZero(two.dataKey)).toBe(false)
    expect(await decisions(() => ask())).toEqual(["decrypt hit"])
  })

  test("a caller that leaves may reuse its memory while others still wait", async () => {
    const door = gate()
    const { wrappedKeys, ask } = await setUp(OPTIONS, door.wait)
    const mine = wrappedKeys.map((key) => ({ ...key, ciphertext: new Uint8Array(key.ciphertext) }))
    const controller = new AbortController()
    const leaving = ask({ signal: controller.signal }, mine)
    const staying = ask()
    controller.abort("stop")
    mine[0]!.ciphertext.fill(0)
    await failureOf(() => leaving)
    door.open()
    expect(await staying).toBeDefined()
  })

  test("suites without key derivation are never cached", async () => {
    const inner = countingKeyring()
    const keyring = cachingKeyring(inner, OPTIONS)
    const { wrappedKeys } = await inner.wrap(wrapRequest({ suite: suite(0x0078) }))
    const request = decryptionRequest(wrappedKeys, { suite: suite(0x0078) })
    for (let i = 0; i < 2; i++) await read(keyring.materials!.decryption(request))
    expect(inner.unwraps).toHaveLength(2)
  })

  test("close overwrites what is cached for decryption", async () => {
    const { inner, keyring, ask } = await setUp()
    await read(ask())
    expect(isZero(inner.dataKeys[0]!)).toBe(false)
    keyring.close()
    expect(isZero(inner.dataKeys[0]!)).toBe(true)
    expect((await failureOf(() => ask())).code).toBe("Closed")
  })
})
