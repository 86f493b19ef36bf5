// Binds a pair to a message without storing it there: node examples/required-context.mjs
import { CreateKeyCommand } from "@aws-sdk/client-kms"
import { decrypt, EnvelopeError, encrypt, inspect, kmsKeyring } from "kms-envelope"
import { LocalKms } from "kms-envelope/local-kms"

const kms = LocalKms.inMemory()
const client = kms.client()
const { KeyMetadata } = await client.send(new CreateKeyCommand({}))
const keyring = kmsKeyring({ client, generatorKeyId: KeyMetadata?.Arn ?? "" })

const message = await encrypt("salary: 4,200", {
  keyring,
  encryptionContext: { purpose: "payroll", employee: "jane@example.com" },
  requiredContextKeys: ["employee"],
})
console.log(`stored: ${JSON.stringify(inspect(message).encryptionContext)}`)

/** @param {string} employee */
const read = (employee) =>
  decrypt(message, { keyring, encryptionContext: { employee }, requiredContextKeys: ["employee"] })

const decrypted = await read("jane@example.com")
console.log(`authenticated: ${JSON.stringify(decrypted.encryptionContext)}`)
await read("john@example.com").catch((error) => {
  if (!(error instanceof EnvelopeError)) throw error
  console.log(`for somebody else: ${error.code} ${error.name}`)
})
await kms.close()
