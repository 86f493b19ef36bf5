import { EnvelopeError } from "../../core/index.ts"
import { encryptFile, encryptStream } from "../../message/index.ts"
import { contextOptions } from "../context.ts"
import { CliError, usageError } from "../failures.ts"
import { runJob } from "../job.ts"
import { encryptionKeyring } from "../keys.ts"
import { openKms } from "../kms.ts"
import { kmsAddress } from "../kms-address.ts"
import { type WriteOptions, writingOptions } from "../options.ts"
import { openSource } from "../source.ts"
import { openTarget } from "../target.ts"

export async function encryptCommand(file: string | undefined, options: WriteOptions): Promise<void> {
  const { base64 = false, json = false, force = false, output } = options
  const context = contextOptions(options.context, options.requiredContext)
  const source = await openSource(file)
  const target = await openTarget({ path: output, force, source })
  if (target.isTerminal && !base64) throw binaryToTerminal()
  const kms = await openKms(kmsAddress(options.kms))
  try {
    const keyring = await encryptionKeyring(kms, options.key)
    await runJob({ verb: ["encrypting", "encrypted"], source, target, json }, async (input) => {
      const how = { keyring, ...context, ...writingOptions(options) }
      return {
        input,
        stream: () => encryptStream(how),
        files: base64 ? undefined : (from, to, progress) => encryptFile(from, to, { ...how, progress }).catch(shrunk),
        encodesBase64: base64,
      }
    })
  } finally {
    await kms.close()
  }
}

export const binaryToTerminal = (): CliError =>
  usageError("a message is binary, and the output a terminal", "write to a file with -o FILE, or add --base64")

/** A plaintext that ends early is no message that does. */
function shrunk(error: unknown): never {
  const isShorter = error instanceof EnvelopeError && error.code === "TruncatedMessage"
  throw isShorter ? new CliError("inputOutput", error.message) : error
}
