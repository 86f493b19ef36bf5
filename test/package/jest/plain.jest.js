const { CreateKeyCommand, KMSClient } = require("@aws-sdk/client-kms")
const { mockClient } = require("aws-sdk-client-mock")
const { decrypt, encrypt, encryptStream, EnvelopeError, kmsKeyring, rawAesKeyring } = require("kms-envelope")
const { LocalKms } = require("kms-envelope/local-kms")
const { mockKms } = require("kms-envelope/testing")

test("the CommonJS build is what Jest loads", () => {
  expect(require.resolve("kms-envelope")).toMatch(/index\.cjs$/)
})

test("a message goes through the embedded KMS and back", async () => {
  const kms = LocalKms.inMemory()
  const client = kms.client()
  expect(client).toBeInstanceOf(KMSClient)
  const { KeyMetadata } = await client.send(new CreateKeyCommand({}))
  const keyring = kmsKeyring({ client, generatorKeyId: KeyMetadata.Arn })
  const encryptionContext = { tenant: "42" }
  const message = await encrypt("plaintext", { keyring, encryptionContext, signed: true })
  const decrypted = await decrypt(message, { keyring, encryptionContext })
  expect(decrypted.plaintext).toEqual(new Uint8Array(Buffer.from("plaintext")))
  expect(decrypted.text()).toBe("plaintext")
  await expect(decrypt(message, { keyring, encryptionContext: { tenant: "43" } })).rejects.toThrow(EnvelopeError)
  await kms.close()
})

test("a mocked KMSClient gets the SDK's own commands", async () => {
  const mock = mockClient(KMSClient)
  mock.rejects(Object.assign(new Error("denied"), { name: "AccessDeniedException" }))
  const keyring = kmsKeyring({ client: new KMSClient({ region: "us-east-1" }), generatorKeyId: "alias/one" })
  await expect(encrypt("plaintext", { keyring })).rejects.toMatchObject({
    code: "KmsError",
    name: "AccessDeniedException",
  })
  const { GenerateDataKeyCommand } = require("@aws-sdk/client-kms")
  expect(mock.commandCalls(GenerateDataKeyCommand, { KeyId: "alias/one" })).toHaveLength(1)
  mock.restore()
})

test("mockKms answers every KMSClient of the application", async () => {
  const mocked = mockKms()
  const keyring = kmsKeyring({
    client: new KMSClient({ region: "us-east-1" }),
    generatorKeyId: await mocked.createKey(),
  })
  const message = await encrypt("plaintext", { keyring })
  expect((await decrypt(message, { keyring })).text()).toBe("plaintext")
  expect(mocked.calls().map(({ operation }) => operation)).toEqual(["GenerateDataKey", "Decrypt"])
  await mocked.restore()
})

test("jest.mock of the SDK reaches the library", async () => {
  jest.resetModules()
  const GenerateDataKeyCommand = jest.fn()
  jest.doMock("@aws-sdk/client-kms", () => ({ GenerateDataKeyCommand }))
  const { encrypt, kmsKeyring } = require("kms-envelope")
  const client = { send: async () => Promise.reject(new Error("nothing here")) }
  await expect(encrypt("plaintext", { keyring: kmsKeyring({ client, generatorKeyId: "alias/one" }) })).rejects.toThrow()
  expect(GenerateDataKeyCommand).toHaveBeenCalledTimes(1)
  jest.dontMock("@aws-sdk/client-kms")
})

test("streams work", async () => {
  const keyring = rawAesKeyring({ keyNamespace: "test", keyName: "one", wrappingKey: new Uint8Array(32) })
  const stream = encryptStream({ keyring })
  stream.end(Buffer.alloc(200_000, 7))
  const parts = []
  for await (const part of stream) parts.push(part)
  const { plaintext } = await decrypt(Buffer.concat(parts), { keyring })
  expect(Buffer.from(plaintext).equals(Buffer.alloc(200_000, 7))).toBe(true)
})
