import { decryptFile, decryptStream, type Inspected } from "../../message/index.ts"
import { contextOptions } from "../context.ts"
import { CliError } from "../failures.ts"
import { decodeInput, runJob } from "../job.ts"
import { decryptionKeyring } from "../keys.ts"
import { type Kms, openKms } from "../kms.ts"
import { kmsAddress } from "../kms-address.ts"
import { type ReadOptions, readingOptions } from "../options.ts"
import { peekMessage } from "../peek.ts"
import { checkProvenance } from "../provenance.ts"
import { openSource } from "../source.ts"
import { openTarget, type Target } from "../target.ts"

export async function decryptCommand(file: string | undefined, options: ReadOptions): Promise<void> {
  const { base64, json = false, force = false, output, verifyAtEnd = false, limit = {} } = options
  const address = kmsAddress(options.kms)
  const context = contextOptions(options.context, options.requiredContext)
  const source = await openSource(file)
  const target = await openTarget({ path: output, force, source })
  let kms: Kms | undefined
  try {
    await runJob({ verb: ["decrypting", "decrypted"], source, target, json }, async (input) => {
      const { message, chunks } = await peekMessage(decodeInput(input, base64), limit)
      checkProvenance(message, address, "--kms")
      checkSigned(message, target, verifyAtEnd)
      kms = await openKms(address)
      const keyring = await decryptionKeyring(kms, message, options)
      const how = { keyring, ...context, ...readingOptions(options) }
      return {
        input: chunks,
        stream: () => decryptStream({ ...how, signed: "verify-at-end" }),
        files: base64 ? undefined : (from, to, progress) => decryptFile(from, to, { ...how, progress }),
        textOnly: target.isTerminal,
      }
    })
  } finally {
    await kms?.close()
  }
}

/** A file appears only after the signature verified; what went into a pipe cannot be called back. */
function checkSigned(message: Inspected, target: Target, verifyAtEnd: boolean): void {
  if (!message.signed || target.isFile || verifyAtEnd) return
  throw new CliError("policy", `the message is signed, and its signature is checked after all went to ${target.name}`, {
    hint: "write to a file with -o FILE, which appears only when it verifies; or accept it: --verify-at-end",
  })
}
