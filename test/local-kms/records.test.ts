import { expect, test } from "vitest"
import { LocalKms } from "../../src/local-kms/index.ts"
import { lmdbStore } from "../../src/local-kms/store/lmdb.ts"
import { ACCOUNT, bytes, createKey, DAY_MS, REGION, sendTo, temporaryFolder } from "./helpers.ts"

const NOW = Date.UTC(2026, 4, 20)
const REPLICA_REGION = "eu-west-1"

/** What a few requests leave in the store, by record key. */
async function recordsOfASession() {
  const dir = await temporaryFolder()
  const kms = await LocalKms.open(dir, { clock: () => NOW })
  const send = sendTo(kms.directClient())
  const { keyId, arn } = await createKey(send, {
    MultiRegion: true,
    Description: "orders",
    Tags: [{ TagKey: "team", TagValue: "a" }],
  })
  await send("CreateAlias", { AliasName: "alias/orders", TargetKeyId: keyId })
  await send("ReplicateKey", { KeyId: keyId, ReplicaRegion: REPLICA_REGION })
  const { KeyMaterialId: materialId } = await send("GenerateDataKey", { KeyId: keyId, KeySpec: "AES_256" })
  await expect(send("Encrypt", { KeyId: "none", Plaintext: bytes(1) })).rejects.toThrow()
  await sendTo(kms.directClient({ region: REPLICA_REGION }))("ScheduleKeyDeletion", {
    KeyId: keyId,
    PendingWindowInDays: 7,
  })
  await kms.close()
  const store = await lmdbStore(dir)
  const records = store.read((reader) => new Map(reader.range("")))
  await store.close()
  return { records, keyId, arn, materialId: materialId as string }
}

test("KMS-3.4: a session leaves these records and no others", async () => {
  const { records, keyId, arn, materialId } = await recordsOfASession()
  const deletion = String(NOW + 7 * DAY_MS).padStart(15, "0")
  const events = Array.from({ length: 6 }, (_, i) => `event/000000000000000${i + 1}`)
  expect([...records.keys()].sort()).toEqual(
    [
      "meta/store",
      `key/${ACCOUNT}/${REGION}/${keyId}`,
      `key/${ACCOUNT}/${REPLICA_REGION}/${keyId}`,
      `shared/${ACCOUNT}/${keyId}`,
      `material/${materialId}`,
      `alias/${ACCOUNT}/${REGION}/alias/orders`,
      `due/${deletion}/delete/${ACCOUNT}/${REPLICA_REGION}/${keyId}`,
      `alias-of/${ACCOUNT}/${REGION}/${keyId}/alias/orders`,
      `count/${ACCOUNT}/${REGION}`,
      `count/${ACCOUNT}/${REPLICA_REGION}`,
      `used/${ACCOUNT}/${REGION}/${keyId}`,
      ...events,
      "head/events",
      `life/${arn}`,
      `life/${arn.replace(REGION, REPLICA_REGION)}`,
      `meter/2026-05/${ACCOUNT}/Encrypt/-`,
      ...["CreateKey", "CreateAlias", "ReplicateKey", "GenerateDataKey"].map(
        (name) => `meter/2026-05/${ACCOUNT}/${name}/${arn}`,
      ),
      `meter/2026-05/${ACCOUNT}/ScheduleKeyDeletion/${arn.replace(REGION, REPLICA_REGION)}`,
    ].sort(),
  )
  expect(records.get(`material/${materialId}`)).toEqual({ accountId: ACCOUNT, keyId })
  expect(records.get(`alias/${ACCOUNT}/${REGION}/alias/orders`)).toEqual({
    targetKeyId: keyId,
    createdAt: NOW,
    updatedAt: NOW,
  })
  expect(records.get("head/events")).toEqual({
    next: 7,
    mac: expect.stringMatching(/^[\w-]{43}$/),
    seal: expect.stringMatching(/^[\w-]{43}$/),
    first: 1,
  })
  expect(records.get("meta/store")).toEqual({
    format: "kms-envelope local-kms",
    version: 1,
    storeId: expect.any(String),
    check: expect.any(String),
  })
})

test("KMS-3.5: each Region's copy of a key has a record of its own", async () => {
  const { records, keyId } = await recordsOfASession()
  expect(records.get(`key/${ACCOUNT}/${REGION}/${keyId}`)).toEqual({
    createdAt: NOW,
    description: "orders",
    state: "Enabled",
    tags: [{ TagKey: "team", TagValue: "a" }],
  })
  expect(records.get(`key/${ACCOUNT}/${REPLICA_REGION}/${keyId}`)).toEqual({
    createdAt: NOW,
    description: "",
    state: "PendingDeletion",
    tags: [],
    deletionAt: NOW + 7 * DAY_MS,
  })
})

test("KMS-3.6: what all copies share is stored once", async () => {
  const { records, keyId, materialId } = await recordsOfASession()
  expect(records.get(`shared/${ACCOUNT}/${keyId}`)).toEqual({
    keySpec: "SYMMETRIC_DEFAULT",
    keyUsage: "ENCRYPT_DECRYPT",
    origin: "AWS_KMS",
    regions: [REGION, REPLICA_REGION],
    materials: [{ id: materialId, sealed: expect.stringMatching(/^[\w-]{80}$/), createdAt: NOW, state: "CURRENT" }],
  })
})
