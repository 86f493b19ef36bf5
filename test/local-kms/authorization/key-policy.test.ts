import { expect, test } from "vitest"
import { defaultKeyPolicy } from "../../../src/local-kms/index.ts"
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

const malformed = (message: unknown) => ({ name: "MalformedPolicyDocumentException", message })

test("POL-6.9: a key made without a policy has the default one, under the one name there is", async () => {
  const { createKey, owner } = world()
  const KeyId = await createKey()
  expect(await owner("GetKeyPolicy", { KeyId })).toMatchObject({
    Policy: defaultKeyPolicy({ accountId: ACCOUNT }),
    PolicyName: "default",
  })
  expect(await owner("ListKeyPolicies", { KeyId })).toMatchObject({ PolicyNames: ["default"], Truncated: false })
  for (const operation of ["GetKeyPolicy", "PutKeyPolicy"])
    await expect(owner(operation, { KeyId, PolicyName: "mine", Policy: keyPolicy(delegation) })).rejects.toMatchObject({
      name: "NotFoundException",
      message: "No such policy exists",
    })
})

test("a policy comes back as it was put, character by character", async () => {
  const { createKey, owner } = world()
  const Policy = ` ${keyPolicy(delegation)}\n`
  const KeyId = await createKey(Policy)
  expect((await owner("GetKeyPolicy", { KeyId })).Policy).toBe(Policy)
  await owner("PutKeyPolicy", { KeyId, Policy: `\t${Policy}` })
  expect((await owner("GetKeyPolicy", { KeyId, PolicyName: "default" })).Policy).toBe(`\t${Policy}`)
})

test("a replica has a policy of its own", async () => {
  const { kms, owner } = world()
  const { KeyMetadata } = await owner("CreateKey", { MultiRegion: true, Policy: keyPolicy(delegation) })
  const Policy = keyPolicy(delegation, { Principal: { AWS: user("Alice") }, Action: "kms:Encrypt" })
  const replica = await owner("ReplicateKey", { KeyId: KeyMetadata.KeyId, ReplicaRegion: "eu-west-1", Policy })
  expect(replica.ReplicaPolicy).toBe(Policy)
  const at = (region: string) => ({ principal: user("Alice"), region, action: "Encrypt", keyId: KeyMetadata.KeyId })
  expect((await kms.explain(at("eu-west-1"))).decision.allowed).toBe(true)
  expect((await kms.explain(at("us-east-1"))).decision.allowed).toBe(false)
})

test("a policy is in force with the next request", async () => {
  const { createKey, owner, as } = world()
  const KeyId = await createKey()
  const alice = as(user("Alice"))
  expect(await outcome(alice("Encrypt", { KeyId, Plaintext }))).toBe(DENIED)
  const lets = { Principal: { AWS: user("Alice") }, Action: "kms:Encrypt" }
  await owner("PutKeyPolicy", { KeyId, Policy: keyPolicy(delegation, lets) })
  expect(await outcome(alice("Encrypt", { KeyId, Plaintext }))).toBe("ok")
  await owner("PutKeyPolicy", { KeyId, Policy: keyPolicy(delegation, lets, { ...lets, Effect: "Deny" }) })
  await expect(alice("Encrypt", { KeyId, Plaintext })).rejects.toMatchObject({
    name: DENIED,
    message: `User: ${user("Alice")} is not authorized to perform: kms:Encrypt on resource: ${KeyId} with an explicit deny in a resource-based policy`,
  })
})

test.each([
  ["no JSON", "{", "The policy is not valid JSON"],
  ["no principal", keyPolicy({ Action: "kms:*" }), "must have one of Principal and NotPrincipal"],
  ["a principal with a wildcard", keyPolicy({ Principal: { AWS: user("*") }, Action: "kms:*" }), "invalid principals"],
  [
    "an over-permissive condition",
    keyPolicy(delegation, {
      Principal: { AWS: root() },
      Action: "kms:Decrypt",
      Condition: { "ForAllValues:StringEquals": { "kms:EncryptionContext:tenant": "42" } },
    }),
    "OverlyPermissiveCondition:EncryptionContext",
  ],
])("POL-1.1: %s is malformed, and changes nothing", async (_what, Policy, message) => {
  const { createKey, owner } = world()
  const KeyId = await createKey()
  await expect(owner("CreateKey", { Policy })).rejects.toMatchObject(malformed(expect.stringContaining(message)))
  await expect(owner("PutKeyPolicy", { KeyId, Policy, BypassPolicyLockoutSafetyCheck: true })).rejects.toMatchObject(
    malformed(expect.stringContaining(message)),
  )
  expect((await owner("GetKeyPolicy", { KeyId })).Policy).toBe(defaultKeyPolicy({ accountId: ACCOUNT }))
})

test("a policy longer than 32,768 bytes is more than a key may have", async () => {
  const { owner } = world()
  await expect(
    owner("CreateKey", { Policy: keyPolicy({ ...delegation, Sid: "x".repeat(32_768) }) }),
  ).rejects.toMatchObject({ name: "LimitExceededException" })
})

test("POL-8.1: nobody locks himself out by mistake, and everybody may on purpose", async () => {
  const { kms, createKey, owner, as } = world()
  const lockout = malformed("The new key policy will not allow you to update the key policy in the future.")
  const without = keyPolicy({ Principal: { AWS: role("App") }, Action: "kms:*" })
  await expect(owner("CreateKey", { Policy: without })).rejects.toMatchObject(lockout)
  const KeyId = await createKey()
  await expect(owner("PutKeyPolicy", { KeyId, Policy: without })).rejects.toMatchObject(lockout)
  await owner("PutKeyPolicy", { KeyId, Policy: without, BypassPolicyLockoutSafetyCheck: true })
  expect(await outcome(owner("GetKeyPolicy", { KeyId }))).toBe(DENIED)
  await as(role("App"))("PutKeyPolicy", { KeyId, Policy: without })

  await kms.principals.createUser({ name: "Carol", policies: { keys: allows(["kms:CreateKey", "kms:PutKeyPolicy"]) } })
  await kms.principals.createUser({ name: "Dave", policies: { keys: allows("kms:CreateKey") } })
  await as(user("Carol"))("CreateKey", { Policy: keyPolicy(delegation) })
  await expect(as(user("Dave"))("CreateKey", { Policy: keyPolicy(delegation) })).rejects.toMatchObject(lockout)
})

test("a Deny on bypassing the check holds only for requests that bypass it", async () => {
  const { createKey, owner } = world()
  const Policy = keyPolicy(delegation, {
    Effect: "Deny",
    Principal: "*",
    Action: "kms:PutKeyPolicy",
    Condition: { Bool: { "kms:BypassPolicyLockoutSafetyCheck": "true" } },
  })
  const KeyId = await createKey(Policy)
  await owner("PutKeyPolicy", { KeyId, Policy })
  expect(await outcome(owner("PutKeyPolicy", { KeyId, Policy, BypassPolicyLockoutSafetyCheck: true }))).toBe(DENIED)
})

test("another account needs a statement of the key policy and an identity policy of its own", async () => {
  const { kms, createKey, owner, as } = world()
  const KeyId = await createKey(
    keyPolicy(delegation, { Principal: { AWS: role("App", OTHER) }, Action: "kms:Encrypt" }),
  )
  const app = as(role("App", OTHER))
  const encrypts = () => outcome(app("Encrypt", { KeyId, Plaintext }))
  expect(await encrypts()).toBe(DENIED)
  await kms.principals.createRole({ name: "App", accountId: OTHER, policies: { use: allows("kms:Encrypt", KeyId) } })
  expect(await encrypts()).toBe("ok")
  await kms.principals.putPolicy(role("App", OTHER), "use", allows("kms:Encrypt", `${KeyId}0`))
  expect(await encrypts()).toBe(DENIED)
  await kms.principals.putPolicy(role("App", OTHER), "use", allows("kms:*"))
  await owner("PutKeyPolicy", {
    KeyId,
    Policy: keyPolicy(delegation, { Principal: { AWS: root(OTHER) }, Action: "kms:*" }),
  })
  expect(await encrypts()).toBe("ok")
  expect(await outcome(app("ScheduleKeyDeletion", { KeyId }))).toBe(DENIED)
})

test("an operation on an alias needs permission on the alias and on each key", async () => {
  const { kms, createKey, as, owner } = world()
  const [first, second] = [await createKey(), await createKey()]
  const carol = as(user("Carol"))
  await kms.principals.createUser({ name: "Carol" })
  const may = (...resources: string[]) =>
    kms.principals.putPolicy(user("Carol"), "aliases", {
      Version: "2012-10-17",
      Statement: [{ Effect: "Allow", Action: "kms:*Alias", Resource: resources }],
    })
  const alias = `arn:aws:kms:us-east-1:${ACCOUNT}:alias/app`
  const create = () => outcome(carol("CreateAlias", { AliasName: "alias/app", TargetKeyId: first }))
  const update = () => outcome(carol("UpdateAlias", { AliasName: "alias/app", TargetKeyId: second }))
  const remove = () => outcome(carol("DeleteAlias", { AliasName: "alias/app" }))
  await may(first)
  expect(await create()).toBe(DENIED)
  await may(alias)
  expect(await create()).toBe(DENIED)
  await may(alias, first)
  expect(await create()).toBe("ok")
  expect(await update()).toBe(DENIED)
  await may(alias, second)
  expect(await update()).toBe(DENIED)
  expect((await owner("ListAliases", { KeyId: first })).Aliases).toHaveLength(1)
  await may(alias, first, second)
  expect(await update()).toBe("ok")
  await may(alias, first)
  expect(await remove()).toBe(DENIED)
  await may(alias, second)
  expect(await remove()).toBe("ok")
})

test("what is about no key is a matter of identity policies alone", async () => {
  const { kms, as } = world()
  await kms.principals.createUser({
    name: "Carol",
    policies: { lists: allows(["kms:ListKeys", "kms:GenerateRandom"]) },
  })
  const carol = as(user("Carol"))
  expect(await outcome(carol("ListKeys"))).toBe("ok")
  expect(await outcome(carol("GenerateRandom", { NumberOfBytes: 1 }))).toBe("ok")
  await expect(carol("ListAliases")).rejects.toMatchObject({
    name: DENIED,
    message: `User: ${user("Carol")} is not authorized to perform: kms:ListAliases on resource: * because no identity-based policy allows the kms:ListAliases action`,
  })
  expect(await outcome(carol("CreateKey"))).toBe(DENIED)
  await kms.principals.putPolicy(user("Carol"), "lists", allows("kms:CreateKey"))
  expect(await outcome(carol("CreateKey"))).toBe("ok")
  expect(await outcome(carol("CreateKey", { Tags: [{ TagKey: "a", TagValue: "b" }] }))).toBe(DENIED)
  await kms.principals.putPolicy(user("Carol"), "tags", allows("kms:TagResource", `arn:aws:kms:*:${ACCOUNT}:key/*`))
  expect(await outcome(carol("CreateKey", { Tags: [{ TagKey: "a", TagValue: "b" }] }))).toBe("ok")
})

test("conditions see the alias, the context, the service, the tags of the caller and of the key", async () => {
  const { kms, createKey, owner, as } = world()
  const alice = { Principal: { AWS: user("Alice") } }
  const KeyId = await createKey(
    keyPolicy(
      delegation,
      { ...alice, Action: "kms:Encrypt", Condition: { StringEquals: { "kms:RequestAlias": "alias/app" } } },
      {
        ...alice,
        Action: "kms:GenerateDataKey",
        // biome-ignore lint/suspicious/noTemplateCurlyInString: a variable of policies.
        Condition: { StringEquals: { "kms:EncryptionContext:tenant": "${aws:PrincipalTag/tenant}" } },
      },
      {
        ...alice,
        Action: "kms:GenerateDataKeyWithoutPlaintext",
        Condition: { StringEquals: { "kms:ViaService": "ec2.us-east-1.amazonaws.com" } },
      },
      { ...alice, Action: "kms:DescribeKey", Condition: { StringEquals: { "aws:ResourceTag/team": "payments" } } },
    ),
  )
  await owner("CreateAlias", { AliasName: "alias/app", TargetKeyId: KeyId })
  await kms.principals.createUser({ name: "Alice", tags: { tenant: "42" } })
  const call = as(user("Alice"))

  expect(await outcome(call("Encrypt", { KeyId: "alias/app", Plaintext }))).toBe("ok")
  expect(await outcome(call("Encrypt", { KeyId, Plaintext }))).toBe(DENIED)

  const dataKey = (tenant: string) =>
    outcome(call("GenerateDataKey", { KeyId, KeySpec: "AES_256", EncryptionContext: { tenant } }))
  expect([await dataKey("42"), await dataKey("43")]).toEqual(["ok", DENIED])
  await kms.principals.setTags(user("Alice"), { tenant: "43" })
  expect([await dataKey("42"), await dataKey("43")]).toEqual([DENIED, "ok"])

  const volumeKey = { KeyId, NumberOfBytes: 64 }
  expect(await outcome(call("GenerateDataKeyWithoutPlaintext", volumeKey))).toBe(DENIED)
  expect(await outcome(as(user("Alice"), "s3")("GenerateDataKeyWithoutPlaintext", volumeKey))).toBe(DENIED)
  expect(await outcome(as(user("Alice"), "ebs")("GenerateDataKeyWithoutPlaintext", volumeKey))).toBe("ok")

  expect(await outcome(call("DescribeKey", { KeyId }))).toBe(DENIED)
  await owner("TagResource", { KeyId, Tags: [{ TagKey: "team", TagValue: "payments" }] })
  expect(await outcome(call("DescribeKey", { KeyId }))).toBe("ok")
})

test("ReEncrypt asks about both keys, each with its own context, and whether they are one", async () => {
  const { createKey, as, owner } = world()
  const app = { Principal: { AWS: role("App") } }
  const onContext = (tenant: string) => ({ StringEquals: { "kms:EncryptionContext:tenant": tenant } })
  const from = await createKey(
    keyPolicy(
      delegation,
      { ...app, Action: "kms:ReEncryptFrom", Condition: onContext("old") },
      { ...app, Action: "kms:ReEncryptTo", Condition: { Bool: { "kms:ReEncryptOnSameKey": "true" } } },
    ),
  )
  const to = await createKey(keyPolicy(delegation, { ...app, Action: "kms:ReEncryptTo", Condition: onContext("new") }))
  const encrypt = async (tenant: string) =>
    (await owner("Encrypt", { KeyId: from, Plaintext, EncryptionContext: { tenant } })).CiphertextBlob
  const move = async (source: string, destination: string, DestinationKeyId: string) =>
    outcome(
      as(role("App"))("ReEncrypt", {
        CiphertextBlob: await encrypt(source),
        SourceEncryptionContext: { tenant: source },
        DestinationKeyId,
        DestinationEncryptionContext: { tenant: destination },
      }),
    )
  expect(await move("old", "new", to)).toBe("ok")
  expect(await move("old", "other", to)).toBe(DENIED)
  expect(await move("other", "new", to)).toBe(DENIED)
  expect(await move("old", "anything", from)).toBe("ok")
  const foreign = (await owner("Encrypt", { KeyId: to, Plaintext })).CiphertextBlob
  expect(await outcome(as(role("App"))("ReEncrypt", { CiphertextBlob: foreign, DestinationKeyId: from }))).toBe(DENIED)
})

test("Decrypt says the same of a key that is forbidden and one that is not there", async () => {
  const { createKey, owner, as } = world()
  const KeyId = await createKey()
  const { CiphertextBlob } = await owner("Encrypt", { KeyId, Plaintext })
  const elsewhere = world()
  const unknown = await elsewhere.owner("Encrypt", { KeyId: await elsewhere.createKey(), Plaintext })
  const messages = await Promise.all(
    [CiphertextBlob, unknown.CiphertextBlob].map((blob) =>
      as(user("Eve"))("Decrypt", { CiphertextBlob: blob }).catch((error: Error) => `${error.name}: ${error.message}`),
    ),
  )
  expect(messages[0]).toBe(messages[1])
  expect(messages[0]).toMatch("The ciphertext refers to a customer master key that does not exist")
  expect(await outcome(as(user("Eve"))("Decrypt", { CiphertextBlob, KeyId }))).toBe(DENIED)
})

test("a service that acts for itself is let in by its name, and shows in the trail of the key's account", async () => {
  const { kms, createKey } = world()
  const KeyId = await createKey(
    keyPolicy(delegation, { Principal: { Service: "logs.amazonaws.com" }, Action: "kms:Encrypt" }),
  )
  const input = { input: { KeyId, Plaintext }, constructor: { name: "EncryptCommand" } }
  await kms.service("logs").directClient().send(input)
  await expect(kms.service("s3").directClient().send(input)).rejects.toMatchObject({ name: DENIED })
  const events = await kms.events({ eventName: "Encrypt" })
  expect(
    events.map(({ userIdentity, recipientAccountId, errorCode }) => [userIdentity, recipientAccountId, errorCode]),
  ).toEqual([
    [{ type: "AWSService", invokedBy: "logs.amazonaws.com" }, ACCOUNT, undefined],
    [{ type: "AWSService", invokedBy: "s3.amazonaws.com" }, ACCOUNT, "AccessDenied"],
  ])
})

test("refusals are in the trail", async () => {
  const { kms, createKey, as } = world()
  const KeyId = await createKey()
  await outcome(as(user("Eve"))("Encrypt", { KeyId, Plaintext }))
  expect(await kms.events({ errorCode: "AccessDenied" })).toMatchObject([
    {
      eventName: "Encrypt",
      userIdentity: { arn: user("Eve") },
      errorMessage: `User: ${user("Eve")} is not authorized to perform: kms:Encrypt on resource: ${KeyId} because no identity-based policy allows the kms:Encrypt action`,
      resources: [{ ARN: KeyId }],
    },
  ])
})

test("a policy is ignored: Deny everything and encrypt all the same (moto #4600)", async () => {
  const { createKey, owner } = world()
  const KeyId = await createKey()
  const Policy = keyPolicy({ Effect: "Deny", Principal: "*", Action: "kms:*" })
  await owner("PutKeyPolicy", { KeyId, Policy, BypassPolicyLockoutSafetyCheck: true })
  expect(await outcome(owner("Encrypt", { KeyId, Plaintext }))).toBe(DENIED)
  expect(await outcome(owner("GenerateDataKey", { KeyId, KeySpec: "AES_256" }))).toBe(DENIED)
})

test("a Deny counts for DescribeKey only, and whoever it names (moto #5777)", async () => {
  const { createKey, owner } = world()
  const KeyId = await createKey(
    keyPolicy(
      delegation,
      { Effect: "Deny", Principal: { AWS: user("Eve") }, Action: "kms:DescribeKey" },
      { Effect: "Deny", Principal: "*", Action: "kms:DisableKey" },
    ),
  )
  expect(await outcome(owner("DescribeKey", { KeyId }))).toBe("ok")
  expect(await outcome(owner("DisableKey", { KeyId }))).toBe(DENIED)
})
