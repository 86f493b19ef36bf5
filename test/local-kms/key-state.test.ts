import { expect, test } from "vitest"
import { bytes, createKey, DAY_MS, memoryKms, REGION, type Send } from "./helpers.ts"

const states = ["Enabled", "Disabled", "PendingImport", "PendingDeletion"] as const
type State = (typeof states)[number]

/** What the developer guide's key state table says; a to e are its footnotes. */
const outcomes = {
  ok: undefined,
  a: (arn: string) => ({ name: "DisabledException", message: `${arn} is disabled.` }),
  b: (arn: string) => ({ name: "KMSInvalidStateException", message: `${arn} is pending deletion.` }),
  c: (arn: string) => ({ name: "KMSInvalidStateException", message: `${arn} is pending import.` }),
  d: (arn: string) => ({ name: "KMSInvalidStateException", message: `${arn} is not pending deletion.` }),
  e: (arn: string) => ({
    name: "UnsupportedOperationException",
    message: `${arn} origin is EXTERNAL which is not valid for this operation.`,
  }),
}
type Outcome = keyof typeof outcomes

type Calls = Record<string, (send: Send, keyId: string) => Promise<unknown>>

const calls: Calls = {
  Encrypt: (send, KeyId) => send("Encrypt", { KeyId, Plaintext: bytes(1) }),
  Decrypt: (send, KeyId) => send("Decrypt", { KeyId, DryRun: true, DryRunModifiers: ["IGNORE_CIPHERTEXT"] }).catch(ok),
  "ReEncrypt to": async (send, DestinationKeyId) => {
    const source = await createKey(send)
    const { CiphertextBlob } = await send("Encrypt", { KeyId: source.keyId, Plaintext: bytes(1) })
    return send("ReEncrypt", { CiphertextBlob, DestinationKeyId })
  },
  GenerateDataKey: (send, KeyId) => send("GenerateDataKey", { KeyId, KeySpec: "AES_256" }),
  GenerateDataKeyWithoutPlaintext: (send, KeyId) =>
    send("GenerateDataKeyWithoutPlaintext", { KeyId, KeySpec: "AES_256" }),
  DescribeKey: (send, KeyId) => send("DescribeKey", { KeyId }),
  ListAliases: (send, KeyId) => send("ListAliases", { KeyId }),
  CreateAlias: (send, TargetKeyId) => send("CreateAlias", { AliasName: "alias/new", TargetKeyId }),
  "UpdateAlias to": (send, TargetKeyId) => send("UpdateAlias", { AliasName: "alias/elsewhere", TargetKeyId }),
  "UpdateAlias from": async (send) =>
    send("UpdateAlias", { AliasName: "alias/here", TargetKeyId: (await createKey(send)).keyId }),
  DeleteAlias: (send) => send("DeleteAlias", { AliasName: "alias/here" }),
  ScheduleKeyDeletion: (send, KeyId) => send("ScheduleKeyDeletion", { KeyId }),
  EnableKey: (send, KeyId) => send("EnableKey", { KeyId }),
  DisableKey: (send, KeyId) => send("DisableKey", { KeyId }),
  CancelKeyDeletion: (send, KeyId) => send("CancelKeyDeletion", { KeyId }),
  TagResource: (send, KeyId) => send("TagResource", { KeyId, Tags: [{ TagKey: "a", TagValue: "b" }] }),
  UntagResource: (send, KeyId) => send("UntagResource", { KeyId, TagKeys: ["a"] }),
  ListResourceTags: (send, KeyId) => send("ListResourceTags", { KeyId }),
  UpdateKeyDescription: (send, KeyId) => send("UpdateKeyDescription", { KeyId, Description: "new" }),
  GetKeyLastUsage: (send, KeyId) => send("GetKeyLastUsage", { KeyId }),
  EnableKeyRotation: (send, KeyId) => send("EnableKeyRotation", { KeyId }),
  DisableKeyRotation: (send, KeyId) => send("DisableKeyRotation", { KeyId }),
  GetKeyRotationStatus: (send, KeyId) => send("GetKeyRotationStatus", { KeyId }),
  RotateKeyOnDemand: (send, KeyId) => send("RotateKeyOnDemand", { KeyId }),
  ListKeyRotations: (send, KeyId) => send("ListKeyRotations", { KeyId }),
}

const table: Record<keyof typeof calls, readonly [Outcome, Outcome, Outcome, Outcome]> = {
  Encrypt: ["ok", "a", "c", "b"],
  Decrypt: ["ok", "a", "c", "b"],
  "ReEncrypt to": ["ok", "a", "c", "b"],
  GenerateDataKey: ["ok", "a", "c", "b"],
  GenerateDataKeyWithoutPlaintext: ["ok", "a", "c", "b"],
  DescribeKey: ["ok", "ok", "ok", "ok"],
  ListAliases: ["ok", "ok", "ok", "ok"],
  CreateAlias: ["ok", "ok", "ok", "b"],
  "UpdateAlias to": ["ok", "ok", "ok", "b"],
  "UpdateAlias from": ["ok", "ok", "ok", "ok"],
  DeleteAlias: ["ok", "ok", "ok", "ok"],
  ScheduleKeyDeletion: ["ok", "ok", "ok", "b"],
  EnableKey: ["ok", "ok", "c", "b"],
  DisableKey: ["ok", "ok", "c", "b"],
  CancelKeyDeletion: ["d", "d", "d", "ok"],
  TagResource: ["ok", "ok", "ok", "b"],
  UntagResource: ["ok", "ok", "ok", "b"],
  ListResourceTags: ["ok", "ok", "ok", "ok"],
  UpdateKeyDescription: ["ok", "ok", "ok", "b"],
  GetKeyLastUsage: ["ok", "ok", "ok", "ok"],
  EnableKeyRotation: ["ok", "a", "e", "b"],
  DisableKeyRotation: ["ok", "a", "e", "b"],
  GetKeyRotationStatus: ["ok", "ok", "e", "ok"],
  RotateKeyOnDemand: ["ok", "a", "c", "b"],
  ListKeyRotations: ["ok", "ok", "ok", "ok"],
}

function ok(error: Error): void {
  if (error.name !== "DryRunOperationException") throw error
}

async function keyIn(send: Send, state: State): Promise<{ keyId: string; arn: string }> {
  const key = await createKey(send, state === "PendingImport" ? { Origin: "EXTERNAL" } : {})
  await send("CreateAlias", { AliasName: "alias/here", TargetKeyId: key.keyId })
  const other = await createKey(send)
  await send("CreateAlias", { AliasName: "alias/elsewhere", TargetKeyId: other.keyId })
  if (state === "Disabled") await send("DisableKey", { KeyId: key.keyId })
  if (state === "PendingDeletion") await send("ScheduleKeyDeletion", { KeyId: key.keyId })
  expect((await send("DescribeKey", { KeyId: key.keyId })).KeyMetadata.KeyState).toBe(state)
  return key
}

const cells = Object.entries(table).flatMap(([call, row]) =>
  states.map((state, column) => [call, state, row[column]!] as const),
)

test.each(cells)("%s on a key that is %s: %s", async (call, state, expected) => {
  const { send } = memoryKms()
  const { keyId, arn } = await keyIn(send, state)
  const outcome = outcomes[expected]
  if (outcome === undefined) await calls[call]!(send, keyId)
  else await expect(calls[call]!(send, keyId)).rejects.toMatchObject(outcome(arn))
})

test("a ciphertext of a key that is pending deletion is refused", async () => {
  const { send } = memoryKms()
  const { keyId, arn } = await createKey(send)
  const { CiphertextBlob } = await send("Encrypt", { KeyId: keyId, Plaintext: bytes(1) })
  await send("ScheduleKeyDeletion", { KeyId: keyId, PendingWindowInDays: 7 })
  await expect(send("Decrypt", { CiphertextBlob })).rejects.toMatchObject({ message: `${arn} is pending deletion.` })
})

test("a key imported from outside begins without material", async () => {
  const { send } = memoryKms()
  const { KeyMetadata } = await send("CreateKey", { Origin: "EXTERNAL" })
  expect(KeyMetadata).toMatchObject({ Enabled: false, KeyState: "PendingImport", Origin: "EXTERNAL" })
  expect(KeyMetadata).not.toHaveProperty("CurrentKeyMaterialId")
})

test("a waiting period is 30 days, or 7 to 30 as asked", async () => {
  const now = Date.UTC(2026, 4, 1)
  const { send } = memoryKms({ clock: () => now })
  const { keyId, arn } = await createKey(send)
  expect(await send("ScheduleKeyDeletion", { KeyId: keyId })).toMatchObject({
    KeyId: arn,
    KeyState: "PendingDeletion",
    PendingWindowInDays: 30,
    DeletionDate: new Date(now + 30 * DAY_MS),
  })
  const { KeyMetadata } = await send("DescribeKey", { KeyId: keyId })
  expect(KeyMetadata).toMatchObject({ Enabled: false, DeletionDate: new Date(now + 30 * DAY_MS) })
  for (const PendingWindowInDays of [6, 31]) {
    const other = await createKey(send)
    await expect(send("ScheduleKeyDeletion", { KeyId: other.keyId, PendingWindowInDays })).rejects.toMatchObject({
      name: "ValidationException",
    })
  }
})

test("a cancelled deletion leaves the key disabled, and its deletion never comes", async () => {
  let now = Date.UTC(2026, 4, 1)
  const { send } = memoryKms({ clock: () => now })
  const { keyId, arn } = await createKey(send)
  const { CiphertextBlob } = await send("Encrypt", { KeyId: keyId, Plaintext: bytes(9) })
  await send("ScheduleKeyDeletion", { KeyId: keyId, PendingWindowInDays: 7 })
  expect(await send("CancelKeyDeletion", { KeyId: keyId })).toMatchObject({ KeyId: arn })
  now += 8 * DAY_MS
  const { KeyMetadata } = await send("DescribeKey", { KeyId: keyId })
  expect(KeyMetadata.KeyState).toBe("Disabled")
  expect(KeyMetadata).not.toHaveProperty("DeletionDate")
  await send("EnableKey", { KeyId: keyId })
  expect((await send("Decrypt", { CiphertextBlob })).Plaintext).toEqual(bytes(9))
})

test("KMS-2.3: at the end of the waiting period key, material and aliases are gone", async () => {
  let now = Date.UTC(2026, 4, 1)
  const { kms, send } = memoryKms({ clock: () => now })
  const { keyId, arn } = await createKey(send)
  await send("CreateAlias", { AliasName: "alias/gone", TargetKeyId: keyId })
  const { CiphertextBlob } = await send("Encrypt", { KeyId: keyId, Plaintext: bytes(9) })
  await send("ScheduleKeyDeletion", { KeyId: keyId, PendingWindowInDays: 7 })
  now += 7 * DAY_MS - 1
  expect((await send("ListKeys")).Keys).toHaveLength(1)
  now += 1
  expect((await send("ListKeys")).Keys).toEqual([])
  expect((await send("ListAliases")).Aliases).not.toContainEqual(expect.objectContaining({ AliasName: "alias/gone" }))
  await expect(send("DescribeKey", { KeyId: keyId })).rejects.toMatchObject({ message: `Key '${arn}' does not exist` })
  await expect(send("Decrypt", { CiphertextBlob })).rejects.toMatchObject({ name: "AccessDeniedException" })
  expect(await kms.events({ eventName: "DeleteKey" })).toMatchObject([
    {
      eventType: "AwsServiceEvent",
      awsRegion: REGION,
      serviceEventDetails: { keyId: arn },
      userIdentity: { invokedBy: "AWS Internal" },
    },
  ])
})
