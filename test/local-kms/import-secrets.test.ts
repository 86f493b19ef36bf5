import { beforeEach, expect, test, vi } from "vitest"
import { bytes, createKey, memoryKms } from "./helpers.ts"
import { FOREVER, WRAPPING, wrap } from "./importing.ts"

/** What was overwritten, as it was before. */
const overwritten: string[] = []
vi.mock("../../src/crypto/index.ts", async (importOriginal) => {
  const original = await importOriginal<typeof import("../../src/crypto/index.ts")>()
  return {
    ...original,
    wipe(secret: Uint8Array) {
      overwritten.push(Buffer.from(secret).toString("hex"))
      original.wipe(secret)
    },
  }
})
beforeEach(() => {
  overwritten.length = 0
})

const material = bytes(32, 0xa7)
const hex = Buffer.from(material).toString("hex")

async function prepare(WrappingAlgorithm: string) {
  const { send } = memoryKms()
  const { keyId } = await createKey(send, { Origin: "EXTERNAL" })
  const parameters = await send("GetParametersForImport", { KeyId: keyId, ...WRAPPING, WrappingAlgorithm })
  return { send, keyId, parameters }
}

test.each(["RSAES_OAEP_SHA_256", "RSA_AES_KEY_WRAP_SHA_256"])(
  "material that was imported with %s is overwritten",
  async (algorithm) => {
    const { send, keyId, parameters } = await prepare(algorithm)
    const EncryptedKeyMaterial = wrap(material, parameters, algorithm)
    const { ImportToken } = parameters
    await send("ImportKeyMaterial", { KeyId: keyId, ImportToken, EncryptedKeyMaterial, ...FOREVER })
    expect(overwritten).toContain(hex)
  },
)

test("material that is refused is overwritten too", async () => {
  const { send, keyId, parameters } = await prepare("RSAES_OAEP_SHA_256")
  const EncryptedKeyMaterial = wrap(material.subarray(1), parameters, "RSAES_OAEP_SHA_256")
  const { ImportToken } = parameters
  await expect(
    send("ImportKeyMaterial", { KeyId: keyId, ImportToken, EncryptedKeyMaterial, ...FOREVER }),
  ).rejects.toMatchObject({ name: "IncorrectKeyMaterialException" })
  expect(overwritten).toContain(hex.slice(2))
})

test("the private key of a token is overwritten once it is sealed, and again once it is opened", async () => {
  const isPrivateKey = (secret: string): boolean => secret.length > 2000
  const { send, keyId, parameters } = await prepare("RSAES_OAEP_SHA_256")
  expect(overwritten.filter(isPrivateKey)).toHaveLength(2)
  overwritten.length = 0
  const { ImportToken } = parameters
  await expect(
    send("ImportKeyMaterial", { KeyId: keyId, ImportToken, EncryptedKeyMaterial: bytes(256), ...FOREVER }),
  ).rejects.toMatchObject({ name: "InvalidCiphertextException" })
  expect(overwritten.filter(isPrivateKey)).toHaveLength(1)
})
