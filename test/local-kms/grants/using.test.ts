import { describe, expect, test } from "vitest"
import {
  allows,
  DENIED,
  keyPolicy,
  OTHER,
  outcome,
  Plaintext,
  role,
  root,
  user,
  world,
} from "../authorization/world.ts"
import { senderOf } from "../doors.ts"
import { sendTo } from "../helpers.ts"
import { APP, CLERK, ciphertext, encrypts, type GrantWorld, grantWorld } from "./grant-world.ts"

const SESSION = "arn:aws:sts::111122223333:assumed-role/App/i-0123456789abcdef0"

describe("GRT-1.1: a grant", () => {
  test("lets the grantee do what it says with the key it is for, and nothing else", async () => {
    const here = await grantWorld()
    const { KeyId, createKey, grant, app, clerk } = here
    const CiphertextBlob = await ciphertext(here)
    expect(await outcome(app("Decrypt", { CiphertextBlob }))).toBe(DENIED)
    await grant({ Operations: ["Decrypt"] })
    expect((await app("Decrypt", { CiphertextBlob })).Plaintext).toEqual(Plaintext)
    for (const operation of ["DescribeKey", "ListGrants", "GetKeyPolicy", "DisableKey"])
      expect(await outcome(app(operation, { KeyId }))).toBe(DENIED)
    expect(await encrypts(app, KeyId)).toBe(DENIED)
    expect(await encrypts(app, await createKey())).toBe(DENIED)
    expect(await outcome(clerk("Decrypt", { CiphertextBlob }))).toBe(DENIED)
  })

  test("is outweighed by a Deny, in the key policy and in an identity policy", async () => {
    const { kms, KeyId, owner, grant, app } = await grantWorld()
    await grant()
    const Everything = { Principal: { AWS: root() }, Action: "kms:*" }
    const Deny = { Effect: "Deny", Principal: "*", Action: "kms:Encrypt" }
    await owner("PutKeyPolicy", { KeyId, Policy: keyPolicy(Everything, Deny) })
    expect(await encrypts(app, KeyId)).toBe(DENIED)
    await owner("PutKeyPolicy", { KeyId, Policy: keyPolicy(Everything) })
    expect(await encrypts(app, KeyId)).toBe("ok")
    const Statement = { Effect: "Deny", Action: "kms:Encrypt", Resource: "*" }
    await kms.principals.createRole({ name: "App", policies: { no: { Version: "2012-10-17", Statement } } })
    expect(await encrypts(app, KeyId)).toBe(DENIED)
  })

  test("of one operation is not asked about a ReEncrypt's other side", async () => {
    const here = await grantWorld()
    const { createKey, grant, app } = here
    const CiphertextBlob = await ciphertext(here)
    const DestinationKeyId = await createKey()
    const move = () => outcome(app("ReEncrypt", { CiphertextBlob, DestinationKeyId }))
    await grant({ Operations: ["ReEncryptFrom"] })
    expect(await move()).toBe(DENIED)
    await grant({ KeyId: DestinationKeyId, Operations: ["ReEncryptTo"] })
    expect(await move()).toBe("ok")
  })

  test("is of no use while its key is disabled", async () => {
    const { KeyId, owner, grant, app } = await grantWorld()
    await grant()
    await owner("DisableKey", { KeyId })
    expect(await encrypts(app, KeyId)).toBe("DisabledException")
    await owner("EnableKey", { KeyId })
    expect(await encrypts(app, KeyId)).toBe("ok")
  })
})

describe("GRT-4.1: the grantee", () => {
  test.each([
    ["a role's session by the role", APP, SESSION],
    ["a session by itself", SESSION, SESSION],
    ["a user", user("Alice"), user("Alice")],
    ["a role of another account", role("App", OTHER), role("App", OTHER)],
    ["the root of another account", root(OTHER), root(OTHER)],
  ])("may be %s", async (_what, GranteePrincipal, caller) => {
    const { as, KeyId, grant } = await grantWorld()
    await grant({ GranteePrincipal })
    expect(await encrypts(as(caller), KeyId)).toBe("ok")
  })

  test.each([
    ["another session of the role", SESSION, `${SESSION}1`],
    ["a user of the role's name", APP, user("App")],
    ["a role of the same name in another account", APP, role("App", OTHER)],
    ["a role whose path differs", role("service/App"), role("App")],
  ])("is not %s", async (_what, GranteePrincipal, caller) => {
    const { as, KeyId, grant } = await grantWorld()
    await grant({ GranteePrincipal })
    expect(await encrypts(as(caller), KeyId)).toBe(DENIED)
  })

  test("may be an account: then identity policies there decide about its users and roles", async () => {
    const { kms, as, KeyId, grant } = await grantWorld()
    await kms.principals.createRole({ name: "Allowed", accountId: OTHER, policies: { use: allows("kms:Encrypt") } })
    await grant({ GranteePrincipal: root(OTHER) })
    expect(await encrypts(as(role("Allowed", OTHER)), KeyId)).toBe("ok")
    expect(await encrypts(as(role("Nobody", OTHER)), KeyId)).toBe(DENIED)
    expect(await encrypts(as(root("777788889999")), KeyId)).toBe(DENIED)
    const { text } = await kms.explain({ action: "Encrypt", keyId: KeyId, principal: role("Allowed", OTHER) })
    expect(text).toMatch(/Allowed by the grant [0-9a-f]{64}, which names the account, together with use, statement 1\./)
  })

  test("may be a service that acts for itself", async () => {
    const { kms, KeyId, grant } = await grantWorld()
    const SourceArn = "arn:aws:s3:::bucket"
    const byService = (name: string, sourceArn?: string) =>
      encrypts(sendTo(kms.service(name).directClient(sourceArn === undefined ? {} : { sourceArn })), KeyId).catch(
        ({ name: error }: Error) => error,
      )
    const service = { GranteePrincipal: undefined, GranteeServicePrincipal: "s3.amazonaws.com" }
    const RetiringServicePrincipal = "s3.amazonaws.com"
    expect(await byService("s3", SourceArn)).toBe(DENIED)
    await grant({ ...service, RetiringServicePrincipal, Constraints: { SourceArn } })
    expect(await byService("s3", SourceArn)).toBe("ok")
    expect(await byService("s3", `${SourceArn}2`)).toBe(DENIED)
    expect(await byService("s3")).toBe(DENIED)
    expect(await byService("ec2", SourceArn)).toBe(DENIED)
  })
})

describe("GRT-4.2: a constraint on the encryption context", () => {
  const tried = async (Constraints: object, contexts: readonly object[]) => {
    const { KeyId, grant, app } = await grantWorld()
    await grant({ Constraints })
    return Promise.all(contexts.map((context) => encrypts(app, KeyId, context)))
  }

  test("EncryptionContextEquals takes just these pairs", async () => {
    const pairs = { tenant: "42", app: "mail" }
    const contexts = [pairs, { app: "mail", tenant: "42" }, { TENANT: "42", App: "mail" }]
    expect(await tried({ EncryptionContextEquals: pairs }, contexts)).toEqual(["ok", "ok", "ok"])
    const others = [
      {},
      { tenant: "42" },
      { ...pairs, more: "1" },
      { ...pairs, tenant: "43" },
      { ...pairs, app: "Mail" },
    ]
    expect(await tried({ EncryptionContextEquals: pairs }, others)).toEqual(others.map(() => DENIED))
    expect(await tried({ EncryptionContextEquals: {} }, [{}, { a: "b" }])).toEqual(["ok", DENIED])
  })

  test("EncryptionContextSubset takes these pairs among others", async () => {
    const pairs = { tenant: "42" }
    const contexts = [pairs, { ...pairs, more: "1" }, { Tenant: "42" }]
    expect(await tried({ EncryptionContextSubset: pairs }, contexts)).toEqual(["ok", "ok", "ok"])
    const others = [{}, { more: "1" }, { tenant: "43" }, { tenant: "" }, { tenan: "t42" }]
    expect(await tried({ EncryptionContextSubset: pairs }, others)).toEqual(others.map(() => DENIED))
  })

  test("two pairs whose names differ in case only do not pass for one", async () => {
    expect(await tried({ EncryptionContextEquals: { a: "1" } }, [{ a: "1", A: "1" }])).toEqual([DENIED])
    expect(await tried({ EncryptionContextEquals: { a: "1", A: "1" } }, [{ a: "1" }])).toEqual([DENIED])
    expect(await tried({ EncryptionContextSubset: { a: "1", A: "2" } }, [{ a: "1" }, { a: "2", A: "1" }])).toEqual([
      DENIED,
      "ok",
    ])
  })

  test("a pair named __proto__ is a pair like any other", async () => {
    const evil = JSON.parse('{"__proto__": "1"}')
    expect(await tried({ EncryptionContextEquals: { a: "1" } }, [evil])).toEqual([DENIED])
    expect(await tried({ EncryptionContextSubset: evil }, [{}, evil])).toEqual([DENIED, "ok"])
  })

  test("is asked on the grant's side of a ReEncrypt with that side's context", async () => {
    const here = await grantWorld()
    const { KeyId, createKey, owner, app, grant } = here
    const CiphertextBlob = await ciphertext(here, { tenant: "42" })
    const DestinationKeyId = await createKey()
    const Constraints = { EncryptionContextSubset: { tenant: "42" } }
    await grant({ Operations: ["ReEncryptFrom"], Constraints })
    await owner("CreateGrant", { KeyId: DestinationKeyId, GranteePrincipal: APP, Operations: ["ReEncryptTo"] })
    const move = (SourceEncryptionContext: object) =>
      outcome(app("ReEncrypt", { CiphertextBlob, SourceKeyId: KeyId, DestinationKeyId, SourceEncryptionContext }))
    expect(await move({ tenant: "42" })).toBe("ok")
    expect(await move({})).toBe(DENIED)
  })
})

test("GRT-4.3: a constraint on the encryption context is not about DescribeKey and RetireGrant", async () => {
  const { KeyId, grant, app } = await grantWorld()
  const Constraints = { EncryptionContextEquals: { tenant: "42" } }
  const { GrantId } = await grant({ Operations: ["Encrypt", "DescribeKey", "RetireGrant"], Constraints })
  expect(await outcome(app("DescribeKey", { KeyId }))).toBe("ok")
  expect(await encrypts(app, KeyId)).toBe(DENIED)
  expect(await outcome(app("RetireGrant", { KeyId, GrantId }))).toBe("ok")
})

test("GRT-4.4: SourceArn is about the resource on whose behalf a service asks, in every operation but RetireGrant", async () => {
  const { kms, KeyId, grant, app } = await grantWorld()
  const SourceArn = "arn:aws:s3:::bucket"
  const Operations = ["Encrypt", "DescribeKey", "RetireGrant"]
  const { GrantId } = await grant({ Operations, Constraints: { SourceArn } })
  const through = (sourceArn?: string) =>
    senderOf(kms.service("s3").client({ onBehalfOf: APP, ...(sourceArn !== undefined && { sourceArn }) }))
  for (const send of [app, through(), through(`${SourceArn}/x`)]) {
    expect(await encrypts(send, KeyId)).toBe(DENIED)
    expect(await outcome(send("DescribeKey", { KeyId }))).toBe(DENIED)
  }
  expect(await encrypts(through(SourceArn), KeyId)).toBe("ok")
  expect(await outcome(through(SourceArn)("DescribeKey", { KeyId }))).toBe("ok")
  const asked = { action: "Encrypt", keyId: KeyId, principal: APP, service: "s3" }
  expect((await kms.explain({ ...asked, sourceArn: SourceArn })).decision).toMatchObject({
    by: "grant",
    grantId: GrantId,
  })
  expect((await kms.explain(asked)).text).toContain(`it is for requests on behalf of ${SourceArn} only`)
  expect(await outcome(app("RetireGrant", { KeyId, GrantId }))).toBe("ok")
})

test("GRT-4.6: a grant is not for another role that gets the name later", async () => {
  const { kms, as, KeyId, grant, app } = await grantWorld()
  await kms.principals.createRole({ name: "App" })
  const { GrantId } = await grant({ RetiringPrincipal: APP, Name: "n" })
  expect(await encrypts(as(SESSION), KeyId)).toBe("ok")
  await kms.principals.delete(APP)
  expect(await encrypts(app, KeyId)).toBe(DENIED)
  await kms.principals.createRole({ name: "App" })
  expect(await encrypts(app, KeyId)).toBe(DENIED)
  expect(await outcome(app("RetireGrant", { KeyId, GrantId }))).toBe(DENIED)
  expect((await grant({ RetiringPrincipal: APP, Name: "n" })).GrantId).not.toBe(GrantId)
  expect(await encrypts(app, KeyId)).toBe("ok")
})

describe("an explanation", () => {
  const explained = async ({ kms, KeyId }: GrantWorld, request: object) =>
    kms.explain({ action: "Encrypt", keyId: KeyId, principal: APP, ...request })

  test("says of every grant why it does not help", async () => {
    const here = await grantWorld({ grantPropagationSeconds: 60 })
    const tenant = { EncryptionContextSubset: { tenant: "42" } }
    const { GrantToken, GrantId } = await here.grant()
    await here.grant({ Operations: ["Decrypt"], Name: "a" })
    await here.grant({ GranteePrincipal: CLERK })
    const constrained = await here.grant({ Constraints: tenant })
    const { decision, grants, text } = await explained(here, {})
    expect(decision.allowed).toBe(false)
    expect(grants.map(({ why }) => why).sort()).toEqual([
      "Encrypt is not among its operations, Decrypt",
      "it is not in effect yet, and the request has no token of it",
      "it is not in effect yet, and the request has no token of it",
      "the grantee is another principal",
    ])
    expect(text).toContain("does not allow: the grantee is another principal")
    const withTokens = await explained(here, { grantTokens: [GrantToken, constrained.GrantToken] })
    expect(withTokens.decision).toMatchObject({ allowed: true, by: "grant", grantId: GrantId })
    expect(withTokens.grants.map(({ why }) => why)).toContain(
      'the encryption context does not meet its constraint EncryptionContextSubset {"tenant":"42"}',
    )
  })

  test("tells of the grants to the caller first, and not of thousands", async () => {
    const here = await grantWorld()
    for (let i = 0; i < 25; i++) await here.grant({ GranteePrincipal: CLERK })
    await here.grant({ Operations: ["Decrypt"] })
    const { text, grants } = await explained(here, {})
    expect(grants).toHaveLength(26)
    const lines = text.trimEnd().split("\n").slice(-21)
    expect(lines[0]).toContain("does not allow: Encrypt is not among its operations, Decrypt")
    expect(lines.at(-1)).toBe("and 6 more grants, which come after these")
  })

  test("tells about the retiring of one grant, and of any", async () => {
    const here = await grantWorld()
    const mine = await here.grant({ RetiringPrincipal: APP })
    const other = await here.grant({ RetiringPrincipal: CLERK })
    const of = async (request: object) =>
      (await explained(here, { action: "RetireGrant", ...request })).decision.allowed
    expect([await of({ grantId: mine.GrantId }), await of({ grantId: other.GrantId }), await of({})]).toEqual([
      true,
      false,
      true,
    ])
    expect(await of({ principal: user("Nobody") })).toBe(false)
  })
})

test("an account that is not registered anywhere has nothing without a grant", async () => {
  const { as, createKey } = world()
  expect(await encrypts(as(role("App", OTHER)), await createKey())).toBe(DENIED)
})
