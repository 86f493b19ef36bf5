import { expect, test } from "vitest"
import { createKey, memoryKms } from "./helpers.ts"

/** The operations of AWS KMS (service model 2014-11-01) but for those on policies and grants, and whether this KMS has them. */
const operations = {
  CancelKeyDeletion: true,
  ConnectCustomKeyStore: false,
  CreateAlias: true,
  CreateCustomKeyStore: false,
  CreateKey: true,
  Decrypt: true,
  DeleteAlias: true,
  DeleteCustomKeyStore: false,
  DeleteImportedKeyMaterial: true,
  DeriveSharedSecret: false,
  DescribeCustomKeyStores: false,
  DescribeKey: true,
  DisableKey: true,
  DisableKeyRotation: true,
  DisconnectCustomKeyStore: false,
  EnableKey: true,
  EnableKeyRotation: true,
  Encrypt: true,
  GenerateDataKey: true,
  GenerateDataKeyPair: false,
  GenerateDataKeyPairWithoutPlaintext: false,
  GenerateDataKeyWithoutPlaintext: true,
  GenerateMac: true,
  GenerateRandom: true,
  GetKeyLastUsage: true,
  GetKeyRotationStatus: true,
  GetParametersForImport: true,
  GetPublicKey: false,
  ImportKeyMaterial: true,
  ListAliases: true,
  ListKeyRotations: true,
  ListKeys: true,
  ListResourceTags: true,
  ReEncrypt: true,
  ReplicateKey: true,
  RotateKeyOnDemand: true,
  ScheduleKeyDeletion: true,
  Sign: false,
  TagResource: true,
  UntagResource: true,
  UpdateAlias: true,
  UpdateCustomKeyStore: false,
  UpdateKeyDescription: true,
  UpdatePrimaryRegion: true,
  Verify: false,
  VerifyMac: true,
} as const

const unbuilt = Object.entries(operations).flatMap(([name, isBuilt]) => (isBuilt ? [] : [name]))
const built = Object.entries(operations).flatMap(([name, isBuilt]) => (isBuilt ? [name] : []))

test.each(unbuilt)("%s is not built, and says so by its name", async (operation) => {
  const { kms, send } = memoryKms()
  const { keyId } = await createKey(send)
  await expect(send(operation, { KeyId: keyId })).rejects.toMatchObject({
    name: "UnsupportedOperationException",
    message: `${operation} is not supported by the embedded KMS.`,
  })
  expect((await kms.events({ last: 1 }))[0]).toMatchObject({
    eventName: operation,
    errorCode: "UnsupportedOperationException",
  })
})

test.each(built)("%s is built", async (operation) => {
  const { send } = memoryKms()
  const outcome = await send(operation, {}).catch((error: Error) => error)
  if (outcome instanceof Error) expect(outcome.name).toBe("ValidationException")
})

test.each([
  ["an RSA key", { KeySpec: "RSA_2048", KeyUsage: "SIGN_VERIFY" }, "Keys of spec RSA_2048 are not supported."],
  [
    "an ECC key",
    { KeySpec: "ECC_NIST_P256", KeyUsage: "SIGN_VERIFY" },
    "Keys of spec ECC_NIST_P256 are not supported.",
  ],
  ["an ML-DSA key", { KeySpec: "ML_DSA_44", KeyUsage: "SIGN_VERIFY" }, "Keys of spec ML_DSA_44 are not supported."],
  ["a key of a CloudHSM", { Origin: "AWS_CLOUDHSM" }, "Custom key stores are not supported."],
  [
    "a key in an external store",
    { Origin: "EXTERNAL_KEY_STORE", XksKeyId: "k" },
    "Custom key stores are not supported.",
  ],
  ["a key in a custom store", { CustomKeyStoreId: "cks-1" }, "Custom key stores are not supported."],
])("%s cannot be made, and says why", async (_kind, input, message) => {
  const { send } = memoryKms()
  await expect(createKey(send, input)).rejects.toMatchObject({ name: "UnsupportedOperationException", message })
})
