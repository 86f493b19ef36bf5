import { afterEach, describe, expect, test, vi } from "vitest"
import type { EncryptionMaterials } from "../../src/core/index.ts"
import { cachingKeyring } from "../../src/keyrings/index.ts"
import { countingKeyring, encryptionRequest, gate, use } from "./cache-support.ts"
import { failureOf, isZero } from "./requests.ts"
import { runBundled } from "./run-bundled.ts"

afterEach(() => {
  vi.useRealTimers()
})

const tenant = (name: string) => encryptionRequest({ encryptionContext: { tenant: name } })

describe("a cached data key is overwritten", () => {
  test("when it is evicted for capacity and unused", async () => {
    const inner = countingKeyring()
    const keyring = cachingKeyring(inner, { maxAgeSeconds: 60, capacity: 1 })
    await use(keyring, tenant("a"))
    expect(isZero(inner.dataKeys[0]!)).toBe(false)
    await use(keyring, tenant("b"))
    expect(inner.dataKeys.map(isZero)).toEqual([true, false])
  })

  test("at its age, even when nobody asks", async () => {
    vi.useFakeTimers()
    const inner = countingKeyring()
    const keyring = cachingKeyring(inner, { maxAgeSeconds: 60 })
    await use(keyring)
    vi.advanceTimersByTime(59_999)
    expect(isZero(inner.dataKeys[0]!)).toBe(false)
    vi.advanceTimersByTime(1)
    expect(isZero(inner.dataKeys[0]!)).toBe(true)
  })

  test("at its age, when that is longer than Node's longest timer", async () => {
    vi.useFakeTimers()
    const inner = countingKeyring()
    const keyring = cachingKeyring(inner, { maxAgeSeconds: 30 * 86_400 })
    await use(keyring)
    vi.advanceTimersByTime(30 * 86_400_000 - 1)
    expect(isZero(inner.dataKeys[0]!)).toBe(false)
    vi.advanceTimersByTime(1)
    expect(isZero(inner.dataKeys[0]!)).toBe(true)
  })

  test("at its own age, not at that of the key before it", async () => {
    vi.useFakeTimers()
    const inner = countingKeyring()
    const keyring = cachingKeyring(inner, { maxAgeSeconds: 60, maxMessages: 2 })
    await use(keyring)
    await use(keyring)
    vi.advanceTimersByTime(30_000)
    await use(keyring)
    vi.advanceTimersByTime(59_999)
    expect(inner.dataKeys.map(isZero)).toEqual([true, false])
    vi.advanceTimersByTime(1)
    expect(inner.dataKeys.map(isZero)).toEqual([true, true])
  })

  test("at its age when the wall clock jumped ahead, as after sleep", async () => {
    vi.useFakeTimers({ toFake: ["Date"] })
    const inner = countingKeyring()
    const keyring = cachingKeyring(inner, { maxAgeSeconds: 60 })
    await use(keyring)
    vi.setSystemTime(Date.now() + 60_000)
    await use(keyring)
    expect(inner.dataKeys.map(isZero)).toEqual([true, false])
    vi.setSystemTime(Date.now() - 3_600_000)
    await use(keyring)
    expect(inner.wraps).toHaveLength(2)
    keyring.close()
  })

  test("after its last message", async () => {
    const inner = countingKeyring()
    const keyring = cachingKeyring(inner, { maxAgeSeconds: 60, maxMessages: 2 })
    await use(keyring)
    const last = await keyring.materials!.encryption(encryptionRequest())
    expect(isZero(inner.dataKeys[0]!)).toBe(false)
    last.release()
    expect(isZero(inner.dataKeys[0]!)).toBe(true)
  })

  test("on close, and on leaving the scope of `using`", async () => {
    for (const end of ["close", Symbol.dispose] as const) {
      const inner = countingKeyring()
      const keyring = cachingKeyring(inner, { maxAgeSeconds: 60 })
      await use(keyring, tenant("a"))
      await use(keyring, tenant("b"))
      keyring[end]()
      expect(inner.dataKeys.map(isZero)).toEqual([true, true])
      expect((await failureOf(() => use(keyring))).code).toBe("Closed")
    }
  })

  test("when it was never cached, with its release", async () => {
    const inner = countingKeyring()
    const keyring = cachingKeyring(inner, { maxAgeSeconds: 60, maxBytes: 1 })
    const materials = await keyring.materials!.encryption(encryptionRequest())
    expect(isZero(materials.dataKey)).toBe(false)
    materials.release()
    expect(isZero(materials.dataKey)).toBe(true)
  })

  test("when the keyring was closed during the call: the caller still gets it, the cache does not", async () => {
    const door = gate()
    const inner = countingKeyring(door.wait)
    const keyring = cachingKeyring(inner, { maxAgeSeconds: 60 })
    const waiting = keyring.materials!.encryption(encryptionRequest()) as Promise<EncryptionMaterials>
    keyring.close()
    door.open()
    const materials = await waiting
    expect(isZero(materials.dataKey)).toBe(false)
    materials.release()
    expect(isZero(inner.dataKeys[0]!)).toBe(true)
  })
})

describe("a data key in use is not overwritten", () => {
  /** 64 users of one key, as running streams would be. */
  async function users(keyring: ReturnType<typeof cachingKeyring>): Promise<EncryptionMaterials[]> {
    return Promise.all(Array.from({ length: 64 }, () => keyring.materials!.encryption(tenant("a"))))
  }

  test.each(["capacity", "close", "age"])("by %s while 64 users run, but with the last of them", async (by) => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date", "performance"] })
    const inner = countingKeyring()
    const keyring = cachingKeyring(inner, { maxAgeSeconds: 60, capacity: 1 })
    const running = await users(keyring)
    const before = new Uint8Array(inner.dataKeys[0]!)
    if (by === "capacity") await use(keyring, tenant("b"))
    else if (by === "close") keyring.close()
    else vi.advanceTimersByTime(60_000)
    for (const [i, materials] of running.entries()) {
      expect(materials.dataKey).toEqual(before)
      // Twice: giving back twice must not take the key from another user.
      materials.release()
      materials.release()
      expect(isZero(inner.dataKeys[0]!)).toBe(i === 63)
    }
  })

  test("by users of the cache coming and going", async () => {
    const inner = countingKeyring()
    const keyring = cachingKeyring(inner, { maxAgeSeconds: 60 })
    for (const materials of await users(keyring)) materials.release()
    expect(isZero(inner.dataKeys[0]!)).toBe(false)
    expect((await use(keyring, tenant("a"))).dataKey).toBe(inner.dataKeys[0])
  })
})

test("a cached key lets the process end", () => {
  const script = `
    import { cachingKeyring, rawAesKeyring } from "./src/keyrings/index.ts"
    const inner = rawAesKeyring({ keyNamespace: "n", keyName: "k", wrappingKey: new Uint8Array(32).fill(1) })
    const keyring = cachingKeyring(inner, { maxAgeSeconds: 3600 })
    const suite = { id: 0x0478, dataKeyLength: 32, derivesKey: true, commitsKey: true, signed: false }
    await keyring.materials.encryption({ suite, commitmentPolicy: "RequireEncryptRequireDecrypt", encryptionContext: {} })
    console.log("done")
  `
  const { stdout, status } = runBundled(script)
  expect(stdout).toContain("done")
  expect(status).toBe(0)
})
