import { type Inspected, reencrypt } from "../../message/index.ts"
import { contextOptions } from "../context.ts"
import { orUsageError } from "../failures.ts"
import { decodeInput, runJob } from "../job.ts"
import { decryptionKeyring, encryptionKeyring } from "../keys.ts"
import { type Kms, openKms } from "../kms.ts"
import { formatKmsAddress, kmsAddress } from "../kms-address.ts"
import { type ReencryptOptions, readingOptions, writingOptions } from "../options.ts"
import { peekMessage } from "../peek.ts"
import { checkProvenance } from "../provenance.ts"
import { openSource } from "../source.ts"
import { openTarget } from "../target.ts"
import { binaryToTerminal } from "./encrypt.ts"

export async function reencryptCommand(file: string | undefined, options: ReencryptOptions): Promise<void> {
  const { base64 = false, json = false, force = false, output, limit = {} } = options
  const source = await openSource(file)
  const target = await openTarget({ path: output, force, source })
  if (target.isTerminal && !base64) throw binaryToTerminal()
  const to = kmsAddress(options.kms)
  const from = kmsAddress(options.fromKms ?? options.kms)
  const opened: Kms[] = []
  try {
    await runJob({ verb: ["re-encrypting", "re-encrypted"], source, target, json }, async (input) => {
      const { message, chunks } = await peekMessage(decodeInput(input, base64), limit)
      checkProvenance(message, from, "--from-kms")
      const toKms = await openKms(to)
      opened.push(toKms)
      const fromKms = formatKmsAddress(from) === formatKmsAddress(to) ? toKms : await openKms(from)
      opened.push(fromKms)
      const stream = await reencryptBetween(fromKms, toKms, message, options)
      return { input: chunks, stream: () => stream, encodesBase64: base64 }
    })
  } finally {
    for (const kms of opened) await kms.close()
  }
}

async function reencryptBetween(fromKms: Kms, toKms: Kms, message: Inspected, options: ReencryptOptions) {
  const fromKeyring = await decryptionKeyring(fromKms, message, { key: options.fromKey, account: options.account })
  const toKeyring = await encryptionKeyring(toKms, options.key)
  return orUsageError(() =>
    reencrypt({
      from: {
        keyring: fromKeyring,
        ...contextOptions(options.fromContext, options.fromRequiredContext),
        ...readingOptions(options),
        signed: "verify-at-end",
      },
      to: {
        keyring: toKeyring,
        ...contextOptions(options.context, options.requiredContext),
        ...writingOptions(options),
      },
    }),
  )
}
