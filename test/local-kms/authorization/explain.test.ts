import { expect, test } from "vitest"
import { allows, delegation, keyPolicy, outcome, Plaintext, role, user, world } from "./world.ts"

test("an explanation gives the decision, its reason in words, and records nothing", async () => {
  const { kms, createKey, as } = world()
  const KeyId = await createKey(
    keyPolicy(delegation, {
      Sid: "Tenant 42",
      Principal: { AWS: user("Alice") },
      Action: "kms:Encrypt",
      Condition: { StringEquals: { "kms:EncryptionContext:tenant": "42" } },
    }),
  )
  const request = { action: "kms:Encrypt", keyId: KeyId, principal: user("Alice") }
  const events = (await kms.events()).length
  const refused = await kms.explain({ ...request, encryptionContext: { tenant: "43" } })
  expect((await kms.events()).length).toBe(events)
  expect(refused.decision).toEqual({ allowed: false, reason: "implicitDeny", missing: "identityPolicy" })
  expect(refused.text).toContain(`REFUSED: kms:Encrypt on ${KeyId}`)
  expect(refused.text).toContain(
    'no  Condition StringEquals kms:EncryptionContext:tenant: the policy asks for "42", the request has "43"',
  )
  await expect(as(user("Alice"))("Encrypt", { KeyId, Plaintext, EncryptionContext: { tenant: "43" } })).rejects.toThrow(
    refused.message,
  )
  expect((await kms.explain({ ...request, encryptionContext: { tenant: "42" } })).text).toContain("ALLOWED")
  const stricter = keyPolicy(delegation, { Effect: "Deny", Principal: "*", Action: "kms:Encrypt" })
  expect(
    (await kms.explain({ ...request, encryptionContext: { tenant: "42" }, keyPolicy: stricter })).decision,
  ).toMatchObject({ reason: "explicitDeny" })
})

test("it takes aliases, services and actions about no key", async () => {
  const { kms, createKey, owner } = world()
  const KeyId = await createKey(
    keyPolicy(delegation, {
      Principal: { AWS: role("App") },
      Action: "kms:CreateGrant",
      Condition: { Bool: { "kms:GrantIsForAWSResource": true } },
    }),
  )
  await owner("CreateAlias", { AliasName: "alias/app", TargetKeyId: KeyId })
  await kms.principals.createRole({ name: "Admin", policies: { aliases: allows("kms:ListAliases") } })
  const allowed = async (request: Parameters<typeof kms.explain>[0]) => (await kms.explain(request)).decision.allowed
  const grant = { action: "CreateGrant", keyId: "alias/app", principal: role("App") }
  expect(await allowed(grant)).toBe(false)
  expect(await allowed({ ...grant, service: "ebs" })).toBe(true)
  expect(await allowed({ action: "ListAliases", principal: role("Admin") })).toBe(true)
  expect(await allowed({ action: "ListKeys", principal: role("Admin") })).toBe(false)
  expect(await allowed({ action: "CreateAlias", aliasName: "alias/b", principal: role("Admin") })).toBe(false)
})

test("what cannot be asked is the caller's mistake", async () => {
  const { kms, createKey } = world()
  const keyId = await createKey()
  await expect(kms.explain({ action: "kms:MakeCoffee", keyId })).rejects.toThrow(TypeError)
  await expect(kms.explain({ action: "kms:Decrypt" })).rejects.toThrow("name it")
  await expect(kms.explain({ action: "kms:Decrypt", keyId: "alias/none" })).rejects.toThrow(RangeError)
  await expect(kms.explain({ action: "kms:Decrypt", keyId: "nothing" })).rejects.toThrow(RangeError)
  await expect(kms.explain({ action: "kms:Decrypt", keyId, principal: "me" })).rejects.toThrow(TypeError)
  await expect(kms.explain({ action: "kms:Decrypt", keyId, keyPolicy: "{" })).rejects.toThrow(TypeError)
})

test("POL-11.1: a replay tells which recorded calls a new policy would refuse and allow", async () => {
  const { kms, createKey, as } = world()
  const KeyId = await createKey(keyPolicy(delegation, { Principal: { AWS: role("App") }, Action: "kms:*" }))
  await kms.principals.createUser({ name: "Carol", policies: { use: allows("kms:Encrypt") } })
  await outcome(as(role("App"))("Encrypt", { KeyId, Plaintext }))
  await outcome(as(role("App"), "s3")("GenerateDataKey", { KeyId, KeySpec: "AES_256" }))
  await outcome(as(user("Carol"))("Encrypt", { KeyId, Plaintext }))
  await outcome(as(user("Bob"))("Encrypt", { KeyId, Plaintext }))
  const policy = keyPolicy(
    delegation,
    { Principal: { AWS: user("Bob") }, Action: "kms:Encrypt" },
    {
      Principal: { AWS: role("App") },
      Action: "kms:*",
      Condition: { StringEquals: { "kms:ViaService": "s3.us-east-1.amazonaws.com" } },
    },
  )
  const { refused, newlyAllowed, unchanged } = await kms.replayPolicy(KeyId, policy)
  const show = (calls: typeof refused) => calls.map(({ action, caller }) => `${action} ${caller.split("/").at(1)}`)
  expect(show(refused)).toEqual(["kms:Encrypt App"])
  expect(show(newlyAllowed)).toEqual(["kms:Encrypt Bob"])
  expect(unchanged).toBe(2)
  await expect(kms.replayPolicy(KeyId, "{")).rejects.toThrow(TypeError)
  await expect(kms.replayPolicy("alias/none", policy)).rejects.toThrow(RangeError)
})
