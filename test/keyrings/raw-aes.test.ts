import { describe, expect, test, vi } from "vitest"
import { rawAesKeyring } from "../../src/keyrings/index.ts"
import { wrapCounter } from "../../src/keyrings/wrap-count.ts"
import { testKeyring } from "./contract.ts"
import { failureOf, isZero, suite, unwrapRequest, wrapRequest } from "./requests.ts"

/** The keys that node:crypto's ciphers were given. */
const seen: Uint8Array[] = []
vi.mock("node:crypto", async (original) => {
  const crypto = await original<typeof import("node:crypto")>()
  const createCipheriv: typeof crypto.createCipheriv = (...args: unknown[]) => {
    seen.push(args[1] as Uint8Array)
    return (crypto.createCipheriv as (...all: unknown[]) => never)(...args)
  }
  return { ...crypto, createCipheriv }
})

const randomKey = (length = 32): Uint8Array => crypto.getRandomValues(new Uint8Array(length))
const make = (wrappingKey = randomKey(), keyName = "key") => rawAesKeyring({ keyNamespace: "ns", keyName, wrappingKey })

testKeyring("rawAesKeyring", () => {
  const wrappingKey = randomKey()
  return { keyring: make(wrappingKey), stranger: make(randomKey(), "other"), secrets: [wrappingKey] }
})

describe("rawAesKeyring", () => {
  test.each([16, 24, 32])("takes wrapping keys of %i bytes", async (length) => {
    const keyring = make(randomKey(length))
    const { dataKey, wrappedKeys } = await keyring.wrap(wrapRequest())
    expect(await keyring.unwrap(unwrapRequest(wrappedKeys))).toEqual(dataKey)
  })

  // MSG-4.5
  test("writes the provider info of the specification: name, 128, 12, iv", async () => {
    const { wrappedKeys } = await make(randomKey(), "kéy").wrap(wrapRequest())
    const { providerId, providerInfo, ciphertext } = wrappedKeys[0]!
    expect(providerId).toBe("ns")
    expect(Buffer.from(providerInfo.subarray(0, 12)).toString("hex")).toBe(
      `${Buffer.from("kéy").toString("hex")}000000800000000c`,
    )
    expect(providerInfo).toHaveLength(4 + 8 + 12)
    expect(ciphertext).toHaveLength(32 + 16)
  })

  test("another wrapping key under the same name is mine but broken", async () => {
    const { wrappedKeys } = await make().wrap(wrapRequest())
    const error = await failureOf(() => make().unwrap(unwrapRequest(wrappedKeys)))
    expect(error.code).toBe("UnwrapFailed")
  })

  test("a name that begins another name is another name", async () => {
    const wrappingKey = randomKey()
    const { wrappedKeys } = await make(wrappingKey, "key-2").wrap(wrapRequest())
    expect(await make(wrappingKey, "key").unwrap(unwrapRequest(wrappedKeys))).toBeUndefined()
  })

  test.each([
    ["a reserved namespace", { keyNamespace: "aws-kms" }],
    ["a namespace that begins as the reserved one", { keyNamespace: "aws-kms-mine" }],
    ["an empty namespace", { keyNamespace: "" }],
    ["an empty name", { keyName: "" }],
    ["a string for a key", { wrappingKey: "k".repeat(32) as never }],
    ["no key", { wrappingKey: undefined as never }],
  ])("%s is a TypeError", (_, options) => {
    expect(() => rawAesKeyring({ keyNamespace: "ns", keyName: "n", wrappingKey: randomKey(), ...options })).toThrow(
      TypeError,
    )
  })

  test.each([0, 15, 31, 33])("a wrapping key of %i bytes is a RangeError", (length) => {
    expect(() => make(new Uint8Array(length))).toThrow(RangeError)
  })

  test("the caller may overwrite its key, and close overwrites ours", async () => {
    const wrappingKey = randomKey()
    const keyring = make(wrappingKey)
    const { wrappedKeys } = await keyring.wrap(wrapRequest())
    const ours = seen.at(-1)!
    expect(ours).toEqual(wrappingKey)
    wrappingKey.fill(0)
    expect(await keyring.unwrap(unwrapRequest(wrappedKeys))).toHaveLength(32)
    keyring.close()
    expect(isZero(ours)).toBe(true)
    expect((await failureOf(() => keyring.wrap(wrapRequest()))).code).toBe("Closed")
    expect((await failureOf(() => keyring.unwrap(unwrapRequest(wrappedKeys)))).code).toBe("Closed")
    keyring.close()
  })

  test("leaving the scope of `using` closes", async () => {
    const keyring = make()
    keyring[Symbol.dispose]()
    expect((await failureOf(() => keyring.wrap(wrapRequest()))).code).toBe("Closed")
  })
})

describe("the count of wraps under one key", () => {
  test("is one for all copies of the library in the process", async () => {
    const wrappingKey = randomKey()
    vi.resetModules()
    const copy = await import("../../src/keyrings/wrap-count.ts")
    expect(copy.wrapCounter).not.toBe(wrapCounter)
    expect(copy.wrapCounter(wrappingKey)).toBe(wrapCounter(wrappingKey))
  })

  test("warns at 2^31 and refuses at 2^32, counted over all keyrings of the key", async () => {
    const wrappingKey = randomKey()
    const warn = vi.spyOn(process, "emitWarning").mockImplementation(() => {})
    const [one, two] = [make(wrappingKey, "one"), make(wrappingKey, "two")]
    const counter = wrapCounter(wrappingKey)
    await one.wrap(wrapRequest())
    await two.wrap(wrapRequest())
    expect(counter.count).toBe(2)

    counter.count = 2 ** 31 - 2
    await one.wrap(wrapRequest())
    expect(warn).not.toHaveBeenCalled()
    await two.wrap(wrapRequest())
    await one.wrap(wrapRequest())
    expect(warn).toHaveBeenCalledTimes(1)
    expect(warn.mock.calls[0]![1]).toEqual({ code: "KMS_ENVELOPE_WRAP_COUNT" })

    counter.count = 2 ** 32 - 1
    const { wrappedKeys } = await one.wrap(wrapRequest())
    expect((await failureOf(() => two.wrap(wrapRequest()))).code).toBe("LimitExceeded")
    expect((await failureOf(() => make(wrappingKey).wrap(wrapRequest()))).code).toBe("LimitExceeded")
    expect(await one.unwrap(unwrapRequest(wrappedKeys))).toHaveLength(32)
    expect(wrapCounter(randomKey()).count).toBe(0)
    warn.mockRestore()
  })

  test("an aborted call counts as nothing, and a suite of another length does count", async () => {
    const wrappingKey = randomKey()
    const keyring = make(wrappingKey)
    await failureOf(() => keyring.wrap(wrapRequest({ signal: AbortSignal.abort() })))
    expect(wrapCounter(wrappingKey).count).toBe(0)
    await keyring.wrap(wrapRequest({ suite: suite(0x0114) }))
    expect(wrapCounter(wrappingKey).count).toBe(1)
  })
})
