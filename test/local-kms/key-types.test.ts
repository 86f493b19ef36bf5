import { describe, expect, test } from "vitest"
import { keyTypes } from "../../src/local-kms/index.ts"
import { ACCOUNT, bytes, createKey, DAY_MS, memoryKms, REGION, register, sendTo } from "./helpers.ts"

const APP = `arn:aws:iam::${ACCOUNT}:role/App`
const OTHER_ACCOUNT = "arn:aws:iam::444455556666:root"

function setUp() {
  let now = Date.UTC(2026, 0, 1)
  const world = memoryKms({ clock: () => now })
  const { kms } = world
  return {
    ...world,
    passDays(days: number) {
      now += days * DAY_MS
    },
    direct: sendTo(kms.directClient({ principal: APP })),
    through: (service: string, onBehalfOf = APP, region = REGION) =>
      sendTo(kms.service(service).directClient({ onBehalfOf, region })),
    owned: (service: string) => sendTo(kms.service(service).directClient()),
  }
}

const dataKey = { KeyId: "alias/aws/s3", KeySpec: "AES_256" }
const cell = (type: string, column: keyof (typeof keyTypes)[number]) =>
  keyTypes.find((row) => row.type === type)![column]!

describe("customer managed keys", () => {
  const type = "customer managed"

  test(`creator: ${cell(type, "creator")}`, async () => {
    const { send } = setUp()
    const { keyId } = await createKey(send)
    expect((await send("DescribeKey", { KeyId: keyId })).KeyMetadata).toMatchObject({
      KeyManager: cell(type, "keyManager"),
    })
  })

  test(`rotation: ${cell(type, "rotation")}`, async () => {
    const { send } = setUp()
    const { keyId } = await createKey(send)
    const status = () => send("GetKeyRotationStatus", { KeyId: keyId })
    expect(await status()).toMatchObject({ KeyRotationEnabled: false })
    for (const RotationPeriodInDays of [90, 2560]) {
      await send("EnableKeyRotation", { KeyId: keyId, RotationPeriodInDays })
      expect(await status()).toMatchObject({ RotationPeriodInDays })
    }
    await send("EnableKeyRotation", { KeyId: keyId })
    expect(await status()).toMatchObject({ RotationPeriodInDays: 365 })
    for (let i = 0; i < 25; i++) await send("RotateKeyOnDemand", { KeyId: keyId })
    await expect(send("RotateKeyOnDemand", { KeyId: keyId })).rejects.toMatchObject({ name: "LimitExceededException" })
  })

  test(`deletion: ${cell(type, "deletion")}`, async () => {
    const { send, passDays } = setUp()
    for (const days of [7, 30]) {
      const { keyId } = await createKey(send)
      await send("ScheduleKeyDeletion", { KeyId: keyId, PendingWindowInDays: days })
      passDays(days)
      await expect(send("DescribeKey", { KeyId: keyId })).rejects.toMatchObject({ name: "NotFoundException" })
    }
  })

  test(`visible metadata: ${cell(type, "visibleMetadata")}`, async () => {
    const { kms, send } = setUp()
    const { keyId, arn } = await createKey(send)
    await send("TagResource", { KeyId: keyId, Tags: [{ TagKey: "a", TagValue: "b" }] })
    await send("CreateAlias", { AliasName: "alias/mine", TargetKeyId: keyId })
    await send("UpdateKeyDescription", { KeyId: keyId, Description: "mine" })
    expect((await send("DescribeKey", { KeyId: "alias/mine" })).KeyMetadata).toMatchObject({ Description: "mine" })
    expect((await send("ListResourceTags", { KeyId: keyId })).Tags).toEqual([{ TagKey: "a", TagValue: "b" }])
    expect((await send("ListKeys")).Keys).toEqual([{ KeyId: keyId, KeyArn: arn }])
    await send("Encrypt", { KeyId: keyId, Plaintext: bytes(1) })
    expect(await kms.events({ eventName: "Encrypt" })).toMatchObject([{ resources: [{ ARN: arn }] }])
  })

  test(`scope: ${cell(type, "scope")}`, async () => {
    const { kms, send } = setUp()
    const abroad = sendTo(kms.directClient({ region: "eu-west-1" }))
    const single = await createKey(send)
    await expect(abroad("DescribeKey", { KeyId: single.keyId })).rejects.toMatchObject({ name: "NotFoundException" })
    const { keyId } = await createKey(send, { MultiRegion: true })
    await send("ReplicateKey", { KeyId: keyId, ReplicaRegion: "eu-west-1" })
    await abroad("Encrypt", { KeyId: keyId, Plaintext: bytes(1) })
  })

  test(`cost: ${cell(type, "cost")} (requests are counted)`, async () => {
    const { kms, send } = setUp()
    const { keyId, arn } = await createKey(send)
    await send("Encrypt", { KeyId: keyId, Plaintext: bytes(1) })
    expect((await kms.usage()).byKey[arn]).toEqual({ CreateKey: 1, Encrypt: 1 })
  })
})

describe("AWS managed keys", () => {
  const type = "AWS managed"

  test(`KMS-4.1: creator: ${cell(type, "creator")}`, async () => {
    const { kms, send, through } = setUp()
    for (const service of ["s3", "ebs"]) {
      const KeyId = `alias/aws/${service}`
      const first = await through(service)("GenerateDataKeyWithoutPlaintext", { KeyId, NumberOfBytes: 64 })
      const second = await through(service)("GenerateDataKey", { KeyId, KeySpec: "AES_256" })
      expect(second.KeyId).toBe(first.KeyId)
      expect((await send("DescribeKey", { KeyId })).KeyMetadata).toMatchObject({
        AWSAccountId: ACCOUNT,
        Arn: first.KeyId,
        KeyManager: cell(type, "keyManager"),
      })
    }
    expect(await kms.events({ eventName: "CreateKey" })).toMatchObject([
      { eventType: "AwsServiceEvent", userIdentity: { invokedBy: "AWS Internal" } },
      { eventType: "AwsServiceEvent" },
    ])
  })

  test("KMS-4.1: one key for each account and Region", async () => {
    const { through } = setUp()
    const ids = new Set<string>()
    for (const [principal, region] of [
      [APP, REGION],
      [`arn:aws:iam::${ACCOUNT}:user/Alice`, REGION],
      [APP, "eu-west-1"],
      [OTHER_ACCOUNT, REGION],
    ] as const)
      ids.add((await through("s3", principal, region)("GenerateDataKey", dataKey)).KeyId)
    expect(ids.size).toBe(3)
  })

  test("KMS-4.1: a read makes no key, nor does a caller without the service, nor a dry run", async () => {
    const { kms, direct, through } = setUp()
    await register(kms, APP)
    const s3 = through("s3")
    const notFound = { name: "NotFoundException" }
    await expect(s3("DescribeKey", { KeyId: "alias/aws/s3" })).rejects.toMatchObject(notFound)
    await expect(
      s3("Decrypt", { KeyId: "alias/aws/s3", CiphertextBlob: Uint8Array.from([1, 2, 3]) }),
    ).rejects.toMatchObject({ name: "InvalidCiphertextException" })
    await expect(direct("GenerateDataKey", dataKey)).rejects.toMatchObject(notFound)
    await expect(through("ebs")("GenerateDataKey", dataKey)).rejects.toMatchObject(notFound)
    await expect(s3("GenerateDataKey", { ...dataKey, DryRun: true })).rejects.toMatchObject({
      name: "DryRunOperationException",
    })
    expect((await direct("ListKeys")).Keys).toEqual([])
    expect(await kms.events({ eventName: "CreateKey" })).toEqual([])
    const { Aliases } = await direct("ListAliases")
    expect(Aliases).toEqual(
      ["ebs", "s3"].map((name) => ({
        AliasName: `alias/aws/${name}`,
        AliasArn: `arn:aws:kms:${REGION}:${ACCOUNT}:alias/aws/${name}`,
      })),
    )
  })

  test(`rotation: ${cell(type, "rotation")}`, async () => {
    const { kms, direct, through, passDays } = setUp()
    await register(kms, APP)
    const { CiphertextBlob, KeyId, KeyMaterialId } = await through("s3")("GenerateDataKey", dataKey)
    expect(await direct("GetKeyRotationStatus", { KeyId })).toMatchObject({
      KeyRotationEnabled: true,
      RotationPeriodInDays: 365,
    })
    passDays(365)
    const later = await through("s3")("GenerateDataKey", dataKey)
    expect(later.KeyMaterialId).not.toBe(KeyMaterialId)
    await through("s3")("Decrypt", { CiphertextBlob })
    expect(await kms.events({ eventName: "RotateKey" })).toHaveLength(1)
    for (const operation of ["EnableKeyRotation", "DisableKeyRotation", "RotateKeyOnDemand"])
      await expect(direct(operation, { KeyId })).rejects.toMatchObject({ name: "UnsupportedOperationException" })
  })

  test(`deletion: ${cell(type, "deletion")}`, async () => {
    const { send, through } = setUp()
    const { KeyId } = await through("s3")("GenerateDataKey", dataKey)
    for (const caller of [send, through("s3")])
      await expect(caller("ScheduleKeyDeletion", { KeyId })).rejects.toMatchObject({ name: "AccessDeniedException" })
  })

  test(`visible metadata: ${cell(type, "visibleMetadata")}`, async () => {
    const { kms, send, through } = setUp()
    const { KeyId } = await through("s3")("GenerateDataKey", dataKey)
    expect((await send("ListKeys")).Keys).toMatchObject([{ KeyArn: KeyId }])
    expect((await send("ListAliases", { KeyId })).Aliases).toMatchObject([{ AliasName: "alias/aws/s3" }])
    expect((await send("ListResourceTags", { KeyId })).Tags).toEqual([])
    const changes = {
      DisableKey: { KeyId },
      UpdateKeyDescription: { KeyId, Description: "mine" },
      TagResource: { KeyId, Tags: [{ TagKey: "a", TagValue: "b" }] },
      CreateAlias: { AliasName: "alias/mine", TargetKeyId: KeyId },
      UpdateAlias: { AliasName: "alias/aws/s3", TargetKeyId: KeyId },
    }
    for (const [operation, input] of Object.entries(changes))
      await expect(send(operation, input)).rejects.toMatchObject({
        name: operation === "UpdateAlias" ? "NotAuthorizedException" : "AccessDeniedException",
      })
    expect(await kms.events({ eventName: "GenerateDataKey" })).toMatchObject([{ resources: [{ ARN: KeyId }] }])
  })

  test(`KMS-4.2: scope: ${cell(type, "scope")}`, async () => {
    const { direct, through } = setUp()
    const made = await through("s3")("GenerateDataKey", dataKey)
    const { KeyId, CiphertextBlob } = made
    const refused = { name: "AccessDeniedException" }
    await expect(direct("Encrypt", { KeyId, Plaintext: bytes(1) })).rejects.toMatchObject({
      ...refused,
      message:
        `User: arn:aws:sts::${ACCOUNT}:assumed-role/App/kms-envelope is not authorized to perform: kms:Encrypt ` +
        `on resource: ${KeyId} because no resource-based policy allows the kms:Encrypt action`,
    })
    await expect(direct("Decrypt", { CiphertextBlob })).rejects.toMatchObject(refused)
    await expect(through("ebs")("Decrypt", { CiphertextBlob })).rejects.toMatchObject(refused)
    await expect(through("s3", OTHER_ACCOUNT)("Decrypt", { CiphertextBlob })).rejects.toMatchObject(refused)
    expect((await through("s3")("Decrypt", { CiphertextBlob })).Plaintext).toEqual(made.Plaintext)
    expect((await through("s3.us-east-1.amazonaws.com")("Decrypt", { CiphertextBlob })).KeyId).toBe(KeyId)
  })

  test(`cost: ${cell(type, "cost")} (requests are counted; the key does not count towards the quota)`, async () => {
    const kms = memoryKms({ quotas: { keys: 1 } })
    const s3 = sendTo(kms.kms.service("s3").directClient({ onBehalfOf: APP }))
    const { KeyId } = await s3("GenerateDataKey", dataKey)
    expect((await kms.kms.usage()).byKey[KeyId]).toEqual({ GenerateDataKey: 1 })
    await createKey(kms.send)
    await expect(createKey(kms.send)).rejects.toMatchObject({ name: "LimitExceededException" })
  })
})

describe("KMS-4.3: AWS owned keys", () => {
  const type = "AWS owned"

  test(`creator: ${cell(type, "creator")}`, async () => {
    const { owned } = setUp()
    const { KeyId } = await owned("s3")("GenerateDataKey", dataKey)
    expect(KeyId).not.toContain(ACCOUNT)
    expect((await owned("s3")("GenerateDataKey", dataKey)).KeyId).toBe(KeyId)
  })

  test(`rotation: ${cell(type, "rotation")}`, async () => {
    const { owned, passDays } = setUp()
    const s3 = owned("s3")
    const first = await s3("GenerateDataKey", dataKey)
    passDays(365)
    const second = await s3("GenerateDataKey", dataKey)
    expect(second.KeyMaterialId).not.toBe(first.KeyMaterialId)
    expect((await s3("Decrypt", { CiphertextBlob: first.CiphertextBlob })).Plaintext).toEqual(first.Plaintext)
  })

  test(`deletion: ${cell(type, "deletion")}`, async () => {
    const { send, owned } = setUp()
    const { KeyId } = await owned("s3")("GenerateDataKey", dataKey)
    for (const caller of [send, owned("s3")])
      await expect(caller("ScheduleKeyDeletion", { KeyId })).rejects.toMatchObject({ name: "AccessDeniedException" })
  })

  test(`visible metadata: ${cell(type, "visibleMetadata")}`, async () => {
    const { kms, send, owned, passDays } = setUp()
    const { KeyId } = await owned("s3")("GenerateDataKey", dataKey)
    passDays(366)
    await owned("s3")("GenerateDataKey", dataKey)
    expect(await kms.events()).toEqual([])
    expect((await send("ListKeys")).Keys).toEqual([])
    await expect(send("DescribeKey", { KeyId })).rejects.toMatchObject({ name: "AccessDeniedException" })
    await expect(send("GetKeyRotationStatus", { KeyId })).rejects.toMatchObject({ name: "AccessDeniedException" })
  })

  test(`scope: ${cell(type, "scope")}`, async () => {
    const { send, through, owned, kms } = setUp()
    const { KeyId, CiphertextBlob } = await owned("s3")("GenerateDataKey", dataKey)
    await expect(send("Encrypt", { KeyId, Plaintext: bytes(1) })).rejects.toMatchObject({
      name: "AccessDeniedException",
    })
    await expect(through("s3")("Decrypt", { CiphertextBlob })).rejects.toMatchObject({ name: "AccessDeniedException" })
    // Whoever says to be of the services' account without being a service is nobody.
    const account = KeyId.split(":")[4]
    const impostor = sendTo(kms.directClient({ principal: `arn:aws:iam::${account}:root` }))
    await expect(impostor("Decrypt", { CiphertextBlob })).rejects.toMatchObject({
      name: "UnrecognizedClientException",
    })
    await owned("s3")("Decrypt", { CiphertextBlob })
  })

  test(`cost: ${cell(type, "cost")}`, async () => {
    const { kms, owned } = setUp()
    await owned("s3")("GenerateDataKey", dataKey)
    expect((await kms.usage()).requests).toBe(0)
  })
})

test("keys of services are told apart by account only: a service's own and a customer's have the same alias", async () => {
  const { through, owned } = setUp()
  const managed = await through("s3")("GenerateDataKey", dataKey)
  const own = await owned("s3")("GenerateDataKey", dataKey)
  expect(managed.KeyId).not.toBe(own.KeyId)
})

test("what is no service is the caller's mistake", () => {
  const { kms } = setUp()
  for (const name of ["", "S3", "s3!", "s3.us-east-1.example.com"]) expect(() => kms.service(name)).toThrow(TypeError)
  expect(() => kms.service("s3").directClient({ onBehalfOf: "nobody" })).toThrow(TypeError)
})
