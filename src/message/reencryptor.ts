import { type EncryptionContext, EnvelopeError } from "../core/index.ts"
import { PUBLIC_KEY } from "../format/index.ts"
import type { MessageHeader } from "./header-info.ts"
import type { ReadPlan } from "./open.ts"
import type { EncryptOptions } from "./options.ts"
import { deferred, type Processor } from "./processor.ts"
import { tracedDecryptor, tracedEncryptor } from "./traced.ts"
import { planWrite } from "./write.ts"

/** What a re-encryption takes over from the message it reads. */
export interface ReencryptSource {
  readonly plan: ReadPlan
  readonly signed: "refuse" | "verify-at-end"
}

/**
 * Decrypts one message and encrypts its plaintext into another, under a new data key (MSG-10.1). Nothing but frames whose tags
 * verified is encrypted, and the final frame waits for the end of the source, so a bad source never yields a whole
 * message.
 */
export function reencryptor({ plan, signed }: ReencryptSource, to: EncryptOptions): Processor {
  const source = tracedDecryptor("reencrypt", plan, signed)
  const header = deferred<MessageHeader>()
  let target: Processor | undefined
  let closed: Error | undefined

  const openTarget = (sourceHeader: MessageHeader): Processor => {
    if (closed) throw closed
    const processor = tracedEncryptor("reencrypt", planWrite(inherit(sourceHeader, plan, to)), undefined)
    processor.header.then(header.resolve, header.reject)
    return processor
  }

  return {
    header: header.promise,
    async *write(chunk) {
      for await (const piece of source.write(chunk)) {
        target ??= openTarget(await source.header)
        yield* target.write(piece)
      }
    },
    async *end() {
      // MSG-10.2: a source that fails here leaves a target without its final frame.
      yield* source.end()
      target ??= openTarget(await source.header)
      yield* target.end()
    },
    close(error) {
      closed = error ?? new EnvelopeError("Closed", "the stream was destroyed")
      source.close(error)
      target?.close(error)
      header.reject(closed)
    },
  }
}

/** Context, required keys and signature as in the source, where the caller does not say otherwise. */
function inherit(source: MessageHeader, plan: ReadPlan, to: EncryptOptions): EncryptOptions {
  const stored: Record<string, string> = { ...source.encryptionContext }
  delete stored[PUBLIC_KEY]
  const unstored = Object.keys(plan.expected).filter((key) => !Object.hasOwn(source.encryptionContext, key))
  const required = Object.fromEntries(unstored.map((key) => [key, plan.expected[key]!]))
  const encryptionContext: EncryptionContext = { ...stored, ...required }
  const signature = to.signed === undefined && to.suiteId === undefined ? { signed: source.signed } : {}
  return to.encryptionContext === undefined
    ? { ...signature, ...to, encryptionContext, requiredContextKeys: to.requiredContextKeys ?? unstored }
    : { ...signature, ...to }
}
