// The same against AWS, with keys in two Regions: KEY_ARN=... REPLICA_ARN=... node examples/aws-kms.mjs
// Needs credentials in the environment that may call kms:GenerateDataKey, kms:Encrypt and kms:Decrypt.
import { KMSClient } from "@aws-sdk/client-kms"
import { cachingKeyring, decrypt, encrypt, kmsKeyring, multiKeyring } from "kms-envelope"

const { KEY_ARN, REPLICA_ARN } = process.env
if (KEY_ARN === undefined || REPLICA_ARN === undefined) throw new Error("set KEY_ARN and REPLICA_ARN")

/** @param {string} arn */
const keyringOf = (arn) => kmsKeyring({ client: (region) => new KMSClient({ region }), generatorKeyId: arn })

// Encrypts under both keys, or, when a Region is down, under one; either decrypts.
const both = multiKeyring({
  generator: keyringOf(KEY_ARN),
  children: [keyringOf(REPLICA_ARN)],
  minimumWrappedKeys: 1,
})
// One GenerateDataKey for up to 100 messages of one context, or five minutes.
const keyring = cachingKeyring(both, { maxAgeSeconds: 300, maxMessages: 100 })

for (const id of ["a", "b", "c"]) {
  const message = await encrypt(`document ${id}`, { keyring, encryptionContext: { tenant: "42" } })
  const decrypted = await decrypt(message, { keyring, encryptionContext: { tenant: "42" } })
  console.log(
    decrypted.text(),
    decrypted.header.wrappedKeys.map(({ keyArn }) => keyArn),
  )
}
keyring.close()
