// Many records at once beside a loop, with a raw AES key and with the embedded KMS.
import { CreateKeyCommand } from "@aws-sdk/client-kms"
import { decrypt, decryptMany, encrypt, encryptMany, kmsKeyring } from "kms-envelope"
import { LocalKms } from "kms-envelope/local-kms"
import { compare, longEffort, report } from "../harness.mjs"
import { encryptionContext, keyring as rawKeyring } from "../subjects.mjs"

const COUNT = 1000
const kms = LocalKms.inMemory()
const client = kms.client()
const { KeyMetadata } = await client.send(new CreateKeyCommand({}))
const keyrings = {
  "raw AES": rawKeyring,
  "embedded KMS": kmsKeyring({ client, generatorKeyId: KeyMetadata.Arn }),
}
const plaintext = Buffer.alloc(256, 1)
const records = Array.from({ length: COUNT }, () => ({ plaintext }))

for (const [name, keyring] of Object.entries(keyrings)) {
  const options = { keyring, encryptionContext }
  const messages = await encryptMany(records, options)
  const ways = {
    encrypt: [
      { name: "encryptMany", ours: true, run: () => encryptMany(records, options) },
      {
        name: "a loop of encrypt",
        run: async () => {
          for (const record of records) await encrypt(record.plaintext, options)
        },
      },
    ],
    decrypt: [
      { name: "decryptMany", ours: true, run: () => decryptMany(messages, options) },
      {
        name: "a loop of decrypt",
        run: async () => {
          for (const message of messages) await decrypt(message, options)
        },
      },
    ],
  }
  for (const [direction, candidates] of Object.entries(ways)) {
    const results = await compare(candidates, { ...longEffort, milliseconds: 100 })
    report({ measure: `${direction} ${COUNT} records of 256 B, ${name}`, unit: "/s", scale: COUNT, results })
  }
}
await kms.close()
