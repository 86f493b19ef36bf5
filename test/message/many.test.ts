import { describe, expect, it } from "vitest"
import {
  cachingKeyring,
  decrypt,
  decryptMany,
  EnvelopeError,
  encrypt,
  encryptMany,
  type Keyring,
  rawAesKeyring,
} from "../../src/index.ts"

/** Counts the calls that would go to KMS, and answers late, as KMS does. */
function counted(): { keyring: Keyring; calls: { wrap: number; unwrap: number; most: number } } {
  const inner = rawAesKeyring({ keyNamespace: "many", keyName: "key", wrappingKey: new Uint8Array(32).fill(5) })
  const calls = { wrap: 0, unwrap: 0, most: 0 }
  let underWay = 0
  const late = async <T>(work: () => T): Promise<T> => {
    calls.most = Math.max(calls.most, ++underWay)
    await new Promise((resolve) => setTimeout(resolve, 2))
    underWay--
    return work()
  }
  const keyring: Keyring = {
    name: "counted",
    wrap: (request) => {
      calls.wrap++
      return late(() => inner.wrap(request)) as ReturnType<Keyring["wrap"]>
    },
    unwrap: (request) => {
      calls.unwrap++
      return late(() => inner.unwrap(request)) as ReturnType<Keyring["unwrap"]>
    },
  }
  return { keyring, calls }
}

const rows = Array.from({ length: 300 }, (_, i) => ({
  plaintext: `row ${i}`,
  encryptionContext: { tenant: String(i % 3) },
}))

describe("encryptMany and decryptMany", () => {
  it.each([false, true])("cost one call for each distinct context (signed: %s)", async (signed) => {
    const { keyring, calls } = counted()
    const messages = await encryptMany(rows, { keyring, signed, encryptionContext: { table: "cards" } })
    expect(calls.wrap).toBe(3)
    const results = await decryptMany(messages, { keyring, encryptionContext: { table: "cards" } })
    expect(calls.unwrap).toBe(3)
    expect(results.map((result) => result.status === "fulfilled" && result.value.text())).toEqual(
      rows.map(({ plaintext }) => plaintext),
    )
    expect(new Set(messages.map((message) => Buffer.from(message.subarray(3, 35)).toString("hex"))).size).toBe(300)
  })

  it("write messages that stand by themselves", async () => {
    const { keyring } = counted()
    const [message] = await encryptMany(["alone"], { keyring })
    expect((await decrypt(message!, { keyring })).text()).toBe("alone")
  })

  it("settle each message by itself", async () => {
    const { keyring } = counted()
    const good = await encrypt("good", { keyring })
    const bad = good.slice()
    bad[bad.length - 1]! ^= 1
    const results = await decryptMany([good, bad, Uint8Array.of(9), good], { keyring })
    expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "rejected", "fulfilled"])
    expect(results.map((result) => result.status === "rejected" && (result.reason as EnvelopeError).code)).toEqual([
      false,
      "TamperedMessage",
      "UnsupportedFormat",
      false,
    ])
  })

  it("ask the keyring for no more than `concurrency` keys at once", async () => {
    const { keyring, calls } = counted()
    const distinct = rows.map(({ plaintext }, i) => ({ plaintext, encryptionContext: { row: String(i) } }))
    await encryptMany(distinct, { keyring, concurrency: 5 })
    expect(calls).toMatchObject({ wrap: 300, most: 5 })
  })

  it("give each message a data key of its own in suites without key derivation", async () => {
    const { keyring, calls } = counted()
    await encryptMany(rows, { keyring, suiteId: 0x0078, commitmentPolicy: "ForbidEncryptAllowDecrypt" })
    expect(calls.wrap).toBe(300)
  })

  it("leave a caching keyring to its own limits", async () => {
    const { keyring, calls } = counted()
    using caching = cachingKeyring(keyring, { maxAgeSeconds: 60, maxMessages: 10 })
    await encryptMany(Array(40).fill("x"), { keyring: caching, concurrency: 1 })
    expect(calls.wrap).toBe(4)
  })

  it("overwrite the data keys they shared", async () => {
    const { keyring } = counted()
    const keys: Uint8Array[] = []
    const spy: Keyring = {
      ...keyring,
      wrap: async (request) => {
        const result = await keyring.wrap(request)
        keys.push(result.dataKey)
        return result
      },
    }
    await encryptMany(rows, { keyring: spy })
    expect(keys).toHaveLength(3)
    for (const key of keys) expect(key).toEqual(new Uint8Array(32))
  })

  it("fail as a whole when one record cannot be encrypted, and stop on an abort", async () => {
    const { keyring } = counted()
    const records = ["fine", { plaintext: "bad", encryptionContext: { "aws-crypto-x": "1" } }]
    await expect(encryptMany(records, { keyring })).rejects.toThrow(TypeError)
    const signal = AbortSignal.abort(new Error("enough"))
    await expect(encryptMany(["a"], { keyring, signal })).rejects.toThrow("enough")
    await expect(decryptMany([], { keyring, signal })).rejects.toThrow("enough")
    await expect(encryptMany([], { keyring, concurrency: 0 })).rejects.toThrow(RangeError)
  })

  it("let others run while they work", async () => {
    const keyring = rawAesKeyring({ keyNamespace: "many", keyName: "key", wrappingKey: new Uint8Array(32) })
    let turns = 0
    const timer = setInterval(() => turns++, 1)
    await encryptMany(Array(4000).fill("x"), { keyring })
    clearInterval(timer)
    expect(turns).toBeGreaterThan(2)
  })

  it("take nothing and give nothing", async () => {
    const { keyring, calls } = counted()
    expect(await encryptMany([], { keyring })).toEqual([])
    expect(await decryptMany([], { keyring })).toEqual([])
    expect(calls).toMatchObject({ wrap: 0, unwrap: 0 })
    expect(EnvelopeError).toBeDefined()
  })
})
