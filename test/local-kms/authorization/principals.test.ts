import { expect, test } from "vitest"
import { LocalKms } from "../../../src/local-kms/index.ts"
import { temporaryFolder } from "../helpers.ts"
import {
  ACCOUNT,
  allows,
  DENIED,
  delegation,
  keyPolicy,
  OTHER,
  outcome,
  Plaintext,
  role,
  root,
  user,
  world,
} from "./world.ts"

test("whoever nobody registered calls without identity policies: a policy that names it is enough", async () => {
  const { createKey, as } = world()
  const KeyId = await createKey(keyPolicy(delegation, { Principal: { AWS: role("App") }, Action: "kms:Encrypt" }))
  expect(await outcome(as(role("App"))("Encrypt", { KeyId, Plaintext }))).toBe("ok")
  expect(await outcome(as(role("Other"))("Encrypt", { KeyId, Plaintext }))).toBe(DENIED)
})

test("POL-12.2: identity policies are a user's own and those of its groups, and a Deny in any of them wins", async () => {
  const { kms, createKey, as } = world()
  const KeyId = await createKey()
  await kms.principals.createGroup({ name: "Writers", policies: { write: allows("kms:Encrypt") } })
  await kms.principals.createGroup({ name: "Frozen", policies: { none: denies("kms:Encrypt") } })
  await kms.principals.createUser({ name: "Alice", groups: ["Writers"] })
  const encrypts = () => outcome(as(user("Alice"))("Encrypt", { KeyId, Plaintext }))
  expect(await encrypts()).toBe("ok")
  await kms.principals.addUserToGroup(user("Alice"), "Frozen")
  await expect(as(user("Alice"))("Encrypt", { KeyId, Plaintext })).rejects.toThrow(
    "with an explicit deny in an identity-based policy",
  )
  await kms.principals.deletePolicy(`arn:aws:iam::${ACCOUNT}:group/Frozen`, "none")
  expect(await encrypts()).toBe("ok")
  await kms.principals.removeUserFromGroup(user("Alice"), "Writers")
  expect(await encrypts()).toBe(DENIED)
})

test("a role's sessions have its policies and tags, whatever its path", async () => {
  const { kms, createKey, as } = world()
  const KeyId = await createKey()
  const made = await kms.principals.createRole({
    name: "App",
    path: "/service/",
    policies: { use: allows("kms:Encrypt") },
  })
  expect(made.arn).toBe(role("service/App"))
  const session = `arn:aws:sts::${ACCOUNT}:assumed-role/App/i-1`
  for (const principal of [made.arn, session])
    expect(await outcome(as(principal)("Encrypt", { KeyId, Plaintext }))).toBe("ok")
  expect(await outcome(as(role("elsewhere/App"))("Encrypt", { KeyId, Plaintext }))).toBe(DENIED)
  const [event] = await kms.events({ eventName: "Encrypt", principal: session })
  expect(event!.userIdentity).toMatchObject({
    principalId: `${made.id}:i-1`,
    sessionContext: { sessionIssuer: { arn: made.arn, principalId: made.id } },
  })
})

test("POL-12.1: whoever is made again under an old name is somebody else", async () => {
  const { kms } = world()
  const first = await kms.principals.createUser({ name: "Alice" })
  await kms.accessKeys.create({ principal: first.arn })
  await kms.principals.delete(first.arn)
  expect(await kms.accessKeys.list(first.arn)).toEqual([])
  const second = await kms.principals.createUser({ name: "Alice" })
  expect(first.id).toMatch(/^AIDA[A-Z2-7]{17}$/)
  expect(second.id).not.toBe(first.id)
})

test("they are listed by account and type, and a group with members stays", async () => {
  const { kms } = world()
  const { principals } = kms
  const group = await principals.createGroup({ name: "Admins" })
  await principals.createUser({ name: "Alice", groups: ["admins"] })
  await principals.createRole({ name: "App", accountId: OTHER })
  expect((await principals.list()).map(({ arn }) => arn)).toEqual([group.arn, user("Alice"), role("App", OTHER)])
  expect(await principals.list({ type: "role", accountId: ACCOUNT })).toEqual([])
  expect((await principals.get(user("Alice"))).groups).toEqual(["Admins"])
  await expect(principals.delete(group.arn)).rejects.toThrow(`has members: ${user("Alice")}`)
  await principals.delete(user("Alice"))
  await principals.delete(group.arn)
  await expect(principals.get(group.arn)).rejects.toThrow(RangeError)
})

test("mistakes are the caller's, and leave nothing behind", async () => {
  const { principals } = world().kms
  await principals.createUser({ name: "Alice" })
  await expect(principals.createUser({ name: "alice" })).rejects.toThrow(RangeError)
  for (const options of [
    { name: "" },
    { name: "a b" },
    { name: "Bob", path: "x" },
    { name: "Bob", accountId: "1" },
    { name: "Bob", policies: { bad: allows("kms:*", "everything") } },
    { name: "Bob", policies: { bad: "{" } },
    { name: "Bob", tags: { "aws:x": "1" } },
  ])
    await expect(principals.createUser(options)).rejects.toThrow(TypeError)
  await expect(principals.createUser({ name: "Bob", groups: ["none"] })).rejects.toThrow(RangeError)
  await expect(principals.get("Alice")).rejects.toThrow(TypeError)
  await expect(principals.putPolicy(user("Nobody"), "p", allows("kms:*"))).rejects.toThrow(RangeError)
  await expect(principals.deletePolicy(user("Alice"), "p")).rejects.toThrow(RangeError)
  await expect(principals.putTrustPolicy(user("Alice"), allows("sts:AssumeRole"))).rejects.toThrow(TypeError)
  expect(await principals.list()).toHaveLength(1)
})

test("they are kept on disk", async () => {
  const dir = await temporaryFolder()
  const first = await LocalKms.open(dir)
  const made = await first.principals.createRole({
    name: "App",
    tags: { team: "a" },
    policies: { use: allows("kms:*") },
  })
  await first.close()
  const second = await LocalKms.open(dir)
  expect(await second.principals.get(role("App"))).toEqual(made)
  await second.close()
})

test("POL-12.3: where only registered principals count, others cannot call and policies cannot name them", async () => {
  const { kms, createKey, owner, as } = world({ registeredPrincipalsOnly: true })
  const KeyId = await createKey()
  expect(await outcome(as(user("Alice"))("Encrypt", { KeyId, Plaintext }))).toBe("UnrecognizedClientException")
  const sessionOf = (name: string) => `arn:aws:sts::${ACCOUNT}:assumed-role/${name}/s1`
  const put = (AWS: string) =>
    outcome(
      owner("PutKeyPolicy", { KeyId, Policy: keyPolicy(delegation, { Principal: { AWS }, Action: "kms:Encrypt" }) }),
    )
  for (const name of [user("Alice"), role("App"), sessionOf("App"), "AIDAQWERTYUIOPASDFGH2"])
    expect(await put(name)).toBe("MalformedPolicyDocumentException")
  const { id } = await kms.principals.createUser({ name: "Alice" })
  await kms.principals.createRole({ name: "App" })
  for (const name of [role("App"), sessionOf("App"), id, root(OTHER), user("Alice")]) expect(await put(name)).toBe("ok")
  expect(await outcome(as(user("Alice"))("Encrypt", { KeyId, Plaintext }))).toBe("ok")
})

function denies(Action: string): object {
  return { Version: "2012-10-17", Statement: { Effect: "Deny", Action, Resource: "*" } }
}
