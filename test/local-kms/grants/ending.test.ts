import { describe, expect, test } from "vitest"
import { allows, DENIED, keyPolicy, OTHER, outcome, role, root, user } from "../authorization/world.ts"
import { DAY_MS, sendTo } from "../helpers.ts"
import { APP, CLERK, ciphertext, encrypts, grantWorld } from "./grant-world.ts"

const ADMIN = role("Admin")
const UNKNOWN = "0".repeat(64)
const ALICE_IN_OTHER = user("Alice", OTHER)

describe("GRT-5.1: naming the grant", () => {
  test("to retire: a token, or the key's ARN and the grant's id", async () => {
    const { owner, KeyId, grant } = await grantWorld()
    const { GrantId, GrantToken } = await grant()
    const retire = (input: object) => outcome(owner("RetireGrant", input))
    for (const input of [{}, { KeyId }, { GrantId }, { GrantToken, KeyId }, { GrantToken, GrantId }])
      expect(await retire(input)).toBe("ValidationException")
    expect(await retire({ KeyId: KeyId.split("/")[1], GrantId })).toBe("InvalidArnException")
    expect(await retire({ KeyId, GrantId: "abc" })).toBe("InvalidGrantIdException")
    await expect(owner("RetireGrant", { KeyId, GrantId: UNKNOWN })).rejects.toMatchObject({
      name: "NotFoundException",
      message: `Grant ID ${UNKNOWN} not found`,
    })
    expect(await retire({ KeyId, GrantId, DryRun: true })).toBe("DryRunOperationException")
    expect(await retire({ GrantToken })).toBe("ok")
    expect(await retire({ KeyId, GrantId })).toBe("NotFoundException")
  })

  test("to revoke: the key's id or ARN and the grant's id, never a token", async () => {
    const { owner, KeyId, createKey, grant } = await grantWorld()
    const { GrantId, GrantToken } = await grant()
    const revoke = (input: object) => outcome(owner("RevokeGrant", input))
    expect(await revoke({ KeyId, GrantToken })).toBe("ValidationException")
    expect(await revoke({ KeyId: await createKey(), GrantId })).toBe("NotFoundException")
    expect(await revoke({ KeyId, GrantId: GrantId.toUpperCase() })).toBe("InvalidGrantIdException")
    expect(await revoke({ KeyId, GrantId, DryRun: true })).toBe("DryRunOperationException")
    expect(await revoke({ KeyId: KeyId.split("/")[1], GrantId })).toBe("ok")
    expect(await revoke({ KeyId, GrantId })).toBe("NotFoundException")
  })
})

describe("GRT-5.2: a grant is retired by", () => {
  /** Whether this caller may retire a grant to App, with Clerk to retire it, issued by the owner. */
  const mayRetire = async (caller: string, input: object = {}, identity?: object): Promise<string> => {
    const { kms, as, KeyId, grant } = await grantWorld()
    const { GrantId } = await grant({ RetiringPrincipal: CLERK, ...input })
    if (identity !== undefined) {
      const [, , , , accountId = "", resource = ""] = caller.split(":")
      await kms.principals.createUser({ name: resource.split("/")[1]!, accountId, policies: { identity } })
    }
    return outcome(as(caller)("RetireGrant", { KeyId, GrantId }))
  }
  const retire = allows("kms:RetireGrant")
  const deny = (Condition?: object): object => ({
    Version: "2012-10-17",
    Statement: { Effect: "Deny", Action: "kms:RetireGrant", Resource: "*", ...(Condition && { Condition }) },
  })

  test("its retiring principal", async () => {
    expect(await mayRetire(CLERK)).toBe("ok")
    expect(await mayRetire("arn:aws:sts::111122223333:assumed-role/Clerk/monday")).toBe("ok")
  })

  test("its grantee, if RetireGrant is among its operations", async () => {
    expect(await mayRetire(APP)).toBe(DENIED)
    expect(await mayRetire(APP, { Operations: ["RetireGrant"] })).toBe("ok")
  })

  test("the root of the key's account, and whom it lets by an identity policy", async () => {
    expect(await mayRetire(root())).toBe("ok")
    expect(await mayRetire(user("Alice"))).toBe(DENIED)
    expect(await mayRetire(user("Alice"), {}, retire)).toBe("ok")
    expect(await mayRetire(user("Alice"), {}, allows("kms:RevokeGrant"))).toBe(DENIED)
  })

  test("nobody of another account, whatever its policies say", async () => {
    expect(await mayRetire(root(OTHER))).toBe(DENIED)
    expect(await mayRetire(ALICE_IN_OTHER, {}, retire)).toBe(DENIED)
  })

  test("an account that is its retiring principal, and whom that lets", async () => {
    const RetiringPrincipal = root(OTHER)
    expect(await mayRetire(root(OTHER), { RetiringPrincipal })).toBe("ok")
    expect(await mayRetire(ALICE_IN_OTHER, { RetiringPrincipal })).toBe(DENIED)
    expect(await mayRetire(ALICE_IN_OTHER, { RetiringPrincipal }, retire)).toBe("ok")
  })

  test("the root of the account that issued it", async () => {
    const { as, KeyId, grant } = await grantWorld()
    await grant({ GranteePrincipal: role("App", OTHER), Operations: ["Encrypt", "CreateGrant"] })
    const { GrantId } = await grant({ GranteePrincipal: CLERK }, as(role("App", OTHER)))
    expect(await outcome(as(root("777788889999"))("RetireGrant", { KeyId, GrantId }))).toBe(DENIED)
    expect(await outcome(as(root(OTHER))("RetireGrant", { KeyId, GrantId }))).toBe("ok")
  })

  test("nobody whom an identity policy denies it, by the grant's constraint as well", async () => {
    const RetiringPrincipal = user("Alice")
    const Constraints = { EncryptionContextSubset: { tenant: "42" } }
    expect(await mayRetire(user("Alice"), { RetiringPrincipal }, deny())).toBe(DENIED)
    const ofTenant = deny({ StringEquals: { "kms:EncryptionContext:tenant": "42" } })
    expect(await mayRetire(user("Alice"), { RetiringPrincipal }, ofTenant)).toBe("ok")
    expect(await mayRetire(user("Alice"), { RetiringPrincipal, Constraints }, ofTenant)).toBe(DENIED)
    const subsets = deny({ StringEquals: { "kms:GrantConstraintType": "EncryptionContextSubset" } })
    expect(await mayRetire(user("Alice"), { RetiringPrincipal, Constraints }, subsets)).toBe(DENIED)
  })

  test("whomever the grant says, whatever the key policy says", async () => {
    const { as, owner, KeyId, grant, clerk } = await grantWorld()
    const Everything = { Principal: { AWS: root() }, Action: "kms:*" }
    const Allow = { Principal: { AWS: user("Alice") }, Action: "kms:RetireGrant" }
    const Deny = { Effect: "Deny", Principal: { AWS: CLERK }, Action: "kms:RetireGrant" }
    await owner("PutKeyPolicy", { KeyId, Policy: keyPolicy(Everything, Allow, Deny) })
    const { GrantId } = await grant({ RetiringPrincipal: CLERK })
    expect(await outcome(as(user("Alice"))("RetireGrant", { KeyId, GrantId }))).toBe(DENIED)
    expect(await outcome(clerk("RetireGrant", { KeyId, GrantId }))).toBe("ok")
  })

  test("a service that is its retiring principal", async () => {
    const { kms, KeyId, grant } = await grantWorld()
    const { GrantId } = await grant({ RetiringPrincipal: undefined, RetiringServicePrincipal: "ec2.amazonaws.com" })
    const retireAs = (name: string) => sendTo(kms.service(name).directClient())("RetireGrant", { KeyId, GrantId })
    await expect(retireAs("s3")).rejects.toMatchObject({ name: DENIED })
    await retireAs("ebs")
  })
})

describe("GRT-5.3: revoking", () => {
  test("is a matter of policies, and of no grant", async () => {
    const { kms, as, KeyId, grant, app, clerk } = await grantWorld()
    const { GrantId } = await grant({ RetiringPrincipal: CLERK, Operations: ["Encrypt", "RetireGrant", "CreateGrant"] })
    for (const send of [app, clerk, as(root(OTHER))])
      expect(await outcome(send("RevokeGrant", { KeyId, GrantId }))).toBe(DENIED)
    await kms.principals.createRole({ name: "Admin", policies: { revoke: allows("kms:RevokeGrant") } })
    expect(await outcome(as(ADMIN)("RevokeGrant", { KeyId, GrantId }))).toBe("ok")
  })

  test("holds from the next request on", async () => {
    const here = await grantWorld()
    const { owner, KeyId, grant, app } = here
    const CiphertextBlob = await ciphertext(here)
    const { GrantId } = await grant({ Operations: ["Encrypt", "Decrypt"] })
    const second = await grant()
    await app("Decrypt", { CiphertextBlob })
    await owner("RevokeGrant", { KeyId, GrantId })
    expect(await outcome(app("Decrypt", { CiphertextBlob }))).toBe(DENIED)
    expect(await encrypts(app, KeyId)).toBe("ok")
    await owner("RetireGrant", { KeyId, GrantId: second.GrantId })
    expect(await encrypts(app, KeyId)).toBe(DENIED)
  })
})

describe("GRT-5.4: ListRetirableGrants", () => {
  test("has what a principal of the caller's account may retire, on keys of whatever account", async () => {
    const { kms, as, owner, KeyId, createKey, grant } = await grantWorld()
    await kms.principals.createRole({
      name: "Lister",
      accountId: OTHER,
      policies: { list: allows("kms:ListRetirableGrants") },
    })
    const mine = role("Retirer", OTHER)
    const second = await createKey()
    const ids = [
      await grant({ RetiringPrincipal: mine }),
      await grant({ KeyId: second, RetiringPrincipal: mine, Name: "two" }),
    ].map(({ GrantId }) => GrantId)
    await grant({ RetiringPrincipal: CLERK })
    await grant({ RetiringPrincipal: `${mine}2` })
    const list = as(role("Lister", OTHER))
    const { Grants } = await list("ListRetirableGrants", { RetiringPrincipal: mine })
    expect(Grants.map(({ GrantId }: { GrantId: string }) => GrantId).sort()).toEqual([...ids].sort())
    expect(Grants.map((entry: { KeyId: string }) => entry.KeyId).sort()).toEqual([KeyId, second].sort())
    expect(await outcome(list("ListRetirableGrants", { RetiringPrincipal: CLERK }))).toBe("InvalidArnException")
    expect(await outcome(as(role("Nobody", OTHER))("ListRetirableGrants", { RetiringPrincipal: mine }))).toBe(DENIED)
    expect(await outcome(list("ListRetirableGrants", {}))).toBe("ValidationException")
    await owner("RevokeGrant", { KeyId, GrantId: ids[0] })
    expect((await list("ListRetirableGrants", { RetiringPrincipal: mine })).Grants).toHaveLength(1)
  })

  test("and ListGrants tell services about their own", async () => {
    const { kms, owner, KeyId, grant } = await grantWorld()
    const [s3, ec2] = ["s3.amazonaws.com", "ec2.amazonaws.com"]
    const Constraints = { SourceArn: "arn:aws:s3:::bucket" }
    const service = { GranteePrincipal: undefined, GranteeServicePrincipal: s3, RetiringServicePrincipal: s3 }
    const { GrantId } = await grant({ ...service, Constraints })
    await grant()
    const through = sendTo(kms.service("s3").directClient({ onBehalfOf: root() }))
    const listed = await through("ListGrants", { KeyId, GranteeServicePrincipal: s3 })
    expect(listed.Grants).toMatchObject([{ GrantId, GranteeServicePrincipal: s3, RetiringServicePrincipal: s3 }])
    expect(listed.Grants[0]).not.toHaveProperty("GranteePrincipal")
    const retirable = await through("ListRetirableGrants", { RetiringServicePrincipal: s3 })
    expect(retirable.Grants).toMatchObject([{ GrantId }])
    const refused = { name: "ValidationException" }
    await expect(owner("ListGrants", { KeyId, GranteeServicePrincipal: s3 })).rejects.toMatchObject(refused)
    await expect(owner("ListRetirableGrants", { RetiringServicePrincipal: s3 })).rejects.toMatchObject(refused)
    await expect(through("ListGrants", { KeyId, GranteeServicePrincipal: ec2 })).rejects.toMatchObject(refused)
    await expect(
      through("ListGrants", { KeyId, GranteeServicePrincipal: s3, GranteePrincipal: APP }),
    ).rejects.toMatchObject(refused)
  })
})

test("GRT-5.5: a grant ends with its key", async () => {
  let now = Date.UTC(2026, 0, 1)
  const { owner, KeyId, grant } = await grantWorld({ clock: () => now })
  const { GrantToken } = await grant({ RetiringPrincipal: CLERK })
  await owner("ScheduleKeyDeletion", { KeyId, PendingWindowInDays: 7 })
  expect((await owner("ListRetirableGrants", { RetiringPrincipal: CLERK })).Grants).toHaveLength(1)
  now += 7 * DAY_MS
  expect((await owner("ListRetirableGrants", { RetiringPrincipal: CLERK })).Grants).toEqual([])
  expect(await outcome(owner("RetireGrant", { GrantToken }))).toBe("InvalidGrantTokenException")
})
