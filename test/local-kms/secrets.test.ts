import { expect, test } from "vitest"
import { answerJson } from "../../src/local-kms/json-protocol.ts"
import type { Key } from "../../src/local-kms/keys.ts"
import { generateMaterial, withMaterial } from "../../src/local-kms/materials.ts"
import { parsePrincipal } from "../../src/local-kms/principal.ts"
import { createVault, temporaryVault } from "../../src/local-kms/vault.ts"
import { ACCOUNT, bytes, createKey, memoryKms, REGION } from "./helpers.ts"

const zeroes = (length: number): Uint8Array => new Uint8Array(length)

function keyWithMaterial() {
  const vault = temporaryVault()
  const material = generateMaterial(
    vault,
    { scope: { accountId: ACCOUNT }, keyId: "key-id", keySpec: "SYMMETRIC_DEFAULT" },
    0,
  )
  const key = { scope: { accountId: ACCOUNT }, keyId: "key-id", materials: [material] } as unknown as Key
  return { vault, material, key }
}

test("key material is lent and overwritten, on success and on error", () => {
  const { vault, material, key } = keyWithMaterial()
  let lent = zeroes(0)
  withMaterial(vault, key, material, (secret) => {
    lent = secret
    expect(secret).not.toEqual(zeroes(32))
  })
  expect(lent).toEqual(zeroes(32))
  const failing = (): void =>
    withMaterial(vault, key, material, (secret) => {
      lent = secret
      expect(secret).not.toEqual(zeroes(32))
      throw new RangeError("no")
    })
  expect(failing).toThrow(RangeError)
  expect(lent).toEqual(zeroes(32))
})

test("the root key is overwritten once the sealing key is derived, and a closed vault opens nothing", () => {
  const rootKey = bytes(32)
  const vault = createVault(rootKey, "store")
  expect(rootKey).toEqual(zeroes(32))
  const sealed = vault.seal("purpose", bytes(5))
  expect(vault.open("purpose", sealed)).toEqual(bytes(5))
  expect(vault.open("another purpose", sealed)).toBeUndefined()
  vault.close()
  expect(() => vault.open("purpose", sealed)).toThrow()
  expect(() => vault.seal("purpose", bytes(5))).toThrow()
})

test("a plaintext is overwritten once it is encoded for the wire", async () => {
  const Plaintext = bytes(32)
  const reply = await answerJson(async () => ({ requestId: "id", output: { Plaintext } }), {
    target: "TrentService.Decrypt",
    body: new TextEncoder().encode("{}"),
    principal: parsePrincipal(`arn:aws:iam::${ACCOUNT}:root`),
    region: REGION,
    userAgent: "test",
    sourceIpAddress: "127.0.0.1",
  })
  expect(JSON.parse(new TextDecoder().decode(reply.body))).toEqual({
    Plaintext: Buffer.from(bytes(32)).toString("base64"),
  })
  expect(Plaintext).toEqual(zeroes(32))
})

test("a direct caller's plaintext stays as it is, and what comes back owns its memory", async () => {
  const { send } = memoryKms()
  const { keyId } = await createKey(send)
  const Plaintext = bytes(40)
  const { CiphertextBlob } = await send("Encrypt", { KeyId: keyId, Plaintext })
  expect(Plaintext).toEqual(bytes(40))
  const outputs = [
    CiphertextBlob,
    (await send("Decrypt", { CiphertextBlob })).Plaintext,
    (await send("GenerateDataKey", { KeyId: keyId, KeySpec: "AES_256" })).Plaintext,
    (await send("GenerateRandom", { NumberOfBytes: 16 })).Plaintext,
  ]
  for (const output of outputs) {
    expect(Object.getPrototypeOf(output)).toBe(Uint8Array.prototype)
    expect(output.buffer.byteLength).toBe(output.length)
  }
})
