import { describe, expect, test } from "vitest"
import { OTHER, outcome, role, root, user } from "../authorization/world.ts"
import { sendTo } from "../helpers.ts"
import { APP, CLERK, encrypts, grantWorld } from "./grant-world.ts"

const S3 = "s3.amazonaws.com"
const SourceArn = "arn:aws:s3:::bucket"

test("GRT-1.2: a grant has an id of 64 hexadecimal digits, and is listed with all it was made with", async () => {
  const now = Date.UTC(2026, 4, 20)
  const { owner, KeyId, grant } = await grantWorld({ clock: () => now })
  const Constraints = { EncryptionContextSubset: { tenant: "42" } }
  const made = await grant({ RetiringPrincipal: CLERK, Name: "for-the-app", Constraints, Operations: ["Encrypt"] })
  expect(made.GrantId).toMatch(/^[0-9a-f]{64}$/)
  const { Grants, Truncated } = await owner("ListGrants", { KeyId })
  expect(Truncated).toBe(false)
  expect(Grants).toEqual([
    {
      KeyId,
      GrantId: made.GrantId,
      Name: "for-the-app",
      CreationDate: new Date(now),
      GranteePrincipal: APP,
      RetiringPrincipal: CLERK,
      IssuingAccount: root(),
      Operations: ["Encrypt"],
      Constraints,
    },
  ])
})

test("a grant without a name is listed with an empty one, as AWS lists it", async () => {
  const { owner, KeyId, grant } = await grantWorld()
  await grant()
  expect((await owner("ListGrants", { KeyId })).Grants[0].Name).toBe("")
})

describe("GRT-2.1: the grantee", () => {
  test.each([
    root(),
    user("Alice"),
    role("service/App"),
    role("App", OTHER),
    "arn:aws:sts::111122223333:assumed-role/aws:ec2-infrastructure/i-0123456789abcdef0",
    "arn:aws:sts::111122223333:federated-user/Bob",
  ])("may be %s", async (GranteePrincipal) => {
    const { grant } = await grantWorld()
    expect((await grant({ GranteePrincipal })).GrantToken).toMatch(/^[A-Za-z0-9+/]+=*$/)
  })

  test.each([
    "arn:aws:iam::111122223333:group/Admins",
    "arn:aws-cn:iam::111122223333:role/App",
    "arn:aws:s3:::bucket",
    "111122223333",
    S3,
  ])("cannot be %s", async (principal) => {
    const { grant } = await grantWorld()
    const refused = { name: "InvalidArnException", message: `ARN does not refer to a valid principal: ${principal}` }
    await expect(grant({ GranteePrincipal: principal })).rejects.toMatchObject(refused)
    await expect(grant({ RetiringPrincipal: principal })).rejects.toMatchObject(refused)
  })

  test("is a principal or a service, and a service needs its resource and somebody to retire the grant", async () => {
    const { grant } = await grantWorld()
    const service = { GranteePrincipal: undefined, GranteeServicePrincipal: S3 }
    const Constraints = { SourceArn }
    const refused = async (input: object) => expect(await outcome(grant(input))).toBe("ValidationException")
    await refused({ GranteePrincipal: undefined })
    await refused({ ...service, GranteePrincipal: APP, Constraints, RetiringPrincipal: CLERK })
    await refused({ ...service, RetiringPrincipal: CLERK })
    await refused({ ...service, Constraints })
    await refused({ ...service, Constraints, RetiringPrincipal: CLERK, RetiringServicePrincipal: S3 })
    await refused({ ...service, Constraints: { SourceArn: "bucket" }, RetiringServicePrincipal: S3 })
    await grant({ ...service, Constraints, RetiringPrincipal: CLERK })
    await grant({ ...service, Constraints, RetiringServicePrincipal: S3 })
  })

  test("must be registered where only registered principals count", async () => {
    const { kms, grant } = await grantWorld({ registeredPrincipalsOnly: true })
    expect(await outcome(grant())).toBe("InvalidArnException")
    await kms.principals.createRole({ name: "App" })
    expect(await outcome(grant())).toBe("ok")
    expect(await outcome(grant({ RetiringPrincipal: CLERK }))).toBe("InvalidArnException")
  })
})

test("GRT-2.2: an operation is one that keys of this usage have, and counts once", async () => {
  const { owner, KeyId, grant } = await grantWorld()
  const hmac = await owner("CreateKey", { KeySpec: "HMAC_256", KeyUsage: "GENERATE_VERIFY_MAC" })
  const onHmac = { KeyId: hmac.KeyMetadata.KeyId }
  for (const Operations of [["GenerateMac"], ["Encrypt", "Sign"], []])
    expect(await outcome(grant({ Operations }))).toBe("ValidationException")
  expect(await outcome(grant({ ...onHmac, Operations: ["Encrypt"] }))).toBe("ValidationException")
  await grant({ ...onHmac, Operations: ["GenerateMac", "VerifyMac", "DescribeKey", "CreateGrant", "RetireGrant"] })
  await grant({ Operations: ["Encrypt", "Decrypt", "Encrypt"] })
  expect((await owner("ListGrants", { KeyId })).Grants[0].Operations).toEqual(["Encrypt", "Decrypt"])
  await expect(grant({ Operations: ["Fly"] })).rejects.toMatchObject({
    message: expect.stringContaining("Value 'Fly' at 'operations.1.member' failed to satisfy constraint"),
  })
})

test("GRT-2.3: one constraint on the encryption context, on keys that have one, and never an empty subset", async () => {
  const { owner, grant } = await grantWorld()
  const hmac = await owner("CreateKey", { KeySpec: "HMAC_256", KeyUsage: "GENERATE_VERIFY_MAC" })
  const EncryptionContextSubset = { a: "b" }
  const refused = async (input: object) => expect(await outcome(grant(input))).toBe("ValidationException")
  await refused({ Constraints: { EncryptionContextSubset, EncryptionContextEquals: { a: "b" } } })
  await refused({ Constraints: { EncryptionContextSubset: {} } })
  const onHmac = { KeyId: hmac.KeyMetadata.KeyId, Operations: ["GenerateMac"] }
  await refused({ ...onHmac, Constraints: { EncryptionContextSubset } })
  await grant({ ...onHmac, Constraints: { SourceArn } })
  await grant({ Constraints: { EncryptionContextEquals: {} } })
  await grant({ Constraints: { EncryptionContextSubset, SourceArn } })
})

test("GRT-2.4: a constraint has at most 8 pairs of at most 384 characters", async () => {
  const { grant } = await grantWorld()
  const pairs = (count: number, value = "v") =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, value]))
  await grant({ Constraints: { EncryptionContextEquals: pairs(8, "v".repeat(384)) } })
  for (const EncryptionContextSubset of [pairs(9), pairs(1, "v".repeat(385))])
    expect(await outcome(grant({ Constraints: { EncryptionContextSubset } }))).toBe("ValidationException")
})

describe("GRT-2.5: a request that names its grant and is repeated", () => {
  const input = { Name: "n", Operations: ["Encrypt", "Decrypt"], Constraints: { EncryptionContextEquals: { a: "1" } } }

  test("gets the same grant and another token", async () => {
    const { owner, KeyId, grant } = await grantWorld()
    const first = await grant(input)
    const second = await grant({ ...input, Operations: ["Decrypt", "Encrypt"] })
    expect(second.GrantId).toBe(first.GrantId)
    expect(second.GrantToken).not.toBe(first.GrantToken)
    expect((await owner("ListGrants", { KeyId })).Grants).toHaveLength(1)
  })

  test.each([
    ["the name", { Name: "m" }],
    ["the operations", { Operations: ["Encrypt"] }],
    ["the grantee", { GranteePrincipal: CLERK }],
    ["the retiring principal", { RetiringPrincipal: CLERK }],
    ["the constraint's value", { Constraints: { EncryptionContextEquals: { a: "2" } } }],
    ["the constraint's kind", { Constraints: { EncryptionContextSubset: { a: "1" } } }],
    ["the resource", { Constraints: { EncryptionContextEquals: { a: "1" }, SourceArn } }],
  ])("makes another grant where %s differs", async (_what, difference) => {
    const { grant } = await grantWorld()
    expect((await grant({ ...input, ...difference })).GrantId).not.toBe((await grant(input)).GrantId)
  })

  test("makes another grant when the first is gone, and always without a name", async () => {
    const { owner, KeyId, grant } = await grantWorld()
    const { GrantId } = await grant(input)
    await owner("RevokeGrant", { KeyId, GrantId })
    expect((await grant(input)).GrantId).not.toBe(GrantId)
    expect((await grant()).GrantId).not.toBe((await grant()).GrantId)
  })
})

test("GRT-2.6: a key has as many grants as the quota says", async () => {
  const { kms, KeyId, createKey, grant } = await grantWorld({ quotas: { grantsPerKey: 2 } })
  // The SDK's client would wait and try again.
  const direct = sendTo(kms.directClient())
  const exceeded = {
    name: "LimitExceededException",
    message: `${KeyId} has reached its quota of 2 grants.`,
  }
  const first = await grant({ Name: "first" }, direct)
  await expect(grant({ DryRun: true }, direct)).rejects.toMatchObject({ name: "DryRunOperationException" })
  await grant({}, direct)
  await expect(grant({}, direct)).rejects.toMatchObject(exceeded)
  await expect(grant({ DryRun: true }, direct)).rejects.toMatchObject(exceeded)
  expect((await grant({ Name: "first" }, direct)).GrantId).toBe(first.GrantId)
  await grant({ KeyId: await createKey() }, direct)
  await direct("RevokeGrant", { KeyId, GrantId: first.GrantId })
  await grant({}, direct)
})

describe("GRT-2.7", () => {
  test("the key is named by its id or ARN, not by an alias", async () => {
    const { owner, KeyId, grant } = await grantWorld()
    await owner("CreateAlias", { AliasName: "alias/app", TargetKeyId: KeyId })
    await grant({ KeyId: KeyId.split("/")[1] })
    expect(await outcome(grant({ KeyId: "alias/app" }))).toBe("NotFoundException")
  })

  test("a key that is not enabled gets no grants, and those it has can be listed, retired and revoked", async () => {
    const { owner, KeyId, grant } = await grantWorld()
    const ids = [await grant(), await grant(), await grant()].map(({ GrantId }) => GrantId)
    await owner("DisableKey", { KeyId })
    expect(await outcome(grant())).toBe("DisabledException")
    await owner("RetireGrant", { KeyId, GrantId: ids[0] })
    await owner("ScheduleKeyDeletion", { KeyId })
    await expect(grant()).rejects.toMatchObject({ name: "KMSInvalidStateException" })
    expect((await owner("ListGrants", { KeyId })).Grants).toHaveLength(2)
    await owner("RetireGrant", { KeyId, GrantId: ids[1] })
    await owner("RevokeGrant", { KeyId, GrantId: ids[2] })
    const external = await owner("CreateKey", { Origin: "EXTERNAL" })
    const pendingImport = { KeyId: external.KeyMetadata.KeyId }
    await expect(grant(pendingImport)).rejects.toMatchObject({ message: expect.stringContaining("is pending import.") })
  })

  test("DryRun checks everything and makes nothing", async () => {
    const { owner, KeyId, grant, app } = await grantWorld()
    expect(await outcome(grant({ DryRun: true }))).toBe("DryRunOperationException")
    expect(await outcome(grant({ DryRun: true, Operations: ["Sign"] }))).toBe("ValidationException")
    expect(await outcome(grant({ DryRun: true }, app))).toBe("AccessDeniedException")
    expect((await owner("ListGrants", { KeyId })).Grants).toEqual([])
    expect(await encrypts(app, KeyId)).toBe("AccessDeniedException")
  })
})

test("GRT-1.4: a replica has grants of its own", async () => {
  const { kms, owner, grant } = await grantWorld()
  const { KeyMetadata } = await owner("CreateKey", { MultiRegion: true })
  const { KeyId } = KeyMetadata
  await grant({ KeyId })
  await owner("ReplicateKey", { KeyId, ReplicaRegion: "eu-west-1" })
  const abroad = (principal: string) => {
    const client = kms.directClient({ principal, region: "eu-west-1" })
    return (operation: string, input: object) => client.send({ input, constructor: { name: `${operation}Command` } })
  }
  expect((await abroad(root())("ListGrants", { KeyId })).Grants).toEqual([])
  await expect(abroad(APP)("Encrypt", { KeyId, Plaintext: new Uint8Array(1) })).rejects.toMatchObject({
    name: "AccessDeniedException",
  })
  await abroad(root())("CreateGrant", { KeyId, GranteePrincipal: APP, Operations: ["Encrypt"] })
  await abroad(APP)("Encrypt", { KeyId, Plaintext: new Uint8Array(1) })
  expect((await owner("ListGrants", { KeyId })).Grants).toHaveLength(1)
})
