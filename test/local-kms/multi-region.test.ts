import { expect, test } from "vitest"
import { ACCOUNT, bytes, createKey, DAY_MS, memoryKms, REGION, sendTo } from "./helpers.ts"

const REPLICA_REGION = "eu-west-1"
const arnIn = (region: string, keyId: string): string => `arn:aws:kms:${region}:${ACCOUNT}:key/${keyId}`

function twoRegions(clock?: () => number) {
  const { kms, send } = memoryKms(clock === undefined ? {} : { clock })
  return { kms, send, abroad: sendTo(kms.directClient({ region: REPLICA_REGION })) }
}

test("a multi-Region key has an id that says so, and stays in its Region until it is replicated", async () => {
  const { send, abroad } = twoRegions()
  const { KeyMetadata } = await send("CreateKey", { MultiRegion: true })
  expect(KeyMetadata.KeyId).toMatch(/^mrk-[0-9a-f]{32}$/)
  expect(KeyMetadata).toMatchObject({
    MultiRegion: true,
    MultiRegionConfiguration: {
      MultiRegionKeyType: "PRIMARY",
      PrimaryKey: { Arn: KeyMetadata.Arn, Region: REGION },
      ReplicaKeys: [],
    },
  })
  await expect(abroad("DescribeKey", { KeyId: KeyMetadata.KeyId })).rejects.toMatchObject({
    message: `Key '${arnIn(REPLICA_REGION, KeyMetadata.KeyId)}' does not exist`,
  })
})

test("what one Region encrypts another decrypts with its replica", async () => {
  const { send, abroad } = twoRegions()
  const { keyId, arn } = await createKey(send, { MultiRegion: true })
  const replica = arnIn(REPLICA_REGION, keyId)
  const { ReplicaKeyMetadata } = await send("ReplicateKey", { KeyId: keyId, ReplicaRegion: REPLICA_REGION })
  expect(ReplicaKeyMetadata).toMatchObject({
    Arn: replica,
    KeyState: "Enabled",
    MultiRegionConfiguration: {
      MultiRegionKeyType: "REPLICA",
      PrimaryKey: { Arn: arn, Region: REGION },
      ReplicaKeys: [{ Arn: replica, Region: REPLICA_REGION }],
    },
  })
  const EncryptionContext = { a: "b" }
  const home = await send("GenerateDataKey", { KeyId: keyId, KeySpec: "AES_256", EncryptionContext })
  const opened = await abroad("Decrypt", { CiphertextBlob: home.CiphertextBlob, EncryptionContext })
  expect(opened).toMatchObject({ KeyId: replica, KeyMaterialId: home.KeyMaterialId })
  expect(opened.Plaintext).toEqual(home.Plaintext)
  const back = await abroad("Encrypt", { KeyId: replica, Plaintext: bytes(9), EncryptionContext })
  const atHome = await send("Decrypt", { CiphertextBlob: back.CiphertextBlob, EncryptionContext, KeyId: arn })
  expect(atHome.Plaintext).toEqual(bytes(9))
})

test("a single-Region key stays in its Region", async () => {
  const { send, abroad } = twoRegions()
  const { keyId } = await createKey(send)
  const { CiphertextBlob } = await send("Encrypt", { KeyId: keyId, Plaintext: bytes(9) })
  await expect(abroad("Decrypt", { CiphertextBlob })).rejects.toMatchObject({ name: "AccessDeniedException" })
})

test("each copy has a state, an alias and a description of its own", async () => {
  const { send, abroad } = twoRegions()
  const { keyId } = await createKey(send, { MultiRegion: true, Description: "home" })
  await send("ReplicateKey", { KeyId: keyId, ReplicaRegion: REPLICA_REGION, Description: "abroad" })
  await abroad("DisableKey", { KeyId: keyId })
  await send("CreateAlias", { AliasName: "alias/home", TargetKeyId: keyId })
  const home = (await send("DescribeKey", { KeyId: "alias/home" })).KeyMetadata
  const copy = (await abroad("DescribeKey", { KeyId: keyId })).KeyMetadata
  expect(home).toMatchObject({ KeyState: "Enabled", Description: "home" })
  expect(copy).toMatchObject({ KeyState: "Disabled", Description: "abroad" })
  expect(home.CurrentKeyMaterialId).toBe(copy.CurrentKeyMaterialId)
  expect((await abroad("ListAliases", { KeyId: keyId })).Aliases).toEqual([])
})

test("only a primary key is replicated, and only once into a Region", async () => {
  const { send, abroad } = twoRegions()
  const { keyId } = await createKey(send, { MultiRegion: true })
  await send("ReplicateKey", { KeyId: keyId, ReplicaRegion: REPLICA_REGION })
  await expect(abroad("ReplicateKey", { KeyId: keyId, ReplicaRegion: "eu-west-2" })).rejects.toMatchObject({
    name: "UnsupportedOperationException",
    message: `${arnIn(REPLICA_REGION, keyId)} is not a multi-region primary key.`,
  })
  await expect(send("ReplicateKey", { KeyId: keyId, ReplicaRegion: REPLICA_REGION })).rejects.toMatchObject({
    name: "AlreadyExistsException",
  })
})

test("a primary key waits for its replicas before its own waiting period begins", async () => {
  let now = Date.UTC(2026, 0, 1)
  const { send, abroad } = twoRegions(() => now)
  const { keyId, arn } = await createKey(send, { MultiRegion: true })
  await send("ReplicateKey", { KeyId: keyId, ReplicaRegion: REPLICA_REGION })
  const scheduled = await send("ScheduleKeyDeletion", { KeyId: keyId, PendingWindowInDays: 10 })
  expect(scheduled).toMatchObject({ KeyState: "PendingReplicaDeletion", PendingWindowInDays: 10 })
  expect(scheduled).not.toHaveProperty("DeletionDate")
  await expect(send("Encrypt", { KeyId: keyId, Plaintext: bytes(1) })).rejects.toMatchObject({
    message: `${arn} is pending replica deletion.`,
  })
  await abroad("ScheduleKeyDeletion", { KeyId: keyId, PendingWindowInDays: 7 })
  now += 7 * DAY_MS
  await expect(abroad("DescribeKey", { KeyId: keyId })).rejects.toMatchObject({ name: "NotFoundException" })
  expect((await send("DescribeKey", { KeyId: keyId })).KeyMetadata).toMatchObject({
    KeyState: "PendingDeletion",
    DeletionDate: new Date(now + 10 * DAY_MS),
    MultiRegionConfiguration: { ReplicaKeys: [] },
  })
  now += 10 * DAY_MS
  await expect(send("DescribeKey", { KeyId: keyId })).rejects.toMatchObject({ name: "NotFoundException" })
})

test("deleting a replica leaves the primary as it was", async () => {
  let now = Date.UTC(2026, 0, 1)
  const { send, abroad } = twoRegions(() => now)
  const { keyId } = await createKey(send, { MultiRegion: true })
  await send("ReplicateKey", { KeyId: keyId, ReplicaRegion: REPLICA_REGION })
  const { CiphertextBlob } = await abroad("Encrypt", { KeyId: keyId, Plaintext: bytes(9) })
  await abroad("ScheduleKeyDeletion", { KeyId: keyId, PendingWindowInDays: 7 })
  now += 7 * DAY_MS
  expect((await send("Decrypt", { CiphertextBlob })).Plaintext).toEqual(bytes(9))
  await send("ReplicateKey", { KeyId: keyId, ReplicaRegion: REPLICA_REGION })
  expect((await abroad("Decrypt", { CiphertextBlob })).Plaintext).toEqual(bytes(9))
})

test("a replica becomes the primary key, and the primary its replica", async () => {
  const { send, abroad } = twoRegions()
  const { keyId, arn } = await createKey(send, { MultiRegion: true })
  await send("ReplicateKey", { KeyId: keyId, ReplicaRegion: REPLICA_REGION })
  await send("ReplicateKey", { KeyId: keyId, ReplicaRegion: "eu-west-2" })
  await send("EnableKeyRotation", { KeyId: keyId })
  await send("UpdatePrimaryRegion", { KeyId: keyId, PrimaryRegion: REPLICA_REGION })
  const configuration = {
    PrimaryKey: { Arn: arnIn(REPLICA_REGION, keyId), Region: REPLICA_REGION },
    ReplicaKeys: [
      { Arn: arn, Region: REGION },
      { Arn: arnIn("eu-west-2", keyId), Region: "eu-west-2" },
    ],
  }
  expect((await abroad("DescribeKey", { KeyId: keyId })).KeyMetadata).toMatchObject({
    KeyState: "Enabled",
    MultiRegionConfiguration: { ...configuration, MultiRegionKeyType: "PRIMARY" },
  })
  expect((await send("DescribeKey", { KeyId: keyId })).KeyMetadata).toMatchObject({
    KeyState: "Enabled",
    MultiRegionConfiguration: { ...configuration, MultiRegionKeyType: "REPLICA" },
  })
  await expect(send("DisableKeyRotation", { KeyId: keyId })).rejects.toMatchObject({
    name: "UnsupportedOperationException",
  })
  await abroad("RotateKeyOnDemand", { KeyId: keyId })
  await abroad("DisableKeyRotation", { KeyId: keyId })
})

test.each([
  ["its own Region", REGION, "ValidationException"],
  ["a Region without a replica", "eu-west-2", "NotFoundException"],
])("a primary key does not move to %s", async (_where, PrimaryRegion, name) => {
  const { send } = twoRegions()
  const { keyId } = await createKey(send, { MultiRegion: true })
  await expect(send("UpdatePrimaryRegion", { KeyId: keyId, PrimaryRegion })).rejects.toMatchObject({ name })
})

test("neither a replica nor a disabled replica is moved to", async () => {
  const { send, abroad } = twoRegions()
  const { keyId } = await createKey(send, { MultiRegion: true })
  await send("ReplicateKey", { KeyId: keyId, ReplicaRegion: REPLICA_REGION })
  await expect(abroad("UpdatePrimaryRegion", { KeyId: keyId, PrimaryRegion: REGION })).rejects.toMatchObject({
    name: "UnsupportedOperationException",
    message: `${arnIn(REPLICA_REGION, keyId)} is not a multi-region primary key.`,
  })
  await abroad("DisableKey", { KeyId: keyId })
  await expect(send("UpdatePrimaryRegion", { KeyId: keyId, PrimaryRegion: REPLICA_REGION })).rejects.toMatchObject({
    name: "DisabledException",
    message: `${arnIn(REPLICA_REGION, keyId)} is disabled.`,
  })
})

test("a replica has tags and a description of its own, and a replica's tags are told", async () => {
  const { send, abroad } = twoRegions()
  const { keyId } = await createKey(send, { MultiRegion: true, Tags: [{ TagKey: "a", TagValue: "home" }] })
  const Tags = [{ TagKey: "a", TagValue: "abroad" }]
  const replicated = await send("ReplicateKey", { KeyId: keyId, ReplicaRegion: REPLICA_REGION, Tags })
  expect(replicated.ReplicaTags).toEqual(Tags)
  expect((await abroad("ListResourceTags", { KeyId: keyId })).Tags).toEqual(Tags)
  expect((await send("ListResourceTags", { KeyId: keyId })).Tags).toEqual([{ TagKey: "a", TagValue: "home" }])
})
