import { describe, expect, test } from "vitest"
import type { Keyring, WrapRequest } from "../../src/core/index.ts"
import { isUnavailable } from "../../src/keyrings/availability.ts"
import { cachingKeyring, kmsKeyring, multiKeyring, rawAesKeyring } from "../../src/keyrings/index.ts"
import { testKeyring } from "./contract.ts"
import { AWAY, awsError, createWorld, HOME } from "./kms-world.ts"
import { failureOf, isZero, unwrapRequest, wrapRequest } from "./requests.ts"

const aes = (keyName: string): Keyring =>
  rawAesKeyring({ keyNamespace: "ns", keyName, wrappingKey: crypto.getRandomValues(new Uint8Array(32)) })

/** A keyring that fails on both sides; notes the data keys it was given. */
function broken(name: string, error: unknown, given: Uint8Array[] = []): Keyring {
  const fail = async (request: Partial<WrapRequest>): Promise<never> => {
    if (request.dataKey) given.push(request.dataKey)
    throw error
  }
  return { name, wrap: fail, unwrap: fail }
}

const { home, away, keyArn, awayArn } = await createWorld()

testKeyring("multiKeyring of raw keys", () => ({
  keyring: multiKeyring({ generator: aes("a"), children: [aes("b"), aes("c")] }),
  stranger: multiKeyring({ generator: aes("x"), children: [aes("y")] }),
}))

testKeyring("multiKeyring over two Regions", () => ({
  keyring: multiKeyring({
    generator: kmsKeyring({ client: home, generatorKeyId: keyArn }),
    children: [kmsKeyring({ client: away, generatorKeyId: awayArn })],
    minimumWrappedKeys: 1,
  }),
  stranger: aes("x"),
}))

testKeyring("a multiKeyring within another", () => ({
  keyring: multiKeyring({
    generator: aes("a"),
    children: [multiKeyring({ generator: aes("b"), children: [aes("c")] })],
  }),
  stranger: aes("x"),
}))

describe("multiKeyring encrypts", () => {
  // MSG-4.7
  test("with every keyring, the generator's wrapped key first, and any of them decrypts", async () => {
    const keyrings = [aes("a"), aes("b"), aes("c")] as const
    const multi = multiKeyring({ generator: keyrings[0], children: keyrings.slice(1) })
    const { dataKey, wrappedKeys } = await multi.wrap(wrapRequest())
    expect(wrappedKeys).toHaveLength(3)
    for (const [i, keyring] of keyrings.entries()) {
      expect(await keyring.unwrap(unwrapRequest([wrappedKeys[i]!]))).toEqual(dataKey)
      expect(await multi.unwrap(unwrapRequest([wrappedKeys[i]!]))).toEqual(dataKey)
    }
  })

  test("not without a generator, but wraps a data key it is given", async () => {
    const multi = multiKeyring({ children: [aes("a"), aes("b")] })
    expect(await failureOf(() => multi.wrap(wrapRequest()))).toBeInstanceOf(TypeError)
    const { wrappedKeys } = await multi.wrap(wrapRequest({ dataKey: new Uint8Array(32).fill(1) }))
    expect(wrappedKeys).toHaveLength(2)
  })

  test("strictly: a failed child fails the whole with its own error, and the data key is overwritten", async () => {
    const given: Uint8Array[] = []
    const error = awsError("ThrottlingException")
    const multi = multiKeyring({ generator: aes("a"), children: [broken("b", error, given), aes("c")] })
    expect(await failureOf(() => multi.wrap(wrapRequest()))).toBe(error)
    expect(given).toHaveLength(1)
    expect(isZero(given[0]!)).toBe(true)
  })

  test("a failed generator fails the whole, and no child is asked", async () => {
    const given: Uint8Array[] = []
    const error = awsError("KMSInternalException")
    const multi = multiKeyring({ generator: broken("a", error), children: [broken("b", error, given)] })
    expect(await failureOf(() => multi.wrap(wrapRequest()))).toBe(error)
    expect(given).toEqual([])
  })

  test("a data key given from outside is not overwritten by a failure", async () => {
    const dataKey = new Uint8Array(32).fill(6)
    const multi = multiKeyring({ generator: aes("a"), children: [broken("b", new Error("x"))] })
    await failureOf(() => multi.wrap(wrapRequest({ dataKey })))
    expect(isZero(dataKey)).toBe(false)
  })

  test("the others are told to stop when one fails", async () => {
    let stopped: unknown
    const slow: Keyring = {
      name: "slow",
      wrap: ({ signal }) =>
        new Promise((_, reject) =>
          signal!.addEventListener("abort", () => {
            stopped = signal!.reason
            reject(signal!.reason)
          }),
        ),
      unwrap: () => undefined,
    }
    const error = new Error("refused")
    const multi = multiKeyring({ generator: aes("a"), children: [slow, broken("b", error)] })
    expect(await failureOf(() => multi.wrap(wrapRequest()))).toBe(error)
    expect(stopped).toBe(error)
  })

  test("a child's copy of the data key is overwritten, ours is not", async () => {
    let copy: Uint8Array | undefined
    const inner = aes("b")
    const copying: Keyring = {
      ...inner,
      wrap: async (request) => {
        copy = new Uint8Array(request.dataKey!)
        return { ...(await inner.wrap(request)), dataKey: copy }
      },
    }
    const { dataKey } = await multiKeyring({ generator: aes("a"), children: [copying] }).wrap(wrapRequest())
    expect(copy).toHaveLength(32)
    expect(isZero(copy!)).toBe(true)
    expect(isZero(dataKey)).toBe(false)
  })

  test("a child that returns another data key, or no wrapped key, fails the whole", async () => {
    const other: Keyring = { ...aes("b"), wrap: () => ({ dataKey: new Uint8Array(32), wrappedKeys: [] }) }
    const none: Keyring = { ...aes("b"), wrap: ({ dataKey }) => ({ dataKey: dataKey!, wrappedKeys: [] }) }
    for (const child of [other, none]) {
      const multi = multiKeyring({ generator: aes("a"), children: [child] })
      expect((await failureOf(() => multi.wrap(wrapRequest()))).code).toBe("WrapFailed")
    }
  })
})

describe("multiKeyring with minimumWrappedKeys", () => {
  const outage = awsError("TimeoutError")
  const down = (name: string) => broken(name, outage)

  test("goes on when a child is out of reach", async () => {
    const children = [down("b"), aes("c")]
    const { wrappedKeys } = await multiKeyring({ generator: aes("a"), children, minimumWrappedKeys: 2 }).wrap(
      wrapRequest(),
    )
    expect(wrappedKeys).toHaveLength(2)
  })

  test("goes on when the generator's Region is down: the next keyring generates", async () => {
    const unreachable = Object.assign(new Error("connect"), { code: "ECONNREFUSED" })
    const clients: Record<string, { send(command: object): Promise<unknown> }> = {
      [HOME]: { send: () => Promise.reject(unreachable) },
      [AWAY]: away as never,
    }
    const multi = multiKeyring({
      generator: kmsKeyring({ client: (region) => clients[region], generatorKeyId: keyArn }),
      children: [kmsKeyring({ client: (region) => clients[region], generatorKeyId: awayArn })],
      minimumWrappedKeys: 1,
    })
    const { dataKey, wrappedKeys } = await multi.wrap(wrapRequest())
    expect(new TextDecoder().decode(wrappedKeys[0]!.providerInfo)).toBe(awayArn)
    expect(wrappedKeys).toHaveLength(1)
    expect(await multi.unwrap(unwrapRequest(wrappedKeys))).toEqual(dataKey)
  })

  test("fails below the minimum, with the one failure or a list of all, and overwrites the data key", async () => {
    const given: Uint8Array[] = []
    const one = multiKeyring({ generator: aes("a"), children: [broken("b", outage, given)], minimumWrappedKeys: 2 })
    expect(await failureOf(() => one.wrap(wrapRequest()))).toBe(outage)
    expect(isZero(given[0]!)).toBe(true)
    const two = multiKeyring({ generator: aes("a"), children: [down("b"), down("c")], minimumWrappedKeys: 2 })
    const error = await failureOf(() => two.wrap(wrapRequest()))
    expect(error).toMatchObject({
      code: "WrapFailed",
      message: expect.stringContaining("b (TimeoutError), c (TimeoutError)"),
    })
    expect((error.cause as AggregateError).errors).toEqual([outage, outage])
    const all = multiKeyring({ generator: down("a"), children: [down("b")], minimumWrappedKeys: 1 })
    expect((await failureOf(() => all.wrap(wrapRequest()))).code).toBe("WrapFailed")
  })

  test.each(["AccessDeniedException", "DisabledException", "NotFoundException"])(
    "a refusal (%s) still fails",
    async (name) => {
      const error = awsError(name)
      for (const keyrings of [
        { generator: broken("a", error), children: [aes("b")] },
        { generator: aes("a"), children: [broken("b", error)] },
      ]) {
        const multi = multiKeyring({ ...keyrings, minimumWrappedKeys: 1 })
        expect(await failureOf(() => multi.wrap(wrapRequest()))).toBe(error)
      }
    },
  )

  test("tolerate decides instead", async () => {
    const options = { generator: aes("a"), children: [broken("b", new Error("sealed"))], minimumWrappedKeys: 1 }
    const tolerate = (error: unknown) => (error as Error).message === "sealed"
    expect((await multiKeyring({ ...options, tolerate }).wrap(wrapRequest())).wrappedKeys).toHaveLength(1)
    expect((await failureOf(() => multiKeyring(options).wrap(wrapRequest()))).message).toBe("sealed")
  })

  test("an abort is never tolerated", async () => {
    const controller = new AbortController()
    const child: Keyring = {
      name: "b",
      wrap: ({ signal }) => {
        controller.abort(outage)
        return Promise.reject(signal!.reason)
      },
      unwrap: () => undefined,
    }
    const multi = multiKeyring({ generator: aes("a"), children: [child], minimumWrappedKeys: 1 })
    expect(await failureOf(() => multi.wrap(wrapRequest({ signal: controller.signal })))).toBe(outage)
  })

  test.each([0, 3, 1.5, Number.NaN, "1"])("of %s is a RangeError for two keyrings", (minimumWrappedKeys) => {
    const options = { generator: aes("a"), children: [aes("b")] }
    expect(() => multiKeyring({ ...options, minimumWrappedKeys: minimumWrappedKeys as number })).toThrow(RangeError)
  })
})

describe("multiKeyring decrypts", () => {
  // MSG-4.7
  test("with the first keyring that can, and does not ask the others", async () => {
    const [a, b] = [aes("a"), aes("b")]
    const { dataKey, wrappedKeys } = await multiKeyring({ generator: a, children: [b] }).wrap(wrapRequest())
    const asked: string[] = []
    const never: Keyring = { ...aes("c"), unwrap: () => void asked.push("c") as undefined }
    const reader = multiKeyring({ children: [broken("x", new Error("x")), b, never] })
    expect(await reader.unwrap(unwrapRequest(wrappedKeys))).toEqual(dataKey)
    expect(asked).toEqual([])
  })

  test("a single failure is thrown as it is, several are listed", async () => {
    const { wrappedKeys } = await aes("z").wrap(wrapRequest())
    const [one, two] = [awsError("AccessDeniedException"), awsError("TimeoutError")]
    const single = multiKeyring({ generator: aes("a"), children: [broken("b", one)] })
    expect(await failureOf(() => single.unwrap(unwrapRequest(wrappedKeys)))).toBe(one)
    const several = multiKeyring({ children: [broken("kms one", one), aes("a"), broken("kms two", two)] })
    const error = await failureOf(() => several.unwrap(unwrapRequest(wrappedKeys)))
    expect(error.code).toBe("UnwrapFailed")
    expect(error.message).toContain("kms one (AccessDeniedException), kms two (TimeoutError)")
    expect((error.cause as AggregateError).errors).toEqual([one, two])
  })

  test("a data key of another length counts as a failure, is overwritten, and the next keyring is asked", async () => {
    const short = new Uint8Array(16).fill(1)
    const bad: Keyring = { ...aes("b"), unwrap: () => short }
    const good = aes("a")
    const { dataKey, wrappedKeys } = await good.wrap(wrapRequest())
    expect(await multiKeyring({ children: [bad, good] }).unwrap(unwrapRequest(wrappedKeys))).toEqual(dataKey)
    expect(isZero(short)).toBe(true)
  })

  test("an abort ends it at once", async () => {
    const controller = new AbortController()
    const asked: string[] = []
    const aborts: Keyring = { ...aes("a"), unwrap: () => Promise.reject(controller.abort("stop") ?? new Error("late")) }
    const never: Keyring = { ...aes("c"), unwrap: () => void asked.push("c") as undefined }
    const multi = multiKeyring({ children: [aborts, never] })
    await failureOf(() => multi.unwrap(unwrapRequest([], { signal: controller.signal })))
    expect(asked).toEqual([])
  })
})

describe("multiKeyring refuses", () => {
  test("no keyrings, and what is no keyring", () => {
    expect(() => multiKeyring({})).toThrow(TypeError)
    expect(() => multiKeyring({ children: [] })).toThrow(TypeError)
    expect(() => multiKeyring({ children: [{} as Keyring] })).toThrow(TypeError)
  })

  test("a caching keyring inside, naming the remedy", () => {
    const caching = cachingKeyring(aes("a"), { maxAgeSeconds: 1 })
    expect(() => multiKeyring({ generator: caching })).toThrow(/wrap the multiKeyring with the cachingKeyring/)
    expect(() => multiKeyring({ children: [caching] })).toThrow(TypeError)
  })
})

describe("what counts as an outage", () => {
  test.each([
    ["throttling", awsError("ThrottlingException"), true],
    ["an internal error", awsError("KMSInternalException", "", 500), true],
    ["any 5xx", awsError("Something", "", 503), true],
    ["a failed fetch", new TypeError("fetch failed", { cause: { code: "ECONNREFUSED" } }), true],
    ["two failed connections", new AggregateError([{ code: "ETIMEDOUT" }, { code: "ECONNRESET" }]), true],
    [
      "an outage beside a refusal",
      new AggregateError([{ code: "ETIMEDOUT" }, awsError("AccessDeniedException")]),
      false,
    ],
    ["access denied", awsError("AccessDeniedException"), false],
    ["a wrong ciphertext", awsError("InvalidCiphertextException"), false],
    ["a plain error", new Error("x"), false],
    ["nothing", undefined, false],
  ])("%s", (_, error, expected) => {
    expect(isUnavailable(error)).toBe(expected)
  })

  test("a cause that leads back to itself ends", () => {
    const error = new Error("x")
    error.cause = error
    expect(isUnavailable(error)).toBe(false)
  })
})
