import { expect, test } from "vitest"
import { DENIED, outcome } from "../authorization/world.ts"
import { APP, CLERK, ciphertext, encrypts, grantWorld } from "./grant-world.ts"

test("GRT-3.1: every token of a grant is worth the same, and lets nobody but the grantee use it", async () => {
  const { owner, KeyId, grant, app, clerk } = await grantWorld({ grantPropagationSeconds: 300 })
  const tokens = [await grant({ Name: "n" }), await grant({ Name: "n" })].map(({ GrantToken }) => GrantToken)
  for (const token of tokens) {
    expect(token).toMatch(/^[A-Za-z0-9+/]{100,8190}={0,2}$/)
    expect(await encrypts(app, KeyId, {}, { GrantTokens: [token] })).toBe("ok")
    expect(await encrypts(clerk, KeyId, {}, { GrantTokens: [token] })).toBe(DENIED)
    expect(await outcome(clerk("RetireGrant", { GrantToken: token }))).toBe(DENIED)
  }
  await owner("RetireGrant", { GrantToken: tokens[0] })
  expect(await encrypts(app, KeyId, {}, { GrantTokens: [tokens[1]] })).toBe("InvalidGrantTokenException")
})

test("GRT-3.2: without a propagation delay a grant works at once, with one only for requests with its token", async () => {
  const atOnce = await grantWorld()
  await atOnce.grant()
  expect(await encrypts(atOnce.app, atOnce.KeyId)).toBe("ok")

  let now = Date.UTC(2026, 0, 1)
  const { owner, KeyId, grant, app } = await grantWorld({ grantPropagationSeconds: 300, clock: () => now })
  const { GrantToken } = await grant()
  const other = await grant({ Operations: ["Decrypt"] })
  expect(await encrypts(app, KeyId)).toBe(DENIED)
  expect(await encrypts(app, KeyId, {}, { GrantTokens: [other.GrantToken] })).toBe(DENIED)
  expect(await encrypts(app, KeyId, {}, { GrantTokens: [other.GrantToken, GrantToken] })).toBe("ok")
  now += 299_999
  expect(await encrypts(app, KeyId)).toBe(DENIED)
  now += 1
  expect(await encrypts(app, KeyId)).toBe("ok")
  // One that is asked for again does not begin anew.
  await grant({ Name: "n" })
  now += 300_000
  const again = await grant({ Name: "n" })
  await owner("RevokeGrant", { KeyId, GrantId: again.GrantId })
})

test("GRT-3.2: a new grant can be retired and revoked at once, and is gone at once", async () => {
  const { owner, KeyId, grant, app } = await grantWorld({ grantPropagationSeconds: 300 })
  const first = await grant()
  await owner("RevokeGrant", { KeyId, GrantId: first.GrantId })
  expect(await encrypts(app, KeyId, {}, { GrantTokens: [first.GrantToken] })).toBe("InvalidGrantTokenException")
  const second = await grant({ Operations: ["Encrypt", "RetireGrant"] })
  await app("RetireGrant", { GrantToken: second.GrantToken })
  expect((await owner("ListGrants", { KeyId })).Grants).toEqual([])
})

test("tokens are taken by every operation that a grant can be for", async () => {
  const here = await grantWorld({ grantPropagationSeconds: 300 })
  const { owner, KeyId, grant, app } = here
  const { GrantToken } = await grant({
    Operations: [
      "Decrypt",
      "Encrypt",
      "GenerateDataKey",
      "GenerateDataKeyWithoutPlaintext",
      "ReEncryptFrom",
      "ReEncryptTo",
      "CreateGrant",
      "DescribeKey",
    ],
  })
  const CiphertextBlob = await ciphertext(here)
  const calls: [string, object][] = [
    ["Decrypt", { CiphertextBlob }],
    ["Encrypt", { KeyId, Plaintext: new Uint8Array(1) }],
    ["GenerateDataKey", { KeyId, KeySpec: "AES_256" }],
    ["GenerateDataKeyWithoutPlaintext", { KeyId, KeySpec: "AES_256" }],
    ["ReEncrypt", { CiphertextBlob, DestinationKeyId: KeyId }],
    ["CreateGrant", { KeyId, GranteePrincipal: CLERK, Operations: ["Encrypt"] }],
    ["DescribeKey", { KeyId }],
  ]
  for (const [operation, input] of calls) {
    expect([operation, await outcome(app(operation, input))]).toEqual([operation, DENIED])
    const withToken = { ...input, GrantTokens: [GrantToken] }
    expect([operation, await outcome(app(operation, withToken))]).toEqual([operation, "ok"])
  }
  const hmac = (await owner("CreateKey", { KeySpec: "HMAC_256", KeyUsage: "GENERATE_VERIFY_MAC" })).KeyMetadata.Arn
  const onHmac = await grant({ KeyId: hmac, Operations: ["GenerateMac"] })
  const input = { KeyId: hmac, Message: new Uint8Array(1), MacAlgorithm: "HMAC_SHA_256" }
  expect(await outcome(app("GenerateMac", input))).toBe(DENIED)
  expect(await outcome(app("GenerateMac", { ...input, GrantTokens: [onHmac.GrantToken] }))).toBe("ok")
})

test("GRT-3.3: a token that is none is refused, whatever policies say", async () => {
  const { kms, owner, KeyId, grant } = await grantWorld()
  const { GrantToken } = await grant({ GranteePrincipal: APP })
  const tampered = `${GrantToken.startsWith("A") ? "B" : "A"}${GrantToken.slice(1)}`
  // Of another KMS, whose root key is another.
  const other = await grantWorld()
  const foreign = (await other.grant()).GrantToken
  for (const token of ["x", `${GrantToken} `, `${GrantToken}=`, tampered, foreign, GrantToken.repeat(2)]) {
    await expect(owner("DescribeKey", { KeyId, GrantTokens: [token] })).rejects.toMatchObject({
      name: "InvalidGrantTokenException",
      message: "The grant token is not valid.",
    })
    expect(await outcome(owner("RetireGrant", { GrantToken: token }))).toBe("InvalidGrantTokenException")
  }
  await expect(kms.explain({ action: "Encrypt", keyId: KeyId, grantTokens: [foreign] })).rejects.toThrow(RangeError)
  const tokens = Array.from({ length: 11 }, () => GrantToken)
  expect(await outcome(owner("DescribeKey", { KeyId, GrantTokens: tokens }))).toBe("ValidationException")
  await owner("DescribeKey", { KeyId, GrantTokens: tokens.slice(1) })
})
