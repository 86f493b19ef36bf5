import { createHmac, createPublicKey } from "node:crypto"
import { describe, expect, test } from "vitest"
import { doors, senderOf } from "./doors.ts"
import { ACCOUNT, bytes, createKey, DAY_MS, memoryKms, REGION, type Send, sendTo } from "./helpers.ts"
import { FOREVER, importInto, WRAPPING, wrap } from "./importing.ts"

const START = Date.UTC(2026, 0, 1)

function setUp() {
  let now = START
  const world = memoryKms({ clock: () => now })
  const passDays = (days: number): void => {
    now += days * DAY_MS
  }
  return { ...world, passDays, now: () => now }
}

const external = (send: Send, input: object = {}) => createKey(send, { Origin: "EXTERNAL", ...input })
const describeKey = async (send: Send, KeyId: string) => (await send("DescribeKey", { KeyId })).KeyMetadata
const materialsOf = async (send: Send, KeyId: string) =>
  (await send("ListKeyRotations", { KeyId, IncludeKeyMaterial: "ALL_KEY_MATERIAL" })).Rotations

describe.each(Object.entries(doors))("through %s", (_name, { open }) => {
  test("KMS-2.4: material that is imported encrypts and decrypts", async () => {
    const send = senderOf((await open()).client)
    const { keyId, arn } = await external(send)
    const imported = await importInto(send, keyId, bytes(32, 1))
    expect(imported).toMatchObject({ KeyId: arn, KeyMaterialId: expect.stringMatching(/^[0-9a-f]{64}$/) })
    expect(await describeKey(send, keyId)).toMatchObject({
      Enabled: true,
      KeyState: "Enabled",
      Origin: "EXTERNAL",
      ExpirationModel: "KEY_MATERIAL_DOES_NOT_EXPIRE",
      CurrentKeyMaterialId: imported.KeyMaterialId,
    })
    const { CiphertextBlob, KeyMaterialId } = await send("GenerateDataKey", { KeyId: keyId, KeySpec: "AES_256" })
    expect(KeyMaterialId).toBe(imported.KeyMaterialId)
    expect((await send("Decrypt", { CiphertextBlob })).KeyMaterialId).toBe(imported.KeyMaterialId)
  })

  test("KMS-2.3: material expires at its time, with an event, and comes back with the same bytes", async () => {
    let now = START
    const { client, kms } = await open({ clock: () => now })
    const send = senderOf(client)
    const { keyId, arn } = await external(send)
    const ValidTo = new Date(START + 10 * DAY_MS)
    const { KeyMaterialId } = await importInto(send, keyId, bytes(32, 1), { ValidTo })
    expect(await describeKey(send, keyId)).toMatchObject({ ExpirationModel: "KEY_MATERIAL_EXPIRES", ValidTo })
    const { CiphertextBlob } = await send("Encrypt", { KeyId: keyId, Plaintext: bytes(9) })
    now += 10 * DAY_MS
    await expect(send("Decrypt", { CiphertextBlob })).rejects.toMatchObject({
      name: "KMSInvalidStateException",
      message: `${arn} is pending import.`,
    })
    expect(await kms.events({ eventName: "DeleteExpiredKeyMaterial" })).toMatchObject([
      { eventType: "AwsServiceEvent", serviceEventDetails: { keyId: arn, keyMaterialId: KeyMaterialId } },
    ])
    expect(await importInto(send, keyId, bytes(32, 1))).toMatchObject({ KeyMaterialId })
    expect((await send("Decrypt", { CiphertextBlob })).Plaintext).toEqual(bytes(9))
  })
})

describe("wrapping", () => {
  const algorithms = ["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256", "RSA_AES_KEY_WRAP_SHA_1", "RSA_AES_KEY_WRAP_SHA_256"]
  test.each(algorithms)("%s", async (WrappingAlgorithm) => {
    const { send, now } = setUp()
    const { keyId, arn } = await external(send)
    const parameters = await send("GetParametersForImport", {
      KeyId: keyId,
      WrappingAlgorithm,
      WrappingKeySpec: "RSA_2048",
    })
    expect(parameters).toMatchObject({ KeyId: arn, ParametersValidTo: new Date(now() + DAY_MS) })
    const EncryptedKeyMaterial = wrap(bytes(32, 3), parameters, WrappingAlgorithm)
    await send("ImportKeyMaterial", {
      KeyId: keyId,
      ImportToken: parameters.ImportToken,
      EncryptedKeyMaterial,
      ...FOREVER,
    })
    expect((await describeKey(send, keyId)).KeyState).toBe("Enabled")
  })

  test.each(["RSA_2048", "RSA_3072", "RSA_4096"])("with a key of %s", async (WrappingKeySpec) => {
    const { send } = setUp()
    const { keyId } = await external(send)
    const input = { KeyId: keyId, WrappingAlgorithm: "RSAES_OAEP_SHA_256", WrappingKeySpec }
    const { PublicKey } = await send("GetParametersForImport", input)
    const key = createPublicKey({ key: Buffer.from(PublicKey), format: "der", type: "spki" })
    expect(key.asymmetricKeyDetails).toMatchObject({ modulusLength: Number(WrappingKeySpec.slice(4)) })
  })

  test.each([
    ["RSAES_PKCS1_V1_5", "RSA_2048"],
    ["SM2PKE", "SM2"],
  ])("%s is refused", async (WrappingAlgorithm, WrappingKeySpec) => {
    const { send } = setUp()
    const { keyId } = await external(send)
    await expect(
      send("GetParametersForImport", { KeyId: keyId, WrappingAlgorithm, WrappingKeySpec }),
    ).rejects.toMatchObject({ name: "UnsupportedOperationException" })
  })

  test("the same material gets the same id in one key and another in another key", async () => {
    const { send } = setUp()
    const first = await external(send)
    const second = await external(send)
    const { KeyMaterialId } = await importInto(send, first.keyId, bytes(32, 1))
    expect(await importInto(send, first.keyId, bytes(32, 1))).toMatchObject({ KeyMaterialId })
    expect((await importInto(send, second.keyId, bytes(32, 1))).KeyMaterialId).not.toBe(KeyMaterialId)
  })
})

describe("what ImportKeyMaterial refuses", () => {
  const refusals: Record<string, (send: Send, keyId: string, passDays: (days: number) => void) => Promise<unknown>> = {
    "IncorrectKeyMaterialException: other bytes than before": async (send, keyId) => {
      await importInto(send, keyId, bytes(32, 1))
      return importInto(send, keyId, bytes(32, 2))
    },
    "IncorrectKeyMaterialException: 16 bytes for a key of 32": (send, keyId) => importInto(send, keyId, bytes(16)),
    "IncorrectKeyMaterialException: another material than the one named": async (send, keyId) => {
      await importInto(send, keyId, bytes(32, 1))
      return importInto(send, keyId, bytes(32, 1), { ...FOREVER, KeyMaterialId: "0".repeat(64) })
    },
    "IncorrectKeyMaterialException: material as new that the key has": async (send, keyId) => {
      await importInto(send, keyId, bytes(32, 1))
      return importInto(send, keyId, bytes(32, 1), { ...FOREVER, ImportType: "NEW_KEY_MATERIAL" })
    },
    "ValidationException: an id for new material": (send, keyId) =>
      importInto(send, keyId, bytes(32), { ...FOREVER, ImportType: "NEW_KEY_MATERIAL", KeyMaterialId: "0".repeat(64) }),
    "ValidationException: expiry in the past": (send, keyId) =>
      importInto(send, keyId, bytes(32), { ValidTo: new Date(START) }),
    "ValidationException: expiry in more than a year": (send, keyId) =>
      importInto(send, keyId, bytes(32), { ValidTo: new Date(START + 365 * DAY_MS + 1) }),
    "ValidationException: an expiry for material that does not expire": (send, keyId) =>
      importInto(send, keyId, bytes(32), { ...FOREVER, ValidTo: new Date(START + DAY_MS) }),
    "InvalidCiphertextException: material that does not unwrap": async (send, keyId) => {
      const { ImportToken } = await send("GetParametersForImport", { KeyId: keyId, ...WRAPPING })
      return send("ImportKeyMaterial", { KeyId: keyId, ImportToken, EncryptedKeyMaterial: bytes(256), ...FOREVER })
    },
    "InvalidCiphertextException: material wrapped for another token": async (send, keyId) => {
      const old = await send("GetParametersForImport", { KeyId: keyId, ...WRAPPING })
      const { ImportToken } = await send("GetParametersForImport", { KeyId: keyId, ...WRAPPING })
      const EncryptedKeyMaterial = wrap(bytes(32), old, WRAPPING.WrappingAlgorithm)
      return send("ImportKeyMaterial", { KeyId: keyId, ImportToken, EncryptedKeyMaterial, ...FOREVER })
    },
    "InvalidImportTokenException: another key's token": async (send, keyId) => {
      const other = await external(send)
      const parameters = await send("GetParametersForImport", { KeyId: other.keyId, ...WRAPPING })
      const EncryptedKeyMaterial = wrap(bytes(32), parameters, WRAPPING.WrappingAlgorithm)
      const { ImportToken } = parameters
      return send("ImportKeyMaterial", { KeyId: keyId, ImportToken, EncryptedKeyMaterial, ...FOREVER })
    },
    "ExpiredImportTokenException: a token of yesterday": async (send, keyId, passDays) => {
      const parameters = await send("GetParametersForImport", { KeyId: keyId, ...WRAPPING })
      const EncryptedKeyMaterial = wrap(bytes(32), parameters, WRAPPING.WrappingAlgorithm)
      passDays(1)
      const { ImportToken } = parameters
      return send("ImportKeyMaterial", { KeyId: keyId, ImportToken, EncryptedKeyMaterial, ...FOREVER })
    },
    "KMSInvalidStateException: a key that is pending deletion": async (send, keyId) => {
      const parameters = await send("GetParametersForImport", { KeyId: keyId, ...WRAPPING })
      await send("ScheduleKeyDeletion", { KeyId: keyId })
      const EncryptedKeyMaterial = wrap(bytes(32), parameters, WRAPPING.WrappingAlgorithm)
      const { ImportToken } = parameters
      return send("ImportKeyMaterial", { KeyId: keyId, ImportToken, EncryptedKeyMaterial, ...FOREVER })
    },
  }
  test.each(Object.entries(refusals))("%s", async (title, attempt) => {
    const { send, passDays } = setUp()
    const { keyId } = await external(send)
    await expect(attempt(send, keyId, passDays)).rejects.toMatchObject({ name: title.slice(0, title.indexOf(":")) })
  })
})

describe("rotation of imported keys", () => {
  const NEW = { ...FOREVER, ImportType: "NEW_KEY_MATERIAL", KeyMaterialDescription: "spring 2026" }

  test("new material waits until it is rotated to, and old ciphertexts decrypt", async () => {
    const { send } = setUp()
    const { keyId, arn } = await external(send)
    const first = await importInto(send, keyId, bytes(32, 1))
    const old = await send("Encrypt", { KeyId: keyId, Plaintext: bytes(9) })
    const second = await importInto(send, keyId, bytes(32, 2), NEW)
    expect((await describeKey(send, keyId)).CurrentKeyMaterialId).toBe(first.KeyMaterialId)
    expect(await materialsOf(send, keyId)).toEqual([
      {
        KeyId: arn,
        KeyMaterialId: first.KeyMaterialId,
        KeyMaterialState: "CURRENT",
        ImportState: "IMPORTED",
        ExpirationModel: "KEY_MATERIAL_DOES_NOT_EXPIRE",
      },
      {
        KeyId: arn,
        KeyMaterialId: second.KeyMaterialId,
        KeyMaterialState: "PENDING_ROTATION",
        KeyMaterialDescription: "spring 2026",
        ImportState: "IMPORTED",
        ExpirationModel: "KEY_MATERIAL_DOES_NOT_EXPIRE",
      },
    ])
    await send("RotateKeyOnDemand", { KeyId: keyId })
    expect((await describeKey(send, keyId)).CurrentKeyMaterialId).toBe(second.KeyMaterialId)
    expect((await send("Decrypt", { CiphertextBlob: old.CiphertextBlob })).Plaintext).toEqual(bytes(9))
    expect((await send("ListKeyRotations", { KeyId: keyId })).Rotations).toMatchObject([
      { KeyMaterialId: second.KeyMaterialId, KeyMaterialState: "CURRENT", RotationType: "ON_DEMAND" },
    ])
  })

  test("every material that was ever used must be there", async () => {
    const { send } = setUp()
    const { keyId, arn } = await external(send)
    const first = await importInto(send, keyId, bytes(32, 1))
    await importInto(send, keyId, bytes(32, 2), NEW)
    await send("RotateKeyOnDemand", { KeyId: keyId })
    const deleted = await send("DeleteImportedKeyMaterial", { KeyId: keyId, KeyMaterialId: first.KeyMaterialId })
    expect(deleted).toMatchObject({ KeyId: arn, KeyMaterialId: first.KeyMaterialId })
    await expect(send("Encrypt", { KeyId: keyId, Plaintext: bytes(1) })).rejects.toMatchObject({
      message: `${arn} is pending import.`,
    })
    expect((await materialsOf(send, keyId))[0]).toMatchObject({ ImportState: "PENDING_IMPORT" })
    await importInto(send, keyId, bytes(32, 1))
    await send("Encrypt", { KeyId: keyId, Plaintext: bytes(1) })
  })

  test("material that waits for its rotation may be deleted freely, and then other may come", async () => {
    const { send } = setUp()
    const { keyId } = await external(send)
    await importInto(send, keyId, bytes(32, 1))
    const { KeyMaterialId } = await importInto(send, keyId, bytes(32, 2), NEW)
    await send("DeleteImportedKeyMaterial", { KeyId: keyId, KeyMaterialId })
    expect((await describeKey(send, keyId)).KeyState).toBe("Enabled")
    expect(await materialsOf(send, keyId)).toHaveLength(1)
    await importInto(send, keyId, bytes(32, 3), NEW)
  })
})

test("deleted material is gone from the store, and deleting it again has no effect", async () => {
  const { send } = setUp()
  const { keyId, arn } = await external(send)
  const { KeyMaterialId } = await importInto(send, keyId, bytes(32, 1))
  const { CiphertextBlob } = await send("Encrypt", { KeyId: keyId, Plaintext: bytes(9) })
  for (let i = 0; i < 2; i++) {
    expect(await send("DeleteImportedKeyMaterial", { KeyId: keyId })).toMatchObject({ KeyId: arn, KeyMaterialId })
    expect(await describeKey(send, keyId)).toMatchObject({ KeyState: "PendingImport", Enabled: false })
  }
  await importInto(send, keyId, bytes(32, 1))
  expect((await send("Decrypt", { CiphertextBlob })).Plaintext).toEqual(bytes(9))
})

test("material deleted while the key waits for its deletion leaves it waiting, and cancelled it waits for the import", async () => {
  const { send } = setUp()
  const { keyId } = await external(send)
  await importInto(send, keyId, bytes(32, 1))
  await send("ScheduleKeyDeletion", { KeyId: keyId })
  await send("DeleteImportedKeyMaterial", { KeyId: keyId })
  expect((await describeKey(send, keyId)).KeyState).toBe("PendingDeletion")
  await send("CancelKeyDeletion", { KeyId: keyId })
  expect((await describeKey(send, keyId)).KeyState).toBe("PendingImport")
})

test("a disabled key that gets its material again is as disabled as before", async () => {
  const { send } = setUp()
  const { keyId } = await external(send)
  await importInto(send, keyId, bytes(32, 1))
  await send("DisableKey", { KeyId: keyId })
  await importInto(send, keyId, bytes(32, 1), { ValidTo: new Date(START + DAY_MS) })
  expect((await describeKey(send, keyId)).KeyState).toBe("Disabled")
})

test("an HMAC key takes imported material of its own length, and its codes are those of FIPS 198-1", async () => {
  const { send } = setUp()
  const { keyId } = await external(send, { KeySpec: "HMAC_384", KeyUsage: "GENERATE_VERIFY_MAC" })
  await importInto(send, keyId, bytes(48, 1))
  const input = { KeyId: keyId, Message: bytes(3), MacAlgorithm: "HMAC_SHA_384" }
  const expected = createHmac("sha384", bytes(48, 1)).update(bytes(3)).digest()
  expect((await send("GenerateMac", input)).Mac).toEqual(Uint8Array.from(expected))
})

test("each Region of a multi-Region key imports for itself, and rotates once all have the material", async () => {
  const { kms, send } = setUp()
  const abroad = sendTo(kms.directClient({ region: "eu-west-1" }))
  const { keyId } = await external(send, { MultiRegion: true })
  const { KeyMaterialId } = await importInto(send, keyId, bytes(32, 1))
  await send("ReplicateKey", { KeyId: keyId, ReplicaRegion: "eu-west-1" })
  expect((await describeKey(abroad, keyId)).KeyState).toBe("PendingImport")
  await expect(importInto(abroad, keyId, bytes(32, 2))).rejects.toMatchObject({ name: "IncorrectKeyMaterialException" })
  expect(await importInto(abroad, keyId, bytes(32, 1))).toMatchObject({ KeyMaterialId })
  const { CiphertextBlob } = await abroad("Encrypt", { KeyId: keyId, Plaintext: bytes(9) })
  expect((await send("Decrypt", { CiphertextBlob })).Plaintext).toEqual(bytes(9))

  const NEW = { ...FOREVER, ImportType: "NEW_KEY_MATERIAL" }
  await expect(importInto(abroad, keyId, bytes(32, 3), NEW)).rejects.toMatchObject({
    name: "UnsupportedOperationException",
  })
  await importInto(send, keyId, bytes(32, 3), NEW)
  expect((await materialsOf(send, keyId))[1]).toMatchObject({
    KeyMaterialState: "PENDING_MULTI_REGION_IMPORT_AND_ROTATION",
  })
  await expect(send("RotateKeyOnDemand", { KeyId: keyId })).rejects.toMatchObject({ name: "KMSInvalidStateException" })
  await importInto(abroad, keyId, bytes(32, 3))
  expect((await materialsOf(abroad, keyId))[1]).toMatchObject({ KeyMaterialState: "PENDING_ROTATION" })
  await send("RotateKeyOnDemand", { KeyId: keyId })
  expect((await describeKey(send, keyId)).CurrentKeyMaterialId).toBe(
    (await describeKey(abroad, keyId)).CurrentKeyMaterialId,
  )
})

test("nobody has a key pair generated who may not import", async () => {
  const { kms, send } = setUp()
  const { arn } = await external(send)
  const stranger = sendTo(kms.directClient({ principal: "arn:aws:iam::444455556666:role/Stranger" }))
  await expect(stranger("GetParametersForImport", { KeyId: arn, ...WRAPPING })).rejects.toMatchObject({
    name: "AccessDeniedException",
  })
  await send("GetParametersForImport", { KeyId: arn, ...WRAPPING })
  const events = await kms.events({ eventName: "GetParametersForImport" })
  expect(events.map(({ errorCode }) => errorCode)).toEqual(["AccessDenied", undefined])
  expect(events[1]).toMatchObject({
    awsRegion: REGION,
    recipientAccountId: ACCOUNT,
    readOnly: true,
    requestParameters: { keyId: arn, wrappingAlgorithm: "RSAES_OAEP_SHA_256", wrappingKeySpec: "RSA_2048" },
  })
})
