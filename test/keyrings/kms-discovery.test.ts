import { describe, expect, test } from "vitest"
import { kmsDiscoveryKeyring, kmsKeyring, multiKeyring } from "../../src/keyrings/index.ts"
import { testKeyring } from "./contract.ts"
import { AWAY, createWorld, HOME, recorder } from "./kms-world.ts"
import { failureOf, unwrapRequest, wrapRequest } from "./requests.ts"

const { home, away, keyArn, otherArn, awayArn, replicas } = await createWorld()
const filter = { partition: "aws", accountIds: ["111122223333"] }
const wrapUnder = (client: typeof home, generatorKeyId: string) =>
  kmsKeyring({ client, generatorKeyId }).wrap(wrapRequest())

// A discovery keyring only decrypts: the contract runs on it with a KMS keyring beside it that wraps.
testKeyring("kmsDiscoveryKeyring", () => {
  const writer = kmsKeyring({ client: home, generatorKeyId: keyArn })
  const inAway = { partition: "aws", accountIds: ["999988887777"] }
  const discovery = kmsDiscoveryKeyring({ client: home, filter })
  return {
    keyring: { ...discovery, wrap: (request) => writer.wrap(request) },
    stranger: {
      ...kmsDiscoveryKeyring({ client: home, filter: inAway }),
      // Under the name of another account's key.
      wrap: async (request) => {
        const { dataKey, wrappedKeys } = await writer.wrap(request)
        const info = new TextEncoder().encode(keyArn.replace("111122223333", "444455556666"))
        return { dataKey, wrappedKeys: wrappedKeys.map((key) => ({ ...key, providerInfo: info })) }
      },
    },
  }
})

describe("kmsDiscoveryKeyring", () => {
  test("asks with the key ARN of the message", async () => {
    const { dataKey, wrappedKeys } = await wrapUnder(home, keyArn)
    const client = recorder(home)
    const keyring = kmsDiscoveryKeyring({ client, filter, grantTokens: [] })
    expect(await keyring.unwrap(unwrapRequest(wrappedKeys))).toEqual(dataKey)
    expect(client.sent.map(({ operation, input }) => [operation, input.KeyId])).toEqual([["Decrypt", keyArn]])
  })

  test("does not encrypt", async () => {
    const keyring = kmsDiscoveryKeyring({ client: home, allowAnyAccount: true })
    const error = await failureOf(() => keyring.wrap(wrapRequest()))
    expect(error).toBeInstanceOf(TypeError)
    expect(error.message).toContain("only decrypts")
    const multi = multiKeyring({ generator: kmsKeyring({ client: home, generatorKeyId: keyArn }), children: [keyring] })
    expect(await failureOf(() => multi.wrap(wrapRequest()))).toBeInstanceOf(TypeError)
  })

  test("leaves keys of other accounts and partitions alone, without a call", async () => {
    const { wrappedKeys } = await wrapUnder(home, keyArn)
    const client = recorder(home)
    for (const other of [
      { ...filter, accountIds: ["999988887777"] },
      { ...filter, partition: "aws-cn" },
    ]) {
      expect(await kmsDiscoveryKeyring({ client, filter: other }).unwrap(unwrapRequest(wrappedKeys))).toBeUndefined()
    }
    expect(client.sent).toEqual([])
    const any = kmsDiscoveryKeyring({ client, allowAnyAccount: true })
    expect(await any.unwrap(unwrapRequest(wrappedKeys))).toHaveLength(32)
  })

  test("a client per Region: each wrapped key is decrypted where its ARN says", async () => {
    const clients: Record<string, ReturnType<typeof recorder>> = { [HOME]: recorder(home), [AWAY]: recorder(away) }
    const keyring = kmsDiscoveryKeyring({ client: (region) => clients[region], filter })
    for (const [client, arn, region] of [
      [home, keyArn, HOME],
      [away, awayArn, AWAY],
    ] as const) {
      const { dataKey, wrappedKeys } = await wrapUnder(client, arn)
      expect(await keyring.unwrap(unwrapRequest(wrappedKeys))).toEqual(dataKey)
      expect(clients[region]!.sent.map(({ input }) => input.KeyId)).toEqual([arn])
    }
    const homeOnly = kmsDiscoveryKeyring({ client: (region) => (region === HOME ? home : undefined), filter })
    const { wrappedKeys } = await wrapUnder(away, awayArn)
    expect(await homeOnly.unwrap(unwrapRequest(wrappedKeys))).toBeUndefined()
  })

  test("with a region it reads multi-Region keys of any Region through the replica there", async () => {
    const { dataKey, wrappedKeys } = await wrapUnder(home, replicas.home)
    const client = recorder(away)
    const keyring = kmsDiscoveryKeyring({ client, filter, region: AWAY })
    expect(await keyring.unwrap(unwrapRequest(wrappedKeys))).toEqual(dataKey)
    expect(client.sent.map(({ input }) => input.KeyId)).toEqual([replicas.away])
  })

  test("with a region it leaves single-Region keys of other Regions alone", async () => {
    const client = recorder(away)
    const keyring = kmsDiscoveryKeyring({ client, filter, region: AWAY })
    const { wrappedKeys } = await wrapUnder(home, keyArn)
    expect(await keyring.unwrap(unwrapRequest(wrappedKeys))).toBeUndefined()
    expect(client.sent).toEqual([])
    const { dataKey, wrappedKeys: near } = await wrapUnder(away, awayArn)
    expect(await keyring.unwrap(unwrapRequest([...wrappedKeys, ...near]))).toEqual(dataKey)
  })

  test("goes on to the next wrapped key when KMS refuses one, and lists what failed when all do", async () => {
    const { dataKey, wrappedKeys } = await kmsKeyring({
      client: home,
      generatorKeyId: keyArn,
      keyIds: [otherArn],
    }).wrap(wrapRequest())
    const keyring = kmsDiscoveryKeyring({ client: home, filter })
    const swapped = [{ ...wrappedKeys[0]!, ciphertext: wrappedKeys[1]!.ciphertext }, wrappedKeys[1]!]
    expect(await keyring.unwrap(unwrapRequest(swapped))).toEqual(dataKey)
    const error = await failureOf(() => keyring.unwrap(unwrapRequest([swapped[0]!, swapped[0]!])))
    expect(error.code).toBe("UnwrapFailed")
    expect((error.cause as AggregateError).errors).toHaveLength(2)
  })

  test.each([
    ["neither filter nor allowAnyAccount", {}],
    ["both", { filter, allowAnyAccount: true }],
    ["allowAnyAccount: false", { allowAnyAccount: false }],
    ["no account", { filter: { partition: "aws", accountIds: [] } }],
    ["an empty account", { filter: { partition: "aws", accountIds: [""] } }],
    ["no partition", { filter: { accountIds: ["1"] } }],
    ["an empty region", { filter, region: "" }],
    ["no client", { filter, client: undefined }],
  ])("%s is a TypeError", (_, options) => {
    expect(() => kmsDiscoveryKeyring({ client: home, ...options } as never)).toThrow(TypeError)
  })
})
