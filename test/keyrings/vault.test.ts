import { readFileSync } from "node:fs"
import { afterAll, describe, expect, test } from "vitest"
import type { Keyring } from "../../src/core/index.ts"
import { kmsKeyring, multiKeyring } from "../../src/keyrings/index.ts"
import { testKeyring } from "./contract.ts"
import { fakeTransit } from "./fake-transit.ts"
import { createWorld } from "./kms-world.ts"
import { failureOf, isZero, unwrapRequest, wrapRequest } from "./requests.ts"

const EXAMPLE = new URL("../../examples/vault-keyring.ts", import.meta.url)
// By a variable: the example imports the package by its name, which the type check of the tests need not resolve.
const example: string = EXAMPLE.pathname
const { vaultKeyring } = (await import(example)) as {
  vaultKeyring: (options: { address: string; token: string; keyName: string }) => Keyring
}

const TOKEN = "hvs.secret-token"
const { address, server, paths } = await fakeTransit(TOKEN)
afterAll(() => {
  server.close()
})
const vault = (keyName: string, token = TOKEN) => vaultKeyring({ address, token, keyName })

testKeyring("the Vault keyring of the guide", () => ({
  keyring: vault("orders"),
  stranger: vault("invoices"),
  secrets: [new TextEncoder().encode(TOKEN)],
}))

describe("the Vault keyring of the guide", () => {
  test("is complete in under 60 lines", () => {
    const text = readFileSync(EXAMPLE, "utf8")
    expect(text.trimEnd().split("\n").length).toBeLessThan(60)
  })

  test("calls encrypt and decrypt of its key", async () => {
    paths.length = 0
    const { wrappedKeys } = await vault("orders").wrap(wrapRequest())
    await vault("orders").unwrap(unwrapRequest(wrappedKeys))
    expect(paths).toEqual(["/v1/transit/encrypt/orders", "/v1/transit/decrypt/orders"])
  })

  test("a refusal is an error with its status, and leaves no key behind", async () => {
    const error = await failureOf(() => vault("orders", "wrong").wrap(wrapRequest()))
    expect(error.message).toBe("vault-transit orders: encrypt failed with HTTP status 403")
    const given = new Uint8Array(32).fill(1)
    await failureOf(() => vault("orders", "wrong").wrap(wrapRequest({ dataKey: given })))
    expect(isZero(given)).toBe(false)
  })

  test("is stood in for by KMS when it is out of reach", async () => {
    const closed = await fakeTransit(TOKEN)
    await new Promise((resolve) => closed.server.close(resolve))
    const { keyArn, home } = await createWorld()
    const kms = kmsKeyring({ client: home, generatorKeyId: keyArn })
    const lost = vaultKeyring({ address: closed.address, token: TOKEN, keyName: "orders" })
    const multi = multiKeyring({ generator: lost, children: [kms], minimumWrappedKeys: 1 })
    const { wrappedKeys, dataKey } = await multi.wrap(wrapRequest())
    expect(wrappedKeys.map(({ providerId }) => providerId)).toEqual(["aws-kms"])
    expect(await kms.unwrap(unwrapRequest(wrappedKeys))).toEqual(dataKey)
  })
})
