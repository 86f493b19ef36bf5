import { expect, test } from "vitest"
import { parsePrincipal } from "../../../src/local-kms/principal.ts"
import { principals } from "../../../src/local-kms/principals/manage.ts"
import { mayAssumeRole } from "../../../src/local-kms/principals/trust.ts"
import { memoryStore } from "../../../src/local-kms/store/memory.ts"
import { ACCOUNT, allows, OTHER, role, root, user } from "./world.ts"

/** POL-12.4: who may assume a role. */
function trustWorld() {
  const store = memoryStore()
  const home = { accountId: ACCOUNT, partition: "aws", clock: () => 0, onDelete: () => {}, note: () => {} }
  const registry = principals(store, home)
  const assume = (caller: string, externalId?: string) =>
    store.read((reader) =>
      mayAssumeRole(
        reader,
        {
          caller: parsePrincipal(caller),
          roleArn: role("App"),
          sessionName: "s1",
          ...(externalId === undefined ? {} : { externalId }),
        },
        0,
      ),
    )
  return { registry, assume }
}

const trusts = (AWS: string, Condition: object = {}) => ({
  Version: "2012-10-17",
  Statement: [{ Effect: "Allow", Principal: { AWS }, Action: "sts:AssumeRole", Condition }],
})

test("of a role that is not registered the policies say nothing", () => {
  expect(trustWorld().assume(user("Alice"))).toBeUndefined()
})

test("a role trusts its account by default, so that identity policies decide; and never an account's root", async () => {
  const { registry, assume } = trustWorld()
  await registry.createRole({ name: "App" })
  expect(assume(user("Alice"))).toBe("because no identity-based policy allows the sts:AssumeRole action")
  await registry.createUser({ name: "Alice", policies: { app: allows("sts:AssumeRole", role("App")) } })
  expect(assume(user("Alice"))).toBe(true)
  expect(assume(root())).toBe("")
})

test("a trust policy that names the caller is enough in its account, and not from another", async () => {
  const { registry, assume } = trustWorld()
  await registry.createRole({ name: "App", trustPolicy: trusts(user("Alice")) })
  expect(assume(user("Alice"))).toBe(true)
  expect(assume(user("Bob"))).toBe("because no resource-based policy allows the sts:AssumeRole action")
  await registry.putTrustPolicy(role("App"), trusts(user("Carol", OTHER)))
  expect(assume(user("Carol", OTHER))).toBe("because no identity-based policy allows the sts:AssumeRole action")
  await registry.createUser({ name: "Carol", accountId: OTHER, policies: { app: allows("sts:AssumeRole") } })
  expect(assume(user("Carol", OTHER))).toBe(true)
  await registry.putPolicy(user("Carol", OTHER), "no", {
    Version: "2012-10-17",
    Statement: [{ Effect: "Deny", Action: "sts:*", Resource: "*" }],
  })
  expect(assume(user("Carol", OTHER))).toBe("with an explicit deny in an identity-based policy")
})

test("a trust policy that says a member twice is refused, as key policies are", async () => {
  const { registry } = trustWorld()
  const text = JSON.stringify(trusts(user("Alice")))
  for (const trustPolicy of [
    text.replace('"Version"', '"Version":"2012-10-17","Version"'),
    text.replace('"Principal"', `"Principal":{"AWS":"${root()}"},"Principal"`),
  ])
    await expect(registry.createRole({ name: "App", trustPolicy })).rejects.toThrow(/occurs twice in one object/)
})

test("the external id is a condition like any other", async () => {
  const { registry, assume } = trustWorld()
  const trustPolicy = trusts(user("Alice"), { StringEquals: { "sts:ExternalId": "42" } })
  await registry.createRole({ name: "App", trustPolicy })
  expect(assume(user("Alice"), "42")).toBe(true)
  expect(assume(user("Alice"), "43")).not.toBe(true)
  expect(assume(user("Alice"))).not.toBe(true)
})

test.each([
  ["names a resource", { Version: "2012-10-17", Statement: [{ ...trusts(root()).Statement[0], Resource: "*" }] }],
  ["names a group", trusts(`arn:aws:iam::${ACCOUNT}:group/Admins`)],
  ["is no JSON", "{"],
  ["names nobody", allows("sts:AssumeRole")],
])("a trust policy that %s is refused", async (_what, trustPolicy) => {
  await expect(trustWorld().registry.createRole({ name: "App", trustPolicy })).rejects.toThrow(TypeError)
})
