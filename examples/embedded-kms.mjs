// Keeps keys in a folder, without an AWS account: node examples/embedded-kms.mjs
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { CreateAliasCommand, CreateKeyCommand, DisableKeyCommand } from "@aws-sdk/client-kms"
import { decrypt, EnvelopeError, encrypt, kmsKeyring } from "kms-envelope"
import { LocalKms } from "kms-envelope/local-kms"

const folder = await mkdtemp(join(tmpdir(), "kms-envelope-store-"))

try {
  const first = await LocalKms.open(folder)
  const { KeyMetadata } = await first.client().send(new CreateKeyCommand({ Description: "orders" }))
  const keyArn = KeyMetadata?.Arn ?? ""
  await first.client().send(new CreateAliasCommand({ AliasName: "alias/orders", TargetKeyId: keyArn }))
  const message = await encrypt("an order", {
    keyring: kmsKeyring({ client: first.client(), generatorKeyId: "alias/orders" }),
  })
  await first.close()

  // Another process, another day: the keys are in the folder, encrypted under its root key.
  const second = await LocalKms.open(folder)
  // As on AWS, the default key policy leaves it to identity policies who in the account may use the key.
  const role = await second.principals.createRole({
    name: "Reader",
    policies: {
      read: { Version: "2012-10-17", Statement: { Effect: "Allow", Action: "kms:Decrypt", Resource: keyArn } },
    },
  })
  const client = second.client({ principal: role.arn })
  const keyring = kmsKeyring({ client, keyIds: [keyArn] })
  console.log(`decrypted: ${(await decrypt(message, { keyring })).text()}`)

  await second.client().send(new DisableKeyCommand({ KeyId: keyArn }))
  await decrypt(message, { keyring }).catch((error) => {
    if (!(error instanceof EnvelopeError)) throw error
    console.log(`after disabling the key: ${error.name}`)
  })
  for (const { eventName, errorCode } of await second.events({ eventSource: "kms.amazonaws.com" }))
    console.log(`  ${eventName} ${errorCode ?? ""}`.trimEnd())
  await second.close()
} finally {
  await rm(folder, { recursive: true })
}
