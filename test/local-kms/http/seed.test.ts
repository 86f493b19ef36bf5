import { readFile } from "node:fs/promises"
import { describe, expect, onTestFinished, test } from "vitest"
import { LocalKms, type Seed } from "../../../src/local-kms/index.ts"
import { ACCOUNT, bytes, REGION, sendTo, temporaryFolder } from "../helpers.ts"
import { NOW, served } from "./served.ts"

const KEY_ID = "11111111-2222-3333-4444-555555555555"
const KEY_ARN = `arn:aws:kms:${REGION}:${ACCOUNT}:key/${KEY_ID}`
const MATERIAL = Buffer.from(bytes(32, 9)).toString("base64")
const ALICE = `arn:aws:iam::${ACCOUNT}:user/Alice`

const seed: Seed = {
  keys: [
    {
      keyId: KEY_ID,
      material: MATERIAL,
      description: "orders",
      tags: { team: "a" },
      aliases: ["alias/orders", "alias/app/main"],
    },
    { aliases: ["alias/other"], enabled: false },
    { keyId: "mrk-00000000000000000000000000000001", region: "eu-west-1" },
    { aliases: ["alias/mac"], keySpec: "HMAC_256" },
  ],
  accessKeys: [{ accessKeyId: "tests", secretAccessKey: "tests-tests", principal: `arn:aws:iam::${ACCOUNT}:root` }],
}

function memory(settings = {}) {
  const kms = LocalKms.inMemory({ clock: () => NOW, ...settings })
  onTestFinished(() => kms.close())
  return { kms, send: sendTo(kms.directClient()) }
}

describe("a start-up file", () => {
  test("HTTP-5.2: makes what it names", async () => {
    const { kms, send } = memory()
    const { created, updated, unchanged } = await kms.seed(seed)
    expect([updated, unchanged]).toEqual([[], 0])
    expect(created).toHaveLength(9)
    expect(created).toContain(KEY_ARN)
    expect(created).toContain("tests")
    const { KeyMetadata } = await send("DescribeKey", { KeyId: "alias/orders" })
    expect(KeyMetadata).toMatchObject({
      Arn: KEY_ARN,
      Description: "orders",
      KeyState: "Enabled",
      CreationDate: new Date(NOW),
    })
    expect((await send("ListResourceTags", { KeyId: KEY_ID })).Tags).toEqual([{ TagKey: "team", TagValue: "a" }])
    expect((await send("DescribeKey", { KeyId: "alias/other" })).KeyMetadata.KeyState).toBe("Disabled")
    expect((await send("DescribeKey", { KeyId: "alias/mac" })).KeyMetadata.KeySpec).toBe("HMAC_256")
    const inIreland = sendTo(kms.directClient({ region: "eu-west-1" }))
    const multi = await inIreland("DescribeKey", { KeyId: "mrk-00000000000000000000000000000001" })
    expect(multi.KeyMetadata).toMatchObject({ MultiRegion: true, KeyState: "Enabled" })
  })

  test("HTTP-5.2: applied again changes nothing", async () => {
    const { kms } = memory()
    const { created } = await kms.seed(seed)
    const events = await kms.events()
    expect(await kms.seed(JSON.parse(JSON.stringify(seed)))).toEqual({
      created: [],
      updated: [],
      unchanged: created.length,
    })
    expect(await kms.events()).toEqual(events)
  })

  test("HTTP-5.2: sets what differs, and leaves what it does not name", async () => {
    const { kms, send } = memory()
    await kms.seed(seed)
    await send("DisableKey", { KeyId: KEY_ID })
    await send("TagResource", { KeyId: KEY_ID, Tags: [{ TagKey: "team", TagValue: "b" }] })
    await send("UpdateAlias", { AliasName: "alias/app/main", TargetKeyId: (await send("CreateKey")).KeyMetadata.KeyId })
    const { created, updated } = await kms.seed(seed)
    expect(created).toEqual([])
    expect(updated).toEqual([KEY_ARN, `arn:aws:kms:${REGION}:${ACCOUNT}:alias/app/main`])
    expect((await send("ListResourceTags", { KeyId: KEY_ID })).Tags).toEqual([{ TagKey: "team", TagValue: "a" }])
    // The file does not say whether it is enabled.
    expect((await send("DescribeKey", { KeyId: "alias/app/main" })).KeyMetadata).toMatchObject({
      Arn: KEY_ARN,
      KeyState: "Disabled",
    })
    await kms.seed({ keys: [{ keyId: KEY_ID, enabled: true }] })
    expect((await send("DescribeKey", { KeyId: KEY_ID })).KeyMetadata.KeyState).toBe("Enabled")
  })

  test("gives keys of known material, so that stored ciphertexts decrypt everywhere", async () => {
    const [first, second] = [memory(), memory()]
    await first.kms.seed(seed)
    await second.kms.seed(seed)
    const { CiphertextBlob } = await first.send("Encrypt", { KeyId: "alias/orders", Plaintext: bytes(5) })
    expect((await second.send("Decrypt", { CiphertextBlob })).Plaintext).toEqual(bytes(5))
  })

  test("gives access keys that sign at once, and with a new secret after it changed", async () => {
    const world = await served()
    await world.kms.seed(seed)
    const signer = { accessKeyId: "tests", secretAccessKey: "tests-tests" }
    expect((await world.call("ListKeys", {}, { credentials: signer })).status).toBe(200)
    const changed = { ...signer, secretAccessKey: "another-secret" }
    expect(await world.kms.seed({ accessKeys: [{ ...seed.accessKeys![0]!, ...changed }] })).toMatchObject({
      updated: ["tests"],
    })
    expect((await world.call("ListKeys", {}, { credentials: signer })).status).toBe(400)
    expect((await world.call("ListKeys", {}, { credentials: changed })).status).toBe(200)
  })

  test("HTTP-5.4: leaves events that say where the keys come from", async () => {
    const { kms } = memory()
    await kms.seed(seed)
    const events = await kms.events({ keyArn: KEY_ARN })
    expect(events.map(({ eventName }) => eventName)).toEqual(["CreateKey", "CreateAlias", "CreateAlias"])
    expect(events[0]).toMatchObject({
      eventType: "AwsServiceEvent",
      userIdentity: { invokedBy: "AWS Internal" },
      serviceEventDetails: { keyId: KEY_ARN, reason: "seed" },
    })
    expect(JSON.stringify(await kms.events())).not.toContain(MATERIAL.slice(0, 20))
  })

  test("seeds two processes that start at the same time once", async () => {
    const dir = await temporaryFolder()
    const both = await Promise.all([LocalKms.open(dir), LocalKms.open(dir)])
    const results = await Promise.all(both.map((kms) => kms.seed(seed)))
    expect(results.map(({ unchanged }) => unchanged).sort()).toEqual([0, 9])
    for (const kms of both) await kms.close()
  })
})

describe("the principals and policies of a start-up file", () => {
  const nobodyMayPut = {
    Version: "2012-10-17",
    Statement: [
      { Effect: "Allow", Principal: { AWS: `arn:aws:iam::${ACCOUNT}:root` }, Action: "kms:Encrypt", Resource: "*" },
    ],
  }

  test("HTTP-5.5: a policy that nobody could change again is refused, unless the file insists", async () => {
    const { kms } = memory()
    const key = { keyId: KEY_ID, policy: nobodyMayPut }
    await expect(kms.seed({ keys: [key] })).rejects.toThrow(
      /^keys\[0\]\.policy: The new key policy will not allow you to update the key policy in the future\./,
    )
    expect((await kms.seed({ keys: [{ ...key, bypassPolicyLockoutSafetyCheck: true }] })).created).toEqual([KEY_ARN])
  })

  test("HTTP-5.5: whoever the policy names or the file registers may be the one that could", async () => {
    const named = { Effect: "Allow", Principal: { AWS: ALICE }, Action: "kms:PutKeyPolicy", Resource: "*" }
    const byName = { Version: "2012-10-17", Statement: [named] }
    expect((await memory().kms.seed({ keys: [{ keyId: KEY_ID, policy: byName }] })).created).toEqual([KEY_ARN])
    // Of the account everybody but its root; then an identity policy has to allow it.
    const root = `arn:aws:iam::${ACCOUNT}:root`
    const delegated = {
      Version: "2012-10-17",
      Statement: [
        { Effect: "Allow", Principal: { AWS: root }, Action: "kms:*", Resource: "*" },
        {
          Effect: "Deny",
          Principal: { AWS: root },
          Action: "kms:PutKeyPolicy",
          Resource: "*",
          Condition: { ArnEquals: { "aws:PrincipalArn": root } },
        },
      ],
    }
    const keys = [{ keyId: KEY_ID, policy: delegated }]
    await expect(memory().kms.seed({ keys })).rejects.toThrow(/^keys\[0\]\.policy: /)
    const admin = { Version: "2012-10-17", Statement: [{ Effect: "Allow", Action: "kms:*", Resource: "*" }] }
    const users = [{ name: "Admin", policies: { admin } }]
    expect((await memory().kms.seed({ users, keys })).created).toContain(KEY_ARN)
  })

  const mayEncrypt = { Version: "2012-10-17", Statement: [{ Effect: "Allow", Action: "kms:Encrypt", Resource: "*" }] }
  const keyPolicy = {
    Version: "2012-10-17",
    Statement: [
      { Effect: "Allow", Principal: { AWS: `arn:aws:iam::${ACCOUNT}:root` }, Action: "kms:*", Resource: "*" },
      { Effect: "Deny", Principal: { AWS: ALICE }, Action: "kms:Encrypt", Resource: "*" },
    ],
  }
  const team: Seed = {
    groups: [{ name: "writers", policies: { encrypt: mayEncrypt } }],
    users: [
      { name: "Alice", groups: ["writers"], tags: { team: "a" } },
      { name: "Bob", groups: ["writers"] },
    ],
    roles: [{ name: "App", path: "/service/", policies: { encrypt: JSON.stringify(mayEncrypt) } }],
    keys: [{ keyId: KEY_ID, policy: keyPolicy }],
  }
  const sendAs = (kms: LocalKms, principal: string) => sendTo(kms.directClient({ principal }))

  test("decide at once", async () => {
    const { kms } = memory()
    await kms.seed(team)
    const encrypt = { KeyId: KEY_ID, Plaintext: bytes(3) }
    await expect(sendAs(kms, ALICE)("Encrypt", encrypt)).rejects.toThrow(/explicit deny/)
    await sendAs(kms, `arn:aws:iam::${ACCOUNT}:user/Bob`)("Encrypt", encrypt)
    await sendAs(kms, `arn:aws:iam::${ACCOUNT}:role/service/App`)("Encrypt", encrypt)
    await expect(sendAs(kms, `arn:aws:iam::${ACCOUNT}:user/Eve`)("Encrypt", encrypt)).rejects.toThrow(/not authorized/)
  })

  test("HTTP-5.2: are set, and set once", async () => {
    const { kms, send } = memory()
    expect((await kms.seed(team)).created).toHaveLength(5)
    expect(await kms.seed(team)).toEqual({ created: [], updated: [], unchanged: 5 })
    await kms.principals.setTags(ALICE, { team: "b" })
    await kms.principals.putPolicy(ALICE, "own", mayEncrypt)
    await send("PutKeyPolicy", { KeyId: KEY_ID, Policy: JSON.stringify({ ...keyPolicy, Id: "changed" }) })
    expect((await kms.seed(team)).updated).toEqual([ALICE, KEY_ARN])
    expect(await kms.principals.get(ALICE)).toMatchObject({
      tags: { team: "a" },
      policies: { own: expect.any(String) },
    })
    expect(JSON.parse((await send("GetKeyPolicy", { KeyId: KEY_ID })).Policy)).toEqual(keyPolicy)
  })

  test.each<[Seed, string]>([
    [{ users: [{ name: "A", groups: ["nobodys"] }] }, "users[0]: there is no group nobodys in the account"],
    [{ users: [{ name: "A B" }] }, "users[0]: 'A B' is no name of a user"],
    [{ groups: [{ name: "g", policies: { p: { Statement: [] } } }] }, "groups[0]: the policy p: "],
    [{ keys: [{ keyId: KEY_ID, policy: { Version: "2012-10-17", Statement: [{}] } }] }, "keys[0].policy: "],
    [{ roles: [{ name: "r", trustPolicy: "{" }] }, "roles[0]: the trust policy: "],
    [{ users: [{ path: "/x/" } as never] }, "users[0] needs a name"],
    [{ roles: [{ name: "r", groups: [] } as never] }, "roles[0] has no member groups"],
    [{ users: [{ name: "u", policies: { p: 7 as never } }] }, "users[0].policies.p must be a policy"],
  ])("HTTP-5.1: refused is %j", async (file, message) => {
    const { kms } = memory()
    await expect(kms.seed({ groups: [{ name: "before" }], ...file })).rejects.toThrow(message)
    expect(await kms.principals.list()).toEqual([])
  })

  test("HTTP-5.3: a name under another path is refused", async () => {
    const { kms } = memory()
    await kms.seed(team)
    await expect(kms.seed({ roles: [{ name: "App" }] })).rejects.toThrow(
      `roles[0]: there is arn:aws:iam::${ACCOUNT}:role/service/App already`,
    )
  })
})

test("the example of a start-up file gives its users what it says", async () => {
  const file = new URL("../../../examples/kms-seed.json", import.meta.url)
  const world = await served()
  await world.kms.seed(JSON.parse(await readFile(file, "utf8")))
  const as = (accessKeyId: string, secretAccessKey: string) => ({ credentials: { accessKeyId, secretAccessKey } })
  const app = as("AKIAEXAMPLEAPP", "app-secret-for-tests-only")
  const alice = as("AKIAEXAMPLEALICE", "alice-secret-for-tests-only")
  const dataKey = { KeyId: "alias/orders", KeySpec: "AES_256" }
  const withTenant = { ...dataKey, EncryptionContext: { tenant: "42" } }
  expect((await world.call("GenerateDataKey", withTenant, app)).status).toBe(200)
  expect((await world.call("GenerateDataKey", dataKey, app)).json.__type).toBe("AccessDeniedException")
  expect((await world.call("GenerateDataKey", withTenant, alice)).json.__type).toBe("AccessDeniedException")
  expect((await world.call("DescribeKey", { KeyId: "alias/orders" }, alice)).status).toBe(200)
  expect((await world.call("CreateKey", {}, app)).json.__type).toBe("AccessDeniedException")
})

describe("HTTP-5.1: refused, with the place and the reason, is", () => {
  const key = { aliases: ["alias/a"] }
  const accessKey = seed.accessKeys![0]
  test.each<[unknown, string]>([
    [[], "the file must be an object"],
    [null, "the file must be an object"],
    [{ key: [] }, "the file has no member key: there are "],
    [{ keys: {} }, "keys must be a list"],
    [{ keys: [key, 7] }, "keys[1] must be an object"],
    [{ keys: [{}] }, "keys[0] needs a keyId or an alias"],
    [{ keys: [{ ...key, desciption: "x" }] }, "keys[0] has no member desciption: there are "],
    [{ keys: [{ keyId: "1" }] }, "keys[0].keyId must be a UUID, or mrk- and 32 hexadecimal digits, not '1'"],
    [{ keys: [{ ...key, accountId: 1 }] }, "keys[0].accountId must be twelve digits"],
    [{ keys: [{ ...key, region: "mars" }] }, "keys[0].region must be an AWS Region, not 'mars'"],
    [{ keys: [{ ...key, keySpec: "RSA_2048" }] }, "keys[0].keySpec must be one of SYMMETRIC_DEFAULT, HMAC_224"],
    [{ keys: [{ ...key, material: "!" }] }, "keys[0].material must be base64"],
    [{ keys: [{ ...key, material: "AAAA" }] }, "keys[0].material must be 32 bytes for a key of spec SYMMETRIC_DEFAULT"],
    [{ keys: [{ ...key, enabled: "yes" }] }, "keys[0].enabled must be true or false"],
    [{ keys: [{ ...key, tags: { "aws:x": "1" } }] }, "keys[0].tags: a tag's name has"],
    [{ keys: [{ ...key, tags: { x: 1 } }] }, "keys[0].tags.x must be a text"],
    [{ keys: [{ aliases: ["a"] }] }, "keys[0].aliases[0] must be alias/ and up to"],
    [{ keys: [{ aliases: ["alias/aws/s3"] }] }, "keys[0].aliases[0]: names beginning with alias/aws/ are reserved"],
    [{ keys: [{ keyId: KEY_ID }, { keyId: KEY_ID }] }, `keys[1] has the id of keys[0], ${KEY_ID}`],
    [{ accessKeys: [{ principal: ALICE }] }, "accessKeys[0] needs accessKeyId"],
    [{ accessKeys: [{ ...accessKey, principal: "Alice" }] }, "accessKeys[0].principal: principal must be the ARN"],
    [{ accessKeys: [{ ...accessKey, service: "?" }] }, "accessKeys[0].service: '?' is no AWS service"],
    [{ accessKeys: [{ ...accessKey, accessKeyId: "ASIA123" }] }, "accessKeys[0].accessKeyId must be 3 to 128"],
  ])("%j", async (file, message) => {
    const { kms, send } = memory()
    await expect(kms.seed(file as Seed)).rejects.toThrow(message)
    await expect(kms.seed(file as Seed)).rejects.toThrow(TypeError)
    expect((await send("ListKeys")).Keys).toEqual([])
  })

  test("a bad secret, which is not repeated", async () => {
    const { kms } = memory()
    const accessKeys = [{ ...accessKey!, secretAccessKey: "my secret" }]
    const error = await kms.seed({ accessKeys }).catch((refusal: Error) => refusal)
    expect((error as Error).message).toBe("accessKeys[0].secretAccessKey must be 8 to 128 printable ASCII characters")
  })

  test("HTTP-5.3: other material or another spec for a key that is there, and nothing of the file is done then", async () => {
    const { kms, send } = memory()
    await kms.seed(seed)
    const other = Buffer.from(bytes(32, 1)).toString("base64")
    const first = { keyId: "22222222-2222-3333-4444-555555555555" }
    await expect(kms.seed({ keys: [first, { keyId: KEY_ID, material: other }] })).rejects.toThrow(
      `keys[1]: ${KEY_ARN} is there already, with other key material`,
    )
    await expect(kms.seed({ keys: [{ aliases: ["alias/mac"], keySpec: "SYMMETRIC_DEFAULT" }] })).rejects.toThrow(
      /is there already, with spec HMAC_256/,
    )
    await expect(send("DescribeKey", { KeyId: first.keyId })).rejects.toMatchObject({ name: "NotFoundException" })
    await send("ScheduleKeyDeletion", { KeyId: KEY_ID })
    await expect(kms.seed(seed)).rejects.toThrow(/waits to be deleted/)
  })
})
