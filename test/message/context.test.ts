import { generateKeyPairSync } from "node:crypto"
import { describe, expect, it } from "vitest"
import type { Keyring, UnwrapRequest } from "../../src/core/index.ts"
import { decrypt, encrypt, inspect, openMessage, reencrypt } from "../../src/index.ts"
import { rawRsaKeyring } from "../../src/keyrings/index.ts"
import { codeOf } from "../support/errors.ts"
import { aesKeyring } from "../support/keys.ts"
import { readers } from "../support/readers.ts"
import { through } from "../support/streams.ts"

const keyring = aesKeyring()
const pair = generateKeyPairSync("rsa", { modulusLength: 2048 })
/** RSA binds no context: only the header tag does. */
const unbound = rawRsaKeyring({ keyNamespace: "tests", keyName: "rsa", ...pair, padding: "oaep-sha256" })
const context = { tenant: "42", purpose: "test", ключ: "значение" }

const watched = (inner: Keyring) => {
  const requests: UnwrapRequest[] = []
  const spy: Keyring = {
    ...inner,
    unwrap: (request) => {
      requests.push(request)
      return inner.unwrap(request)
    },
  }
  return { spy, requests }
}

describe("The encryption context that a reader expects", () => {
  it("may be all pairs, some or none", async () => {
    const message = await encrypt("x", { keyring, encryptionContext: context })
    for (const encryptionContext of [context, { tenant: "42" }, {}, undefined]) {
      const options = { keyring, ...(encryptionContext && { encryptionContext }) }
      for (const reader of readers) expect(Buffer.from(await reader.read(message, options)).toString()).toBe("x")
      expect({ ...(await decrypt(message, options)).encryptionContext }).toEqual(context)
    }
  })

  it.each([
    ["another value", { tenant: "43" }],
    ["a pair too many", { ...context, more: "1" }],
    ["an empty value for a missing key", { more: "" }],
    ["a value with another case", { purpose: "Test" }],
    ["the name of an inherited property", { toString: "x" }],
  ])("is refused with %s, before the keyring is asked", async (_, encryptionContext) => {
    const message = await encrypt("x", { keyring, encryptionContext: context })
    const { spy, requests } = watched(keyring)
    for (const reader of readers) {
      const code = await codeOf(() => reader.read(message, { keyring: spy, encryptionContext }))
      expect(code, reader.name).toBe("ContextMismatch")
    }
    expect(requests.length).toBe(0)
  })

  it("may name the public key of a signed message, with its value", async () => {
    const message = await encrypt("x", { keyring, signed: true })
    const publicKey = inspect(message).encryptionContext["aws-crypto-public-key"]!
    const read = (value: string) => decrypt(message, { keyring, encryptionContext: { "aws-crypto-public-key": value } })
    expect((await read(publicKey)).text()).toBe("x")
    expect(await codeOf(() => read("other"))).toBe("ContextMismatch")
  })
})

describe("Pairs that are required but not stored", () => {
  const requiredContextKeys = ["tenant", "ключ"]
  const { purpose, ...secret } = context

  // MSG-3.5
  it.each([
    ["raw AES", keyring],
    ["raw RSA", unbound],
  ] as const)("stay out of the header and must be given again (%s)", async (_, keys) => {
    for (const signed of [false, true]) {
      const options = { keyring: keys, encryptionContext: context, requiredContextKeys }
      const message = await encrypt("x", { ...options, signed })
      const stored = inspect(message).encryptionContext
      expect(Object.keys(stored).filter((key) => !key.startsWith("aws-crypto-"))).toEqual(["purpose"])
      expect(Buffer.from(message).includes("значение")).toBe(false)
      for (const reader of readers) expect(Buffer.from(await reader.read(message, options)).toString()).toBe("x")
      const { encryptionContext } = await decrypt(message, options)
      expect({ ...encryptionContext }).toMatchObject(context)
    }
  })

  // MSG-3.6, and MSG-4.6 under raw RSA
  it("cannot be left out, changed, or given without naming them", async () => {
    for (const [keys, code] of [
      [keyring, "UnwrapFailed"],
      [unbound, "TamperedMessage"],
    ] as const) {
      const message = await encrypt("x", { keyring: keys, encryptionContext: context, requiredContextKeys })
      for (const reader of readers) {
        const read = (options: object) => codeOf(() => reader.read(message, { keyring: keys, ...options }))
        expect(await read({})).toBe(code)
        expect(await read({ encryptionContext: { purpose } })).toBe(code)
        expect(await read({ encryptionContext: { tenant: "42" }, requiredContextKeys: ["tenant"] })).toBe(code)
        expect(await read({ encryptionContext: { ...secret, tenant: "43" }, requiredContextKeys })).toBe(code)
        expect(
          await read({
            encryptionContext: { ...context, more: "" },
            requiredContextKeys: [...requiredContextKeys, "more"],
          }),
        ).toBe(code)
        // Named nowhere, a pair that is not stored is an error even with the right value.
        expect(await read({ encryptionContext: context })).toBe("ContextMismatch")
        expect(await read({ encryptionContext: context, requiredContextKeys: ["tenant"] })).toBe("ContextMismatch")
      }
    }
  })

  it("may be named although they are stored, and are compared then", async () => {
    const message = await encrypt("x", { keyring, encryptionContext: context })
    const read = (tenant: string) =>
      decrypt(message, {
        keyring,
        encryptionContext: { ...context, tenant },
        requiredContextKeys: Object.keys(context),
      })
    expect((await read("42")).text()).toBe("x")
    expect(await codeOf(() => read("43"))).toBe("ContextMismatch")
  })

  it("may be all pairs", async () => {
    const options = { keyring, encryptionContext: context, requiredContextKeys: Object.keys(context) }
    const message = await encrypt("x", options)
    expect(Object.keys(inspect(message).encryptionContext)).toEqual([])
    expect((await decrypt(message, options)).text()).toBe("x")
    await using handle = await openMessage(message, options)
    expect({ ...handle.encryptionContext }).toEqual(context)
  })

  it("go along when a message is re-encrypted", async () => {
    const options = { keyring, encryptionContext: context, requiredContextKeys }
    const message = await encrypt("x", options)
    const other = aesKeyring("another key", new Uint8Array(32).fill(9))
    const out = await through(reencrypt({ from: options, to: { keyring: other } }), [message])
    expect(Object.keys(inspect(out).encryptionContext)).toEqual(["purpose"])
    expect((await decrypt(out, { ...options, keyring: other })).text()).toBe("x")
    expect(await codeOf(() => decrypt(out, { keyring: other }))).toBe("UnwrapFailed")
  })
})

describe("Whom a message is for", () => {
  // MSG-4.8
  it("is told by its wrapped keys alone: another keyring finds nothing", async () => {
    const message = await encrypt("x", { keyring })
    const stranger = aesKeyring("a name that is not there")
    for (const reader of readers) {
      expect(await codeOf(() => reader.read(message, { keyring: stranger })), reader.name).toBe("NoMatchingKey")
    }
    const wrong = aesKeyring(undefined, new Uint8Array(32))
    for (const reader of readers) {
      expect(await codeOf(() => reader.read(message, { keyring: wrong })), reader.name).toBe("UnwrapFailed")
    }
  })
})
