import { EnvelopeError } from "../../src/core/index.ts"
import { LocalKms } from "../../src/local-kms/index.ts"
import { command } from "./command.ts"

/*
 * One of several processes on one store: makes keys and data keys for ever, or as many as asked for, and prints each
 * when it is acknowledged, as a line of JSON. Exits with 3 when the store can no longer be written.
 */
const STORE_FAILED = 3
const UNHANDLED = 4

const [dir, count = "Infinity"] = process.argv.slice(2)
const kms = await LocalKms.open(dir!)
const client = kms.directClient()

async function work(): Promise<void> {
  for (let i = 0; i < Number(count); i++) {
    const { KeyMetadata } = await client.send(command("CreateKey"))
    const { CiphertextBlob } = await client.send(
      command("GenerateDataKeyWithoutPlaintext", { KeyId: KeyMetadata.KeyId, KeySpec: "AES_256" }),
    )
    const line = { keyId: KeyMetadata.KeyId, blob: Buffer.from(CiphertextBlob).toString("base64") }
    process.stdout.write(`${JSON.stringify(line)}\n`)
  }
}

process.on("unhandledRejection", () => process.exit(UNHANDLED))
try {
  await work()
} catch (error) {
  if (!(error instanceof EnvelopeError) || error.code !== "KmsStore") throw error
  process.exitCode = STORE_FAILED
}
await kms.close()
