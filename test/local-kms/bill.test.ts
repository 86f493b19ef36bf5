import { expect, test } from "vitest"
import { ACCOUNT, createKey, DAY_MS, memoryKms, OTHER_ACCOUNT_ROLE, sendTo } from "./helpers.ts"

const MAY = "2026-05"
const START = Date.UTC(2026, 4, 1)
const MIDDLE = Date.UTC(2026, 4, 16, 12)
const END = Date.UTC(2026, 5, 1)

function kmsAt(start: number) {
  let now = start
  const setTime = (time: number): void => {
    now = time
  }
  return { ...memoryKms({ clock: () => now }), setTime }
}

test("KMS-3.10: a key is charged from its creation on, by the hour", async () => {
  const { kms, send, setTime } = kmsAt(START)
  await createKey(send)
  setTime(MIDDLE)
  await createKey(send)
  expect((await kms.bill()).usd).toBe("0.50")
  setTime(END)
  expect(await kms.bill({ month: MAY })).toMatchObject({
    usd: "1.50",
    lines: [
      { item: "keys", quantity: 744 + 372 },
      { item: "standard", quantity: 2, free: 2 },
    ],
  })
  expect((await kms.bill()).lines).toEqual([])
  setTime(END + 1)
  expect(await kms.bill()).toMatchObject({ month: "2026-06", lines: [{ item: "keys", quantity: 2 }] })
})

test("a key whose deletion is scheduled costs nothing from then on, and is charged after all when that is cancelled", async () => {
  const { kms, send, setTime } = kmsAt(START)
  const { keyId } = await createKey(send)
  const gone = await createKey(send)
  setTime(MIDDLE)
  for (const KeyId of [keyId, gone.keyId]) await send("ScheduleKeyDeletion", { KeyId, PendingWindowInDays: 7 })
  setTime(MIDDLE + DAY_MS)
  await send("CancelKeyDeletion", { KeyId: keyId })
  setTime(END)
  // Deletes the other one.
  await send("ListKeys")
  await expect(send("DescribeKey", { KeyId: gone.keyId })).rejects.toThrow()
  expect((await kms.bill({ month: MAY })).lines[0]).toMatchObject({ quantity: 744 + 372, microUsd: 1_500_000 })
})

test("rotations are charged, the first two, also in the Regions of replicas", async () => {
  const { kms, send, setTime } = kmsAt(START - 10 * DAY_MS)
  const { keyId } = await createKey(send, { MultiRegion: true })
  await send("ReplicateKey", { KeyId: keyId, ReplicaRegion: "eu-west-1" })
  await send("RotateKeyOnDemand", { KeyId: keyId })
  setTime(MIDDLE)
  await send("RotateKeyOnDemand", { KeyId: keyId })
  await send("RotateKeyOnDemand", { KeyId: keyId })
  setTime(END)
  expect(await kms.bill({ month: MAY })).toMatchObject({
    usd: "5.00",
    lines: [
      { item: "keys", quantity: 2 * 744 },
      { item: "rotations", quantity: 2 * (744 + 372) },
      { item: "standard", quantity: 2 },
    ],
  })
})

test("an automatic rotation is charged", async () => {
  const { kms, send, setTime } = kmsAt(START)
  const { keyId } = await createKey(send)
  await send("EnableKeyRotation", { KeyId: keyId, RotationPeriodInDays: 90 })
  setTime(Date.UTC(2026, 7, 1))
  await send("GenerateDataKey", { KeyId: keyId, KeySpec: "AES_256" })
  setTime(Date.UTC(2026, 8, 1))
  expect(await kms.bill({ month: "2026-08" })).toMatchObject({ usd: "2.00" })
})

test("who calls pays for the request, who owns the key for the key", async () => {
  const { kms, send, setTime } = kmsAt(START)
  const { arn } = await createKey(send)
  const stranger = sendTo(kms.directClient({ principal: OTHER_ACCOUNT_ROLE }))
  for (let i = 0; i < 3; i++) await expect(stranger("DescribeKey", { KeyId: arn })).rejects.toThrow()
  setTime(END)
  expect((await kms.bill({ month: MAY })).lines).toMatchObject([{ item: "keys" }, { item: "standard", quantity: 1 }])
  expect((await kms.bill({ month: MAY, accountId: "444455556666" })).lines).toMatchObject([
    { item: "standard", quantity: 3 },
  ])
})

test("requests past the free ones are charged", async () => {
  const { kms, send } = kmsAt(START)
  for (let i = 0; i < 20_101; i++) await send("GenerateRandom", { NumberOfBytes: 1 })
  expect((await kms.bill()).lines).toEqual([
    { item: "standard", text: "requests", quantity: 20_101, free: 20_000, microUsd: 303 },
  ])
})

test("AWS managed keys cost nothing, requests with them do", async () => {
  const { kms, setTime } = kmsAt(START)
  const s3 = sendTo(kms.service("s3").directClient({ onBehalfOf: `arn:aws:iam::${ACCOUNT}:user/Alice` }))
  await s3("GenerateDataKey", { KeyId: "alias/aws/s3", KeySpec: "AES_256" })
  setTime(END)
  expect((await kms.bill({ month: MAY })).lines).toMatchObject([{ item: "standard", quantity: 1 }])
})

test("a month before the oldest known prices is refused", async () => {
  const { kms } = kmsAt(START)
  await expect(kms.bill({ month: "2024-03" })).rejects.toThrow("no prices are known before 2024-04")
  await expect(kms.bill({ month: "May" })).rejects.toThrow(RangeError)
})
