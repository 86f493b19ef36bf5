import { LocalKms } from "../../src/local-kms/index.ts"
import { command } from "./command.ts"

/*
 * One of several processes on one store: makes keys and data keys for ever, or as many as asked for, and prints each
 * when it is acknowledged, as a line of JSON.
 */
const [dir, count = "Infinity"] = process.argv.slice(2)
const kms = await LocalKms.open(dir!)
const client = kms.directClient()
for (let i = 0; i < Number(count); i++) {
  const { KeyMetadata } = await client.send(command("CreateKey"))
  const { CiphertextBlob } = await client.send(
    command("GenerateDataKeyWithoutPlaintext", { KeyId: KeyMetadata.KeyId, KeySpec: "AES_256" }),
  )
  const line = { keyId: KeyMetadata.KeyId, blob: Buffer.from(CiphertextBlob).toString("base64") }
  process.stdout.write(`${JSON.stringify(line)}\n`)
}
await kms.close()
