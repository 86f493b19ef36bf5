import { CreateKeyCommand, DecryptCommand, EncryptCommand } from "@aws-sdk/client-kms"
import { describe, expect, test } from "vitest"
import { LocalKms } from "../../src/local-kms/index.ts"
import { ACCOUNT, bytes, createKey, DAY_MS, memoryKms, type Send, sendTo, temporaryFolder } from "./helpers.ts"

/** What users of other emulators complained of, by emulator and number of the issue. */

test("KeyId is ignored when decrypting (moto #9907, floci #1844)", async () => {
  const { send } = memoryKms()
  const right = await createKey(send)
  const wrong = await createKey(send)
  const { CiphertextBlob } = await send("Encrypt", { KeyId: right.keyId, Plaintext: bytes(1) })
  await expect(send("Decrypt", { CiphertextBlob, KeyId: wrong.keyId })).rejects.toMatchObject({
    name: "IncorrectKeyException",
  })
})

test("decrypting with the wrong KeyId fails as if the ciphertext were damaged (local-kms #28)", async () => {
  const { send } = memoryKms()
  const right = await createKey(send)
  const wrong = await createKey(send)
  const { CiphertextBlob } = await send("Encrypt", { KeyId: right.keyId, Plaintext: bytes(1) })
  const { name } = (await send("Decrypt", { CiphertextBlob, KeyId: wrong.arn }).catch((error) => error)) as Error
  expect(name).not.toBe("InvalidCiphertextException")
})

describe("the encryption context is dropped (localstack #8503, floci #817, fakecloud #1909)", () => {
  const makers: Record<string, (send: Send, KeyId: string, context: object) => Promise<Uint8Array>> = {
    Encrypt: async (send, KeyId, EncryptionContext) =>
      (await send("Encrypt", { KeyId, Plaintext: bytes(1), EncryptionContext })).CiphertextBlob,
    GenerateDataKey: async (send, KeyId, EncryptionContext) =>
      (await send("GenerateDataKey", { KeyId, KeySpec: "AES_256", EncryptionContext })).CiphertextBlob,
    GenerateDataKeyWithoutPlaintext: async (send, KeyId, EncryptionContext) =>
      (await send("GenerateDataKeyWithoutPlaintext", { KeyId, KeySpec: "AES_256", EncryptionContext })).CiphertextBlob,
    ReEncrypt: async (send, KeyId, DestinationEncryptionContext) => {
      const { CiphertextBlob } = await send("Encrypt", { KeyId, Plaintext: bytes(1) })
      const moved = await send("ReEncrypt", { CiphertextBlob, DestinationKeyId: KeyId, DestinationEncryptionContext })
      return moved.CiphertextBlob
    },
  }
  test.each(Object.entries(makers))("by %s", async (_operation, make) => {
    const { send } = memoryKms()
    const { keyId } = await createKey(send)
    const CiphertextBlob = await make(send, keyId, { a: "bc" })
    // {"ab": "c"} has the same letters in the same order.
    for (const EncryptionContext of [undefined, {}, { a: "b" }, { ab: "c" }, { a: "bc", d: "e" }])
      await expect(send("Decrypt", { CiphertextBlob, EncryptionContext })).rejects.toMatchObject({
        name: "InvalidCiphertextException",
      })
    await send("Decrypt", { CiphertextBlob, EncryptionContext: { a: "bc" } })
  })
})

test("an alias does not work as KeyId (local-kms #28, localstack #6471)", async () => {
  const { send } = memoryKms()
  const { keyId, arn } = await createKey(send)
  await send("CreateAlias", { AliasName: "alias/app", TargetKeyId: keyId })
  const { CiphertextBlob } = await send("Encrypt", { KeyId: "alias/app", Plaintext: bytes(1) })
  for (const KeyId of ["alias/app", arn.replace(`key/${keyId}`, "alias/app")]) {
    await send("Decrypt", { KeyId, CiphertextBlob })
    await send("GenerateDataKey", { KeyId, KeySpec: "AES_256" })
    expect((await send("DescribeKey", { KeyId })).KeyMetadata.Arn).toBe(arn)
  }
})

test("DisableKey by ARN fails, and a disabled key encrypts (localstack #5410)", async () => {
  const { send } = memoryKms()
  const { arn } = await createKey(send)
  const { CiphertextBlob } = await send("Encrypt", { KeyId: arn, Plaintext: bytes(1) })
  await send("DisableKey", { KeyId: arn })
  const disabled = { name: "DisabledException", message: `${arn} is disabled.` }
  await expect(send("Encrypt", { KeyId: arn, Plaintext: bytes(1) })).rejects.toMatchObject(disabled)
  await expect(send("GenerateDataKey", { KeyId: arn, KeySpec: "AES_256" })).rejects.toMatchObject(disabled)
  await expect(send("Decrypt", { CiphertextBlob })).rejects.toMatchObject(disabled)
})

test("state is lost on restart (localstack #4441, #6753)", async () => {
  const dir = await temporaryFolder()
  const first = await LocalKms.open(dir)
  const { keyId } = await createKey(sendTo(first.directClient()))
  const send = sendTo(first.directClient())
  await send("CreateAlias", { AliasName: "alias/app", TargetKeyId: keyId })
  await send("TagResource", { KeyId: keyId, Tags: [{ TagKey: "a", TagValue: "b" }] })
  await send("EnableKeyRotation", { KeyId: keyId })
  await send("RotateKeyOnDemand", { KeyId: keyId })
  const { CiphertextBlob } = await send("Encrypt", { KeyId: keyId, Plaintext: bytes(1) })
  await first.close()
  const second = await LocalKms.open(dir)
  const again = sendTo(second.directClient())
  expect((await again("Decrypt", { CiphertextBlob, KeyId: "alias/app" })).Plaintext).toEqual(bytes(1))
  expect((await again("ListResourceTags", { KeyId: keyId })).Tags).toHaveLength(1)
  expect((await again("ListKeyRotations", { KeyId: keyId })).Rotations).toHaveLength(1)
  expect((await again("GetKeyRotationStatus", { KeyId: keyId })).KeyRotationEnabled).toBe(true)
  await second.close()
})

test("rotation changes nothing, or loses what was encrypted before (localstack #10723, #12801)", async () => {
  const { send } = memoryKms()
  const { keyId } = await createKey(send)
  const before = await send("GenerateDataKey", { KeyId: keyId, KeySpec: "AES_256" })
  await send("RotateKeyOnDemand", { KeyId: keyId })
  const after = await send("GenerateDataKey", { KeyId: keyId, KeySpec: "AES_256" })
  expect(after.KeyMaterialId).not.toBe(before.KeyMaterialId)
  for (const { CiphertextBlob, Plaintext } of [before, after])
    expect((await send("Decrypt", { CiphertextBlob })).Plaintext).toEqual(Plaintext)
})

test("RotationPeriodInDays is missing, so that Terraform sees a drift (localstack #12080)", async () => {
  const { send } = memoryKms()
  const { keyId } = await createKey(send)
  await send("EnableKeyRotation", { KeyId: keyId })
  expect(await send("GetKeyRotationStatus", { KeyId: keyId })).toMatchObject({
    KeyRotationEnabled: true,
    RotationPeriodInDays: 365,
    NextRotationDate: expect.any(Date),
  })
  await send("EnableKeyRotation", { KeyId: keyId, RotationPeriodInDays: 180 })
  expect(await send("GetKeyRotationStatus", { KeyId: keyId })).toMatchObject({ RotationPeriodInDays: 180 })
})

test("a ciphertext does not say which backing key it is under (local-kms #68)", async () => {
  let now = Date.UTC(2026, 0, 1)
  const { send } = memoryKms({ clock: () => now })
  const { keyId } = await createKey(send)
  await send("EnableKeyRotation", { KeyId: keyId, RotationPeriodInDays: 90 })
  const { CiphertextBlob, KeyMaterialId } = await send("GenerateDataKey", { KeyId: keyId, KeySpec: "AES_256" })
  now += 90 * DAY_MS
  const { CurrentKeyMaterialId } = (await send("DescribeKey", { KeyId: keyId })).KeyMetadata
  expect(CurrentKeyMaterialId).not.toBe(KeyMaterialId)
  expect((await send("Decrypt", { CiphertextBlob })).KeyMaterialId).toBe(KeyMaterialId)
})

test("multi-Region keys are missing (floci #4104, ministack #1566)", async () => {
  const { kms, send } = memoryKms()
  const { keyId } = await createKey(send, { MultiRegion: true })
  expect(keyId).toMatch(/^mrk-[0-9a-f]{32}$/)
  await send("ReplicateKey", { KeyId: keyId, ReplicaRegion: "eu-west-1" })
  const { CiphertextBlob } = await send("Encrypt", { KeyId: keyId, Plaintext: bytes(5) })
  const abroad = sendTo(kms.directClient({ region: "eu-west-1" }))
  expect((await abroad("Decrypt", { CiphertextBlob })).Plaintext).toEqual(bytes(5))
})

const APP = `arn:aws:iam::${ACCOUNT}:role/App`
const grantOn = (KeyId: string, more: object = {}) => ({
  KeyId,
  GranteePrincipal: APP,
  Operations: ["Encrypt"],
  ...more,
})

test("grants are missing (local-kms #31)", async () => {
  const { kms, send } = memoryKms()
  const { arn } = await createKey(send)
  const app = sendTo(kms.directClient({ principal: APP }))
  const encrypt = () => app("Encrypt", { KeyId: arn, Plaintext: bytes(1) })
  await expect(encrypt()).rejects.toMatchObject({ name: "AccessDeniedException" })
  const { GrantId } = await send("CreateGrant", grantOn(arn))
  await encrypt()
  await send("RevokeGrant", { KeyId: arn, GrantId })
  await expect(encrypt()).rejects.toMatchObject({ name: "AccessDeniedException" })
})

test("grants are kept and not evaluated, tokens neither (moto, localstack, floci)", async () => {
  const { kms, send } = memoryKms({ grantPropagationSeconds: 300 })
  const { arn } = await createKey(send)
  const Constraints = { EncryptionContextEquals: { tenant: "42" } }
  const { GrantToken } = await send("CreateGrant", grantOn(arn, { Constraints }))
  const app = sendTo(kms.directClient({ principal: APP }))
  const encrypt = (tenant: string, GrantTokens: string[]) =>
    app("Encrypt", { KeyId: arn, Plaintext: bytes(1), EncryptionContext: { tenant }, GrantTokens })
  await encrypt("42", [GrantToken])
  await expect(encrypt("43", [GrantToken])).rejects.toMatchObject({ name: "AccessDeniedException" })
  await expect(encrypt("42", [])).rejects.toMatchObject({ name: "AccessDeniedException" })
  await expect(encrypt("42", ["any text"])).rejects.toMatchObject({ name: "InvalidGrantTokenException" })
})

test("a grant of one key is found by its name on another (localstack #7910)", async () => {
  const { send } = memoryKms()
  const [one, other] = [await createKey(send), await createKey(send)]
  const first = await send("CreateGrant", grantOn(one.keyId, { Name: "same" }))
  const second = await send("CreateGrant", grantOn(other.keyId, { Name: "same" }))
  expect(second.GrantId).not.toBe(first.GrantId)
  for (const [{ keyId, arn }, { GrantId }] of [
    [one, first],
    [other, second],
  ] as const)
    expect((await send("ListGrants", { KeyId: keyId })).Grants).toMatchObject([{ GrantId, KeyId: arn, Name: "same" }])
})

test("ListGrants is missing, so that Ansible cannot look at a key (floci #1050)", async () => {
  const { send } = memoryKms()
  const { keyId } = await createKey(send)
  expect(await send("ListGrants", { KeyId: keyId })).toMatchObject({ Grants: [], Truncated: false })
  const { GrantId } = await send("CreateGrant", grantOn(keyId))
  expect((await send("ListGrants", { KeyId: keyId })).Grants).toMatchObject([{ GrantId, GranteePrincipal: APP }])
})

test("a key is lost between two tests (moto #7845)", async () => {
  const { kms } = memoryKms()
  const first = kms.client()
  const { KeyMetadata } = await first.send(new CreateKeyCommand({}))
  const { CiphertextBlob } = await first.send(new EncryptCommand({ KeyId: KeyMetadata!.Arn, Plaintext: bytes(1) }))
  first.destroy()
  const second = kms.client()
  expect((await second.send(new DecryptCommand({ CiphertextBlob }))).KeyId).toBe(KeyMetadata!.Arn)
})

test("import is missing: a key of origin EXTERNAL is enabled and encrypts without material (moto)", async () => {
  const { send } = memoryKms()
  const { keyId, arn } = await createKey(send, { Origin: "EXTERNAL" })
  expect((await send("DescribeKey", { KeyId: keyId })).KeyMetadata.KeyState).toBe("PendingImport")
  await expect(send("Encrypt", { KeyId: keyId, Plaintext: bytes(1) })).rejects.toMatchObject({
    message: `${arn} is pending import.`,
  })
})

test("DryRun is ignored (moto)", async () => {
  const { send } = memoryKms()
  const { keyId } = await createKey(send)
  await expect(send("Encrypt", { KeyId: keyId, Plaintext: bytes(1), DryRun: true })).rejects.toMatchObject({
    name: "DryRunOperationException",
  })
})

test("a ciphertext is its plaintext in another form (floci, ministack)", async () => {
  const { send } = memoryKms()
  const { keyId } = await createKey(send)
  const secret = "the same sixteen bytes twice over"
  const blobs: Buffer[] = []
  for (let i = 0; i < 2; i++) {
    const { CiphertextBlob } = await send("Encrypt", { KeyId: keyId, Plaintext: new TextEncoder().encode(secret) })
    blobs.push(Buffer.from(CiphertextBlob))
  }
  const form = (text: string): string[] => [
    text,
    Buffer.from(text).toString("base64"),
    Buffer.from(text).toString("hex"),
  ]
  for (const blob of blobs) for (const text of form(secret)) expect(blob.toString("latin1")).not.toContain(text)
  const xor = blobs[0]!.map((byte, i) => byte ^ blobs[1]![i]!)
  expect(xor.subarray(-40).filter((byte) => byte === 0).length).toBeLessThan(8)
})
