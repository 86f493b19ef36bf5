import { decrypt, EnvelopeError, encrypt, type Keyring, rawAesKeyring } from "kms-envelope"
import { LocalKms } from "kms-envelope/local-kms"
import { type MockKms, mockKms } from "kms-envelope/testing"

const keyring: Keyring = rawAesKeyring({ keyNamespace: "test", keyName: "one", wrappingKey: new Uint8Array(32) })

test("a typed test encrypts and decrypts", async () => {
  const message = await encrypt("plaintext", { keyring })
  expect((await decrypt(message, { keyring })).text()).toBe("plaintext")
})

test("errors of every entry are of one class", async () => {
  const kms = LocalKms.inMemory()
  await kms.close()
  const error = await kms.events().catch((error: unknown) => error)
  expect(error).toBeInstanceOf(EnvelopeError)
  expect(error).toMatchObject({ code: "Closed" })
})

test("mockKms is typed", async () => {
  const mocked: MockKms = mockKms()
  expect(await mocked.createKey("alias/one")).toMatch(/^arn:aws:kms:/)
  await mocked.restore()
})
