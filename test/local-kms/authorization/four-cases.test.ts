import { expect, test } from "vitest"
import {
  accountUsePolicy,
  administratorsPolicy,
  formatPolicy,
  managementPolicy,
  splitUsePolicy,
  usePolicy,
  usersOnlyPolicy,
} from "../../../src/local-kms/index.ts"
import { ACCOUNT, CHANGES, DENIED, OTHER, outcome, Plaintext, role, root, USES, user, VIEWS, world } from "./world.ts"

/** The four cases of AWS's introduction to key policies, through the AWS SDK's client. */

test("only the named users and roles of a named account may encrypt and decrypt", async () => {
  const here = world()
  const { createKey, as } = here
  const policy = formatPolicy(usersOnlyPolicy({ accountId: ACCOUNT }, [user("Alice"), role("Backup")]))
  const KeyId = await createKey(policy)

  const { CiphertextBlob } = await as(user("Alice"))("Encrypt", { KeyId, Plaintext })
  expect((await as(role("Backup"))("Decrypt", { CiphertextBlob })).Plaintext).toEqual(Plaintext)

  for (const stranger of [user("Bob"), role("Other"), user("Alice", OTHER), root(OTHER), root()]) {
    expect(await outcome(as(stranger)("Encrypt", { KeyId, Plaintext }))).toBe(DENIED)
    expect(await outcome(as(stranger)("Decrypt", { CiphertextBlob }))).toBe(DENIED)
  }
})

test("application A may only encrypt, and application B only decrypt", async () => {
  const { createKey, as } = world()
  const [a, b] = [role("AppA"), role("AppB")]
  const KeyId = await createKey(splitUsePolicy({ accountId: ACCOUNT }, { encrypt: [a], decrypt: [b] }))

  const { CiphertextBlob } = await as(a)("Encrypt", { KeyId, Plaintext })
  const dataKey = await as(a)("GenerateDataKey", { KeyId, KeySpec: "AES_256" })
  expect(await outcome(as(a)("Decrypt", { CiphertextBlob }))).toBe(DENIED)
  expect(await outcome(as(a)("ReEncrypt", { CiphertextBlob, DestinationKeyId: KeyId }))).toBe(DENIED)

  expect((await as(b)("Decrypt", { CiphertextBlob })).Plaintext).toEqual(Plaintext)
  expect((await as(b)("Decrypt", { CiphertextBlob: dataKey.CiphertextBlob })).Plaintext).toEqual(dataKey.Plaintext)
  expect(await outcome(as(b)("Encrypt", { KeyId, Plaintext }))).toBe(DENIED)
  expect(await outcome(as(b)("GenerateDataKey", { KeyId, KeySpec: "AES_256" }))).toBe(DENIED)
})

test("named administrators, a group through delegation and a role, manage the key and do not use it", async () => {
  const here = world()
  const { kms, as } = here
  await kms.principals.createGroup({ name: "KeyAdmins", policies: { manage: managementPolicy(["*"]) } })
  await kms.principals.createUser({ name: "Carol", groups: ["KeyAdmins"] })
  await kms.principals.createUser({ name: "Dave" })
  await kms.principals.createRole({ name: "KeyAdmin" })
  const policy = formatPolicy(administratorsPolicy({ accountId: ACCOUNT, administrators: [role("KeyAdmin")] }))
  // The owner of the test makes keys with material, which only the account's root, as an administrator, may look at.
  const manage = [...CHANGES, ...VIEWS, "RotateKeyOnDemand", "GetParametersForImport"]

  for (const administrator of [user("Carol"), role("KeyAdmin")]) {
    const allowed: string[] = []
    const KeyId = await here.createKey(policy)
    for (const operation of manage.filter((name) => !/Deletion|Disable/.test(name)))
      if (await mayCall(here, administrator, KeyId, operation)) allowed.push(operation)
    expect(allowed).toEqual(manage.filter((name) => !/Deletion|Disable/.test(name)))
    for (const operation of USES) expect(await mayCall(here, administrator, KeyId, operation)).toBe(false)
    const grant = { KeyId, GranteePrincipal: administrator, Operations: ["Decrypt"] }
    expect(await outcome(as(administrator)("CreateGrant", grant))).toBe(DENIED)
    expect((await as(administrator)("ScheduleKeyDeletion", { KeyId })).KeyState).toBe("PendingDeletion")
  }

  const KeyId = await here.createKey(policy)
  expect(await outcome(as(user("Dave"))("DescribeKey", { KeyId }))).toBe(DENIED)
  await kms.principals.addUserToGroup(user("Dave"), "KeyAdmins")
  expect(await outcome(as(user("Dave"))("DescribeKey", { KeyId }))).toBe("ok")
  await kms.principals.removeUserFromGroup(user("Dave"), "KeyAdmins")
  expect(await outcome(as(user("Dave"))("DescribeKey", { KeyId }))).toBe(DENIED)
})

test("an account may encrypt and decrypt, but not create, delete, change the policy or delegate", async () => {
  const here = world()
  const { kms, createKey, as, owner } = here
  await kms.principals.createRole({ name: "Reader", accountId: OTHER, policies: { use: usePolicy(["*"]) } })
  await kms.principals.createRole({ name: "Nobody", accountId: OTHER })
  const policy = accountUsePolicy({ accountId: ACCOUNT }, OTHER)
  const KeyId = await createKey(policy)

  for (const principal of [root(OTHER), role("Reader", OTHER)]) {
    const { CiphertextBlob } = await as(principal)("Encrypt", { KeyId, Plaintext })
    expect((await as(principal)("Decrypt", { CiphertextBlob })).Plaintext).toEqual(Plaintext)
    for (const operation of [...CHANGES, "GetKeyPolicy", "ReplicateKey"])
      expect(await mayCall(here, principal, KeyId, operation)).toBe(false)
    // Nor delegate: not to others, not to itself, not by way of a service.
    for (const GranteePrincipal of [role("Nobody", OTHER), principal]) {
      const grant = { KeyId, GranteePrincipal, Operations: ["Encrypt"] }
      expect(await outcome(as(principal)("CreateGrant", grant))).toBe(DENIED)
      expect(await outcome(as(principal, "ebs")("CreateGrant", grant))).toBe(DENIED)
    }
    for (const operation of ["ListGrants", "RevokeGrant"])
      expect(await outcome(as(principal)(operation, { KeyId, GrantId: "0".repeat(64) }))).toBe(DENIED)
  }
  expect(await outcome(as(role("Nobody", OTHER))("Encrypt", { KeyId, Plaintext }))).toBe(DENIED)
  expect(await outcome(as(role("Reader", OTHER))("CreateKey", {}))).toBe(DENIED)
  expect(await outcome(owner("DescribeKey", { KeyId }))).toBe("ok")
})

test("a group cannot be named in a key policy", async () => {
  const { owner } = world()
  const Policy = JSON.stringify({
    Version: "2012-10-17",
    Statement: [
      { Effect: "Allow", Principal: { AWS: `arn:aws:iam::${ACCOUNT}:group/Admins` }, Action: "kms:*", Resource: "*" },
    ],
  })
  await expect(owner("CreateKey", { Policy })).rejects.toMatchObject({
    name: "MalformedPolicyDocumentException",
    message: expect.stringContaining("a group is no principal"),
  })
})

/** What the KMS says it would answer: for calls that would change what the next ones find. */
async function mayCall({ kms }: ReturnType<typeof world>, principal: string, keyId: string, operation: string) {
  const actions = operation === "ReEncrypt" ? ["ReEncryptFrom", "ReEncryptTo"] : [operation]
  const answers = await Promise.all(actions.map((action) => kms.explain({ action, keyId, principal })))
  return answers.every(({ decision }) => decision.allowed)
}
