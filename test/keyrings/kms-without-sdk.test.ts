import { expect, test } from "vitest"
import { runBundled } from "./run-bundled.ts"

test("with no AWS SDK installed, any object with send(command) is a KMS client", () => {
  const { stdout, stderr } = runBundled(`
    import { kmsKeyring } from "./src/keyrings/index.ts"
    import { decrypt, encrypt } from "./src/message/index.ts"
    const arn = "arn:aws:kms:us-east-1:111122223333:key/1"
    const key = new Uint8Array(32).fill(7)
    const sent = []
    const client = {
      async send(command) {
        sent.push([command.constructor.name, Object.keys(command.input).join()])
        return { KeyId: arn, Plaintext: key.slice(), CiphertextBlob: new Uint8Array(5) }
      },
    }
    const sdk = await import("@aws-sdk/client-kms").then(() => "there", (error) => error.code)
    const keyring = kmsKeyring({ client, generatorKeyId: arn })
    const message = await encrypt("hello", { keyring })
    const { plaintext } = await decrypt(message, { keyring })
    await keyring.generateWithoutPlaintext({ suite: { dataKeyLength: 32 }, encryptionContext: {} })
    await keyring.wrap({ suite: { dataKeyLength: 32 }, encryptionContext: {}, dataKey: key })
    console.log(JSON.stringify({ sdk, sent, text: new TextDecoder().decode(plaintext) }))
  `)
  expect(stderr).toBe("")
  expect(JSON.parse(stdout)).toEqual({
    sdk: "ERR_MODULE_NOT_FOUND",
    text: "hello",
    sent: [
      ["GenerateDataKeyCommand", "KeyId,NumberOfBytes,EncryptionContext"],
      ["DecryptCommand", "KeyId,CiphertextBlob,EncryptionContext"],
      ["GenerateDataKeyWithoutPlaintextCommand", "KeyId,NumberOfBytes,EncryptionContext"],
      ["EncryptCommand", "KeyId,Plaintext,EncryptionContext"],
    ],
  })
})
