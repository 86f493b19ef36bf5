import { describe, expect, test } from "vitest"
import type { Keyring, WrappedKey } from "../../src/core/index.ts"
import { decrypt, EnvelopeError, encrypt } from "../../src/index.ts"
import { COMMITTING, CONTEXT, failureOf, flipBit, SUITES, unwrapRequest, wrapRequest } from "./requests.ts"

export interface Subject {
  readonly keyring: Keyring
  /** Of the same kind, under another wrapping key and name. */
  readonly stranger: Keyring
  /** Encodings of secrets that must not stand in the name or in errors. */
  readonly secrets?: readonly Uint8Array[]
}

export interface ContractOptions {
  /** False for keyrings whose algorithm binds no encryption context. Default true. */
  readonly bindsContext?: boolean
}

/** What every keyring keeps to, ours and those that users write. */
export function testKeyring(
  title: string,
  make: () => Subject | Promise<Subject>,
  { bindsContext = true }: ContractOptions = {},
): void {
  describe(`${title} keeps to the keyring contract`, () => {
    test.each(SUITES)("it generates a data key of $dataKeyLength bytes and unwraps it", async (suite) => {
      const { keyring } = await make()
      const { dataKey, wrappedKeys } = await keyring.wrap(wrapRequest({ suite }))
      expect(dataKey).toHaveLength(suite.dataKeyLength)
      expect(wrappedKeys.length).toBeGreaterThan(0)
      expectSame(await keyring.unwrap(unwrapRequest(wrappedKeys, { suite })), dataKey)
    })

    test("each data key is another one", async () => {
      const { keyring } = await make()
      const results = await Promise.all(Array.from({ length: 8 }, () => keyring.wrap(wrapRequest())))
      const keys = new Set(results.map(({ dataKey }) => hex(dataKey)))
      expect(keys.size).toBe(8)
      for (const { dataKey, wrappedKeys } of results) {
        expectSame(await keyring.unwrap(unwrapRequest(wrappedKeys)), dataKey)
      }
    })

    test("it wraps a data key that it is given, unchanged", async () => {
      const { keyring } = await make()
      const given = crypto.getRandomValues(new Uint8Array(COMMITTING.dataKeyLength))
      const before = new Uint8Array(given)
      const { dataKey, wrappedKeys } = await keyring.wrap(wrapRequest({ dataKey: given }))
      expect(given).toEqual(before)
      expectSame(dataKey, before)
      expectSame(await keyring.unwrap(unwrapRequest(wrappedKeys)), before)
    })

    test("what it returns owns its memory", async () => {
      const { keyring } = await make()
      const { dataKey, wrappedKeys } = await keyring.wrap(wrapRequest())
      const unwrapped = await keyring.unwrap(unwrapRequest(wrappedKeys))
      const again = await keyring.unwrap(unwrapRequest(wrappedKeys))
      const arrays = [dataKey, unwrapped!, again!, ...wrappedKeys.flatMap((key) => [key.providerInfo, key.ciphertext])]
      for (const array of arrays) {
        expect(array.byteOffset).toBe(0)
        expect(array.buffer.byteLength).toBe(array.length)
      }
      expect(new Set(arrays.map((array) => array.buffer)).size).toBe(arrays.length)
    })

    test("an empty list and other keyrings' wrapped keys are not its own", async () => {
      const { keyring, stranger } = await make()
      const { wrappedKeys } = await stranger.wrap(wrapRequest())
      const nobodys: WrappedKey = { ...wrappedKeys[0]!, providerId: "nobody" }
      expect(await keyring.unwrap(unwrapRequest([]))).toBeUndefined()
      expect(await keyring.unwrap(unwrapRequest(wrappedKeys))).toBeUndefined()
      expect(await keyring.unwrap(unwrapRequest([nobodys]))).toBeUndefined()
    })

    test("it finds its own wrapped key among others, and among copies of itself", async () => {
      const { keyring, stranger } = await make()
      const { dataKey, wrappedKeys } = await keyring.wrap(wrapRequest())
      const { wrappedKeys: others } = await stranger.wrap(wrapRequest())
      expectSame(await keyring.unwrap(unwrapRequest([...others, ...wrappedKeys, ...others])), dataKey)
      expectSame(await keyring.unwrap(unwrapRequest([...wrappedKeys, ...wrappedKeys])), dataKey)
    })

    test.each(["first", "middle", "last"] as const)(
      "it throws when the %s byte of its wrapped key changed",
      async (at) => {
        const { keyring } = await make()
        const { dataKey, wrappedKeys } = await keyring.wrap(wrapRequest())
        const broken = wrappedKeys.map((key) => ({ ...key, ciphertext: flipBit(key.ciphertext, position(key, at)) }))
        const error = await failureOf(() => keyring.unwrap(unwrapRequest(broken)))
        expect(error).toBeInstanceOf(Error)
        expectNoSecrets(error, [dataKey])
        // A broken one does not stand in the way of a good one.
        expectSame(await keyring.unwrap(unwrapRequest([...broken, ...wrappedKeys])), dataKey)
      },
    )

    test.each([0, 1, -1])("it throws when its wrapped key is cut to %i bytes", async (length) => {
      const { keyring } = await make()
      const { wrappedKeys } = await keyring.wrap(wrapRequest())
      const cut = wrappedKeys.map((key) => ({ ...key, ciphertext: key.ciphertext.slice(0, length) }))
      expect(await failureOf(() => keyring.unwrap(unwrapRequest(cut)))).toBeInstanceOf(Error)
    })

    test.runIf(bindsContext)("it unwraps under the same encryption context only", async () => {
      const { keyring } = await make()
      const { dataKey, wrappedKeys } = await keyring.wrap(wrapRequest())
      const reordered = Object.fromEntries(Object.entries(CONTEXT).reverse())
      expectSame(await keyring.unwrap(unwrapRequest(wrappedKeys, { encryptionContext: reordered })), dataKey)
      const { tenant: _, ...fewer } = CONTEXT
      const wrong = [{}, fewer, { ...CONTEXT, more: "1" }, { ...CONTEXT, tenant: "43" }]
      for (const encryptionContext of wrong) {
        const error = await failureOf(() => keyring.unwrap(unwrapRequest(wrappedKeys, { encryptionContext })))
        expect(error).toBeInstanceOf(Error)
      }
    })

    test("an aborted signal ends both sides with its reason", async () => {
      const { keyring } = await make()
      const { wrappedKeys } = await keyring.wrap(wrapRequest())
      const reason = new Error("enough")
      const signal = AbortSignal.abort(reason)
      expect(await failureOf(() => keyring.wrap(wrapRequest({ signal })))).toBe(reason)
      expect(await failureOf(() => keyring.unwrap(unwrapRequest(wrappedKeys, { signal })))).toBe(reason)
    })

    test("its name says something, and nothing secret", async () => {
      const { keyring, secrets = [] } = await make()
      const { dataKey } = await keyring.wrap(wrapRequest())
      expect(keyring.name).toMatch(/\S/)
      expectNoSecrets(new Error(keyring.name), [dataKey, ...secrets])
    })

    test("where it generates without plaintext, the wrapped key opens to a data key", async () => {
      const { keyring } = await make()
      const wrappedKeys = await keyring.generateWithoutPlaintext?.(wrapRequest())
      if (wrappedKeys === undefined) return
      expect(await keyring.unwrap(unwrapRequest(wrappedKeys))).toHaveLength(COMMITTING.dataKeyLength)
    })

    test.each([false, true])("messages make the round trip (signed: %s)", async (signed) => {
      const { keyring, stranger } = await make()
      const message = await encrypt("Grüße", { keyring, signed, encryptionContext: CONTEXT })
      const { plaintext, encryptionContext } = await decrypt(message, { keyring, encryptionContext: CONTEXT })
      expect(new TextDecoder().decode(plaintext)).toBe("Grüße")
      expect(encryptionContext).toMatchObject(CONTEXT)
      const error = await failureOf(() => decrypt(message, { keyring: stranger }))
      expect(error).toBeInstanceOf(EnvelopeError)
      expect(error.code).toBe("NoMatchingKey")
    })
  })
}

/** Looks for each secret in hexadecimal, base64 and raw, through the error's causes. */
export function expectNoSecrets(error: unknown, secrets: readonly Uint8Array[]): void {
  for (let e = error; e instanceof Error; e = e.cause) {
    const text = `${e.name} ${e.message} ${e.stack} ${JSON.stringify(e)}`
    for (const secret of secrets) {
      expect(text).not.toContain(hex(secret))
      expect(text).not.toContain(Buffer.from(secret).toString("base64"))
      expect(text).not.toContain(Buffer.from(secret).toString("latin1"))
    }
  }
}

/** By contents: a keyring may return a Buffer. */
const expectSame = (actual: Uint8Array | undefined, expected: Uint8Array): void =>
  expect(actual && hex(actual)).toBe(hex(expected))

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")

function position({ ciphertext }: WrappedKey, at: "first" | "middle" | "last"): number {
  return { first: 0, middle: ciphertext.length >> 1, last: ciphertext.length - 1 }[at]
}
