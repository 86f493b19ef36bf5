// Unit tests of an application that calls KMS, offline: node --test examples/mocked-kms.test.mjs
import assert from "node:assert/strict"
import { after, afterEach, test } from "node:test"
import { KMSClient } from "@aws-sdk/client-kms"
import { decrypt, encrypt, kmsKeyring } from "kms-envelope"
import { mockKms } from "kms-envelope/testing"

// --- the application, which knows nothing of tests ---

const client = new KMSClient({ region: "us-east-1" })
/** @param {string} keyArn @param {string} customer */
function vault(keyArn, customer) {
  const options = { keyring: kmsKeyring({ client, generatorKeyId: keyArn }), encryptionContext: { customer } }
  return {
    /** @param {string} card */
    save: (card) => encrypt(card, options),
    /** @param {Uint8Array} saved */
    load: async (saved) => (await decrypt(saved, options)).text(),
  }
}

// --- its tests ---

const kms = mockKms()
const keyArn = await kms.createKey("alias/cards")
afterEach(() => kms.reset())
after(() => kms.restore())

test("a card is sealed for its customer", async () => {
  const saved = await vault(keyArn, "42").save("4111 1111 1111 1111")
  assert.equal(await vault(keyArn, "42").load(saved), "4111 1111 1111 1111")
  await assert.rejects(vault(keyArn, "43").load(saved), { code: "ContextMismatch" })
  assert.deepEqual(
    kms.calls().map(({ operation, input }) => [operation, input.EncryptionContext]),
    [
      ["GenerateDataKey", { customer: "42" }],
      ["Decrypt", { customer: "42" }],
    ],
  )
})

test("a refusal of KMS reaches the caller by its AWS name", async () => {
  kms.failNext(1, "accessDenied", { operation: "GenerateDataKey" })
  await assert.rejects(vault(keyArn, "42").save("4111"), { code: "KmsError", name: "AccessDeniedException" })
})
