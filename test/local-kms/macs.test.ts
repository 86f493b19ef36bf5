import { describe, expect, test } from "vitest"
import { doors, senderOf } from "./doors.ts"
import { bytes, createKey, memoryKms } from "./helpers.ts"

const sizes = { HMAC_224: 28, HMAC_256: 32, HMAC_384: 48, HMAC_512: 64 } as const
const hmacKey = (KeySpec: string) => ({ KeySpec, KeyUsage: "GENERATE_VERIFY_MAC" })
const algorithmOf = (spec: string): string => spec.replace("HMAC_", "HMAC_SHA_")

describe.each(Object.entries(doors))("through %s", (_name, { open }) => {
  test.each(Object.entries(sizes))("a key of %s makes and verifies codes of %d bytes", async (spec, length) => {
    const send = senderOf((await open()).client)
    const { keyId, arn } = await createKey(send, hmacKey(spec))
    expect((await send("DescribeKey", { KeyId: keyId })).KeyMetadata).toMatchObject({
      KeySpec: spec,
      CustomerMasterKeySpec: spec,
      KeyUsage: "GENERATE_VERIFY_MAC",
      MacAlgorithms: [algorithmOf(spec)],
    })
    const request = { KeyId: keyId, Message: bytes(100), MacAlgorithm: algorithmOf(spec) }
    const { Mac, KeyId, MacAlgorithm } = await send("GenerateMac", request)
    expect(Mac).toHaveLength(length)
    expect({ KeyId, MacAlgorithm }).toEqual({ KeyId: arn, MacAlgorithm: algorithmOf(spec) })
    expect(await send("VerifyMac", { ...request, Mac })).toMatchObject({ KeyId: arn, MacValid: true })
    for (const wrong of [{ Message: bytes(101) }, { Mac: bytes(length) }, { Mac: Mac.slice(1) }])
      await expect(send("VerifyMac", { ...request, Mac, ...wrong })).rejects.toMatchObject({
        name: "KMSInvalidMacException",
        message: "UnknownError",
      })
  })
})

test("a code depends on key and message alone", async () => {
  const { send } = memoryKms()
  const { keyId } = await createKey(send, hmacKey("HMAC_256"))
  const request = { KeyId: keyId, Message: bytes(3), MacAlgorithm: "HMAC_SHA_256" }
  const first = await send("GenerateMac", request)
  expect((await send("GenerateMac", request)).Mac).toEqual(first.Mac)
  const other = await createKey(send, hmacKey("HMAC_256"))
  expect((await send("GenerateMac", { ...request, KeyId: other.keyId })).Mac).not.toEqual(first.Mac)
})

test("an HMAC key has no rotating material and no encryption algorithm", async () => {
  const { send } = memoryKms()
  const { KeyMetadata } = await send("CreateKey", hmacKey("HMAC_512"))
  expect(KeyMetadata).not.toHaveProperty("CurrentKeyMaterialId")
  expect(KeyMetadata).not.toHaveProperty("EncryptionAlgorithms")
})

test("keys do what they are for, and nothing else", async () => {
  const { send } = memoryKms()
  const symmetric = await createKey(send)
  const hmac = await createKey(send, hmacKey("HMAC_256"))
  const { CiphertextBlob } = await send("Encrypt", { KeyId: symmetric.keyId, Plaintext: bytes(1) })
  const calls = {
    Encrypt: { KeyId: hmac.keyId, Plaintext: bytes(1) },
    GenerateDataKey: { KeyId: hmac.keyId, KeySpec: "AES_256" },
    GenerateDataKeyWithoutPlaintext: { KeyId: hmac.keyId, KeySpec: "AES_256" },
    ReEncrypt: { CiphertextBlob, DestinationKeyId: hmac.keyId },
  }
  for (const [operation, input] of Object.entries(calls))
    await expect(send(operation, input)).rejects.toMatchObject({
      name: "InvalidKeyUsageException",
      message: `${hmac.arn} key usage is GENERATE_VERIFY_MAC which is not valid for ${operation}.`,
    })
  for (const operation of ["GenerateMac", "VerifyMac"])
    await expect(
      send(operation, { KeyId: symmetric.keyId, Message: bytes(1), MacAlgorithm: "HMAC_SHA_256", Mac: bytes(32) }),
    ).rejects.toMatchObject({
      name: "InvalidKeyUsageException",
      message: `${symmetric.arn} key usage is ENCRYPT_DECRYPT which is not valid for ${operation}.`,
    })
})

test("an alias is not moved between keys of two kinds", async () => {
  const { send } = memoryKms()
  const symmetric = await createKey(send)
  const hmac = await createKey(send, hmacKey("HMAC_256"))
  await send("CreateAlias", { AliasName: "alias/a", TargetKeyId: symmetric.keyId })
  await expect(send("UpdateAlias", { AliasName: "alias/a", TargetKeyId: hmac.keyId })).rejects.toMatchObject({
    name: "ValidationException",
  })
})

test("the message and the code are in no event", async () => {
  const { kms, send } = memoryKms()
  const { keyId } = await createKey(send, hmacKey("HMAC_256"))
  const Message = new TextEncoder().encode("attack at dawn, said the general")
  const { Mac } = await send("GenerateMac", { KeyId: keyId, Message, MacAlgorithm: "HMAC_SHA_256" })
  await send("VerifyMac", { KeyId: keyId, Message, MacAlgorithm: "HMAC_SHA_256", Mac })
  const trail = JSON.stringify(await kms.events())
  for (const secret of [Message, Mac])
    for (const encoding of ["base64", "hex", "latin1"] as const)
      expect(trail).not.toContain(Buffer.from(secret).toString(encoding).slice(0, 20))
  expect((await kms.events({ eventName: "VerifyMac" }))[0]).toMatchObject({
    readOnly: true,
    requestParameters: { keyId, macAlgorithm: "HMAC_SHA_256" },
  })
})

test("DryRun checks everything and does nothing", async () => {
  const { send } = memoryKms()
  const { keyId } = await createKey(send, hmacKey("HMAC_256"))
  const request = { KeyId: keyId, Message: bytes(3), MacAlgorithm: "HMAC_SHA_256" }
  const { Mac } = await send("GenerateMac", request)
  const dryRun = { name: "DryRunOperationException" }
  await expect(send("GenerateMac", { ...request, DryRun: true })).rejects.toMatchObject(dryRun)
  await expect(send("VerifyMac", { ...request, Mac, DryRun: true })).rejects.toMatchObject(dryRun)
  await expect(send("VerifyMac", { ...request, Mac: bytes(32), DryRun: true })).rejects.toMatchObject({
    name: "KMSInvalidMacException",
  })
})

test("HMAC keys are multi-Region too", async () => {
  const { kms, send } = memoryKms()
  const { keyId } = await createKey(send, { ...hmacKey("HMAC_256"), MultiRegion: true })
  await send("ReplicateKey", { KeyId: keyId, ReplicaRegion: "eu-west-1" })
  const request = { KeyId: keyId, Message: bytes(3), MacAlgorithm: "HMAC_SHA_256" }
  const { Mac } = await send("GenerateMac", request)
  const abroad = senderOf(kms.client({ region: "eu-west-1" }))
  expect(await abroad("VerifyMac", { ...request, Mac })).toMatchObject({ MacValid: true })
})
