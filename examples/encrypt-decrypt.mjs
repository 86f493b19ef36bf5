// Encrypts a small secret under a KMS key and decrypts it again: node examples/encrypt-decrypt.mjs
import { CreateKeyCommand } from "@aws-sdk/client-kms"
import { decrypt, EnvelopeError, encrypt, inspect, kmsKeyring } from "kms-envelope"
import { LocalKms } from "kms-envelope/local-kms"

// The embedded KMS stands in for AWS: there it would be `new KMSClient({ region })` and the ARN of a key of yours.
const kms = LocalKms.inMemory()
const client = kms.client()
const { KeyMetadata } = await client.send(new CreateKeyCommand({ Description: "card numbers" }))
const keyring = kmsKeyring({ client, generatorKeyId: KeyMetadata?.Arn ?? "" })

const message = await encrypt("4111 1111 1111 1111", {
  keyring,
  encryptionContext: { tenant: "42", column: "card" },
})
console.log(`message of ${message.length} bytes, context ${JSON.stringify(inspect(message).encryptionContext)}`)

const decrypted = await decrypt(message, { keyring, encryptionContext: { tenant: "42" } })
console.log(`decrypted: ${decrypted.text()}`)

try {
  await decrypt(message, { keyring, encryptionContext: { tenant: "43" } })
} catch (error) {
  if (!(error instanceof EnvelopeError)) throw error
  console.log(`for another tenant: ${error.code}`)
}
await kms.close()
