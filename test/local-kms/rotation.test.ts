import { describe, expect, test } from "vitest"
import { doors, senderOf } from "./doors.ts"
import { ACCOUNT, bytes, createKey, DAY_MS, memoryKms, REGION, type Send, sendTo } from "./helpers.ts"

const START = Date.UTC(2026, 0, 1)

function movableClock() {
  let now = START
  return { clock: () => now, passDays: (days: number) => (now += days * DAY_MS), now: () => now }
}

/** A KMS whose clock the test moves. */
function setUp() {
  const time = movableClock()
  return { ...time, ...memoryKms({ clock: time.clock }) }
}

const currentId = async (send: Send, KeyId: string): Promise<string> =>
  (await send("DescribeKey", { KeyId })).KeyMetadata.CurrentKeyMaterialId
const rotationsOf = async (send: Send, KeyId: string, input: object = {}) =>
  (await send("ListKeyRotations", { KeyId, ...input })).Rotations

describe.each(Object.entries(doors))("through %s", (_name, { open }) => {
  test("KMS-2.2: after 3 automatic and 2 on-demand rotations every old ciphertext decrypts, and the trail names each material", async () => {
    const time = movableClock()
    const { kms, client } = await open({ clock: time.clock })
    const send = senderOf(client)
    const { keyId, arn } = await createKey(send)
    await send("EnableKeyRotation", { KeyId: keyId, RotationPeriodInDays: 90 })
    const sealed: { blob: Uint8Array; id: string; value: number }[] = []
    const encrypt = async (value: number): Promise<void> => {
      const { CiphertextBlob } = await send("Encrypt", { KeyId: keyId, Plaintext: bytes(32, value) })
      const { KeyMaterialId } = await send("Decrypt", { CiphertextBlob })
      expect(KeyMaterialId).toBe(await currentId(send, keyId))
      sealed.push({ blob: CiphertextBlob, id: KeyMaterialId, value })
    }
    await encrypt(0)
    for (const step of [1, 2, 3]) {
      time.passDays(90)
      await encrypt(step)
    }
    for (const step of [4, 5]) {
      time.passDays(1)
      expect(await send("RotateKeyOnDemand", { KeyId: keyId })).toMatchObject({ KeyId: arn })
      await encrypt(step)
    }
    expect(new Set(sealed.map(({ id }) => id)).size).toBe(6)
    for (const { blob, id, value } of sealed) {
      const opened = await send("Decrypt", { CiphertextBlob: blob })
      expect(opened.Plaintext).toEqual(bytes(32, value))
      expect(opened.KeyMaterialId).toBe(id)
    }
    const dataKey = await send("GenerateDataKey", { KeyId: keyId, KeySpec: "AES_256" })
    expect(dataKey.KeyMaterialId).toBe(sealed.at(-1)!.id)
    const rotations = await kms.events({ eventName: "RotateKey" })
    expect(rotations.map(({ serviceEventDetails }) => serviceEventDetails)).toEqual(
      ["AUTOMATIC", "AUTOMATIC", "AUTOMATIC", "ON_DEMAND", "ON_DEMAND"].map((rotationType, i) => ({
        rotationType,
        keyId: arn,
        previousKeyMaterialId: sealed[i]!.id,
        currentKeyMaterialId: sealed[i + 1]!.id,
      })),
    )
    const decrypts = await kms.events({ eventName: "Decrypt", last: 6 })
    expect(decrypts.map(({ additionalEventData }) => additionalEventData)).toEqual(
      sealed.map(({ id }) => ({ keyMaterialId: id })),
    )
  })
})

test("automatic rotation is off until it is enabled, then 365 days long, counted from enabling", async () => {
  const { send, now, passDays } = setUp()
  const { keyId, arn } = await createKey(send)
  const status = async () => {
    const { $metadata: _, ...rest } = await send("GetKeyRotationStatus", { KeyId: keyId })
    return rest
  }
  expect(await status()).toEqual({ KeyId: arn, KeyRotationEnabled: false })
  passDays(100)
  await send("EnableKeyRotation", { KeyId: keyId })
  const enabledAt = now()
  expect(await status()).toEqual({
    KeyId: arn,
    KeyRotationEnabled: true,
    RotationPeriodInDays: 365,
    NextRotationDate: new Date(enabledAt + 365 * DAY_MS),
  })
  passDays(10)
  await send("EnableKeyRotation", { KeyId: keyId, RotationPeriodInDays: 2560 })
  expect(await status()).toMatchObject({
    RotationPeriodInDays: 2560,
    NextRotationDate: new Date(enabledAt + 2570 * DAY_MS),
  })
  await send("DisableKeyRotation", { KeyId: keyId })
  expect(await status()).toEqual({ KeyId: arn, KeyRotationEnabled: false })
})

test.each([89, 2561])("a rotation period of %d days is refused", async (RotationPeriodInDays) => {
  const { send } = setUp()
  const { keyId } = await createKey(send)
  await expect(send("EnableKeyRotation", { KeyId: keyId, RotationPeriodInDays })).rejects.toMatchObject({
    name: "ValidationException",
    message: expect.stringContaining("at 'rotationPeriodInDays' failed to satisfy constraint"),
  })
})

test("the material changes on the day and not before", async () => {
  const { send, passDays, now } = setUp()
  const { keyId } = await createKey(send)
  const first = await currentId(send, keyId)
  await send("EnableKeyRotation", { KeyId: keyId, RotationPeriodInDays: 90 })
  passDays(90 - 1 / 86_400_000)
  expect(await currentId(send, keyId)).toBe(first)
  expect(await rotationsOf(send, keyId)).toEqual([])
  passDays(1)
  const second = await currentId(send, keyId)
  expect(second).not.toBe(first)
  expect(await rotationsOf(send, keyId)).toEqual([
    {
      KeyId: expect.stringContaining(keyId),
      KeyMaterialId: second,
      KeyMaterialState: "CURRENT",
      RotationDate: new Date(START + 90 * DAY_MS),
      RotationType: "AUTOMATIC",
    },
  ])
  expect((await send("GetKeyRotationStatus", { KeyId: keyId })).NextRotationDate).toEqual(
    new Date(START + 180 * DAY_MS),
  )
  expect(now()).toBeGreaterThan(START + 90 * DAY_MS)
})

test("rotations that nobody saw are all carried out, on their dates", async () => {
  const { kms, send, passDays } = setUp()
  const { keyId, arn } = await createKey(send)
  await send("EnableKeyRotation", { KeyId: keyId, RotationPeriodInDays: 100 })
  passDays(350)
  const rotations = await rotationsOf(send, keyId)
  expect(rotations.map(({ RotationDate }: { RotationDate: Date }) => RotationDate.getTime())).toEqual(
    [100, 200, 300].map((days) => START + days * DAY_MS),
  )
  const events = await kms.events({ eventName: "RotateKey" })
  expect(events).toHaveLength(3)
  expect(events[0]).toMatchObject({
    eventType: "AwsServiceEvent",
    userIdentity: { accountId: ACCOUNT, invokedBy: "AWS Internal" },
    requestParameters: null,
    readOnly: false,
    resources: [{ accountId: ACCOUNT, type: "AWS::KMS::Key", ARN: arn }],
  })
})

test("a rotation that is due is not lost to a request that fails", async () => {
  const { kms, send, passDays } = setUp()
  const { keyId } = await createKey(send)
  await send("EnableKeyRotation", { KeyId: keyId, RotationPeriodInDays: 90 })
  passDays(91)
  await expect(send("Encrypt", { KeyId: keyId, Plaintext: bytes(1), DryRun: true })).rejects.toThrow()
  expect(await kms.events({ eventName: "RotateKey" })).toEqual([])
  await send("Encrypt", { KeyId: keyId, Plaintext: bytes(1) })
  expect(await kms.events({ eventName: "RotateKey" })).toHaveLength(1)
})

test("a disabled key does not rotate, and makes up for it once when it is enabled", async () => {
  const { send, passDays, now } = setUp()
  const { keyId } = await createKey(send)
  await send("EnableKeyRotation", { KeyId: keyId, RotationPeriodInDays: 90 })
  await send("DisableKey", { KeyId: keyId })
  passDays(200)
  expect(await rotationsOf(send, keyId)).toEqual([])
  expect(await send("GetKeyRotationStatus", { KeyId: keyId })).toMatchObject({ KeyRotationEnabled: true })
  await send("EnableKey", { KeyId: keyId })
  expect(await rotationsOf(send, keyId)).toMatchObject([{ RotationDate: new Date(now()), RotationType: "AUTOMATIC" }])
  expect((await send("GetKeyRotationStatus", { KeyId: keyId })).NextRotationDate).toEqual(new Date(now() + 90 * DAY_MS))
})

test("a disabled key that missed nothing keeps its schedule", async () => {
  const { send, passDays } = setUp()
  const { keyId } = await createKey(send)
  await send("EnableKeyRotation", { KeyId: keyId, RotationPeriodInDays: 90 })
  await send("DisableKey", { KeyId: keyId })
  passDays(80)
  await send("EnableKey", { KeyId: keyId })
  expect(await rotationsOf(send, keyId)).toEqual([])
  passDays(10)
  expect(await rotationsOf(send, keyId)).toHaveLength(1)
})

test("while a key waits for its deletion its rotation is off, and on again when that is cancelled", async () => {
  const { send, passDays } = setUp()
  const { keyId } = await createKey(send)
  await send("EnableKeyRotation", { KeyId: keyId, RotationPeriodInDays: 90 })
  passDays(89)
  await send("ScheduleKeyDeletion", { KeyId: keyId, PendingWindowInDays: 7 })
  expect(await send("GetKeyRotationStatus", { KeyId: keyId })).toMatchObject({ KeyRotationEnabled: false })
  passDays(2)
  await send("CancelKeyDeletion", { KeyId: keyId })
  expect(await rotationsOf(send, keyId)).toEqual([])
  expect(await send("GetKeyRotationStatus", { KeyId: keyId })).toMatchObject({ KeyRotationEnabled: true })
  await send("EnableKey", { KeyId: keyId })
  expect(await rotationsOf(send, keyId)).toHaveLength(1)
})

test("on demand a key rotates 25 times, which leaves its schedule as it was", async () => {
  const { send } = setUp()
  const { keyId, arn } = await createKey(send)
  await send("EnableKeyRotation", { KeyId: keyId })
  const { NextRotationDate } = await send("GetKeyRotationStatus", { KeyId: keyId })
  for (let i = 0; i < 25; i++) await send("RotateKeyOnDemand", { KeyId: keyId })
  await expect(send("RotateKeyOnDemand", { KeyId: keyId })).rejects.toMatchObject({
    name: "LimitExceededException",
    message:
      "The on-demand rotations limit has been reached for the given keyId. No more on-demand rotations can be " +
      `performed for this key: ${arn}`,
  })
  expect(await send("GetKeyRotationStatus", { KeyId: keyId })).toMatchObject({ NextRotationDate })
  expect(await rotationsOf(send, keyId)).toHaveLength(25)
})

test("within 20 minutes of an automatic rotation none begins on demand", async () => {
  const { send, passDays } = setUp()
  const { keyId } = await createKey(send)
  await send("EnableKeyRotation", { KeyId: keyId, RotationPeriodInDays: 90 })
  passDays(90 - 19 / 1440)
  await expect(send("RotateKeyOnDemand", { KeyId: keyId })).rejects.toMatchObject({ name: "ConflictException" })
})

test("the list of rotations comes in pages, and with all material on request", async () => {
  const { send } = setUp()
  const { keyId } = await createKey(send)
  const first = await currentId(send, keyId)
  for (let i = 0; i < 5; i++) await send("RotateKeyOnDemand", { KeyId: keyId })
  const ids: string[] = []
  let Marker: string | undefined
  do {
    const page = await send("ListKeyRotations", {
      KeyId: keyId,
      Limit: 2,
      Marker,
      IncludeKeyMaterial: "ALL_KEY_MATERIAL",
    })
    expect(page.Truncated).toBe(page.NextMarker !== undefined)
    ids.push(...page.Rotations.map(({ KeyMaterialId }: { KeyMaterialId: string }) => KeyMaterialId))
    Marker = page.NextMarker
  } while (Marker !== undefined)
  expect(ids).toHaveLength(6)
  expect(ids[0]).toBe(first)
  expect(ids.at(-1)).toBe(await currentId(send, keyId))
  const [oldest] = await rotationsOf(send, keyId, { IncludeKeyMaterial: "ALL_KEY_MATERIAL" })
  expect(oldest).toEqual({
    KeyId: expect.stringContaining(keyId),
    KeyMaterialId: first,
    KeyMaterialState: "NON_CURRENT",
  })
  await expect(send("ListKeyRotations", { KeyId: keyId, Marker: "nonsense" })).rejects.toMatchObject({
    name: "InvalidMarkerException",
  })
})

describe("what cannot rotate automatically says why", () => {
  const refused = {
    imported: [{ Origin: "EXTERNAL" }, "origin is EXTERNAL which is not valid for this operation."],
    HMAC: [{ KeySpec: "HMAC_256", KeyUsage: "GENERATE_VERIFY_MAC" }, "key spec is HMAC_256, which has no rotation."],
  } as const
  test.each(Object.entries(refused))("%s", async (_kind, [input, why]) => {
    const { send } = setUp()
    const { keyId, arn } = await createKey(send, input)
    for (const operation of ["EnableKeyRotation", "DisableKeyRotation"])
      await expect(send(operation, { KeyId: keyId })).rejects.toMatchObject({
        name: "UnsupportedOperationException",
        message: `${arn} ${why}`,
      })
  })

  test("AWS managed: it is rotated already", async () => {
    const { kms, send } = setUp()
    const s3 = sendTo(kms.service("s3").directClient({ onBehalfOf: `arn:aws:iam::${ACCOUNT}:role/App` }))
    const { KeyId } = await s3("GenerateDataKey", { KeyId: "alias/aws/s3", KeySpec: "AES_256" })
    for (const operation of ["EnableKeyRotation", "DisableKeyRotation", "RotateKeyOnDemand"])
      await expect(send(operation, { KeyId })).rejects.toMatchObject({
        name: "UnsupportedOperationException",
        message: `${KeyId} is an AWS managed key: it is rotated every year, and that cannot be changed.`,
      })
  })

  test("disabled, or pending deletion", async () => {
    const { send } = setUp()
    const { keyId, arn } = await createKey(send)
    await send("DisableKey", { KeyId: keyId })
    await expect(send("EnableKeyRotation", { KeyId: keyId })).rejects.toMatchObject({ message: `${arn} is disabled.` })
    await send("ScheduleKeyDeletion", { KeyId: keyId })
    await expect(send("EnableKeyRotation", { KeyId: keyId })).rejects.toMatchObject({
      message: `${arn} is pending deletion.`,
    })
  })

  test("an HMAC key on demand: AWS sends no text", async () => {
    const { send } = setUp()
    const { keyId } = await createKey(send, { KeySpec: "HMAC_256", KeyUsage: "GENERATE_VERIFY_MAC" })
    await expect(send("RotateKeyOnDemand", { KeyId: keyId })).rejects.toMatchObject({
      name: "UnsupportedOperationException",
      message: "UnknownError",
    })
    expect(await send("GetKeyRotationStatus", { KeyId: keyId })).toMatchObject({ KeyRotationEnabled: false })
  })
})

describe("multi-Region keys", () => {
  function twoRegions() {
    const world = setUp()
    return { ...world, abroad: sendTo(world.kms.directClient({ region: "eu-west-1" })) }
  }

  test("rotate with their primary, and every Region has the new material", async () => {
    const { kms, send, abroad, passDays } = twoRegions()
    const { keyId, arn } = await createKey(send, { MultiRegion: true })
    await send("ReplicateKey", { KeyId: keyId, ReplicaRegion: "eu-west-1" })
    await send("EnableKeyRotation", { KeyId: keyId, RotationPeriodInDays: 90 })
    expect(await abroad("GetKeyRotationStatus", { KeyId: keyId })).toMatchObject({ RotationPeriodInDays: 90 })
    const old = await abroad("Encrypt", { KeyId: keyId, Plaintext: bytes(5) })
    passDays(90)
    const fresh = await abroad("Encrypt", { KeyId: keyId, Plaintext: bytes(6) })
    expect(await currentId(send, keyId)).toBe(await currentId(abroad, keyId))
    expect((await send("Decrypt", { CiphertextBlob: old.CiphertextBlob })).Plaintext).toEqual(bytes(5))
    expect((await send("Decrypt", { CiphertextBlob: fresh.CiphertextBlob })).Plaintext).toEqual(bytes(6))
    const replicaArn = arn.replace(REGION, "eu-west-1")
    expect(await kms.events({ eventName: "RotateKey" })).toMatchObject([
      { awsRegion: REGION, resources: [{ ARN: arn }] },
    ])
    expect(await kms.events({ eventName: "SynchronizeMultiRegionKey" })).toMatchObject([
      { awsRegion: "eu-west-1", resources: [{ ARN: replicaArn }] },
    ])
  })

  test("are rotated through the primary only", async () => {
    const { send, abroad } = twoRegions()
    const { keyId } = await createKey(send, { MultiRegion: true })
    await send("ReplicateKey", { KeyId: keyId, ReplicaRegion: "eu-west-1" })
    for (const operation of ["EnableKeyRotation", "DisableKeyRotation", "RotateKeyOnDemand"])
      await expect(abroad(operation, { KeyId: keyId })).rejects.toMatchObject({
        name: "UnsupportedOperationException",
        message: expect.stringContaining("is not a multi-region primary key"),
      })
  })

  test("do not rotate while the primary is disabled, whatever the replica's state", async () => {
    const { send, abroad, passDays } = twoRegions()
    const { keyId } = await createKey(send, { MultiRegion: true })
    await send("ReplicateKey", { KeyId: keyId, ReplicaRegion: "eu-west-1" })
    await send("EnableKeyRotation", { KeyId: keyId, RotationPeriodInDays: 90 })
    await send("DisableKey", { KeyId: keyId })
    passDays(100)
    await abroad("DisableKey", { KeyId: keyId })
    await abroad("EnableKey", { KeyId: keyId })
    await abroad("Encrypt", { KeyId: keyId, Plaintext: bytes(1) })
    expect(await rotationsOf(abroad, keyId)).toEqual([])
    await send("EnableKey", { KeyId: keyId })
    expect(await rotationsOf(abroad, keyId)).toHaveLength(1)
  })
})
