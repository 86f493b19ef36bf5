import { allocate, type EncryptionContext, type Keyring } from "../core/index.ts"
import { wipe } from "../crypto/index.ts"
import { encodeHeader, headerLength } from "../format/index.ts"
import { type BodyJob, layoutOfPlaintext, sealPart } from "../framing/index.ts"
import { type EncryptOptions, obtainMaterials, openWrite, planWrite } from "../message/index.ts"
import { type MessageFacts, withMessageMetadata } from "./metadata.ts"
import type { Settings } from "./options.ts"

/** An object whose parts are sealed one by one: those of an unsigned message in any order. */
export interface ObjectWriter {
  /** The caller's metadata with what the format adds. */
  describe(metadata: Record<string, string> | undefined): Record<string, string>
  /** The body of the instruction file, where the wrapped key goes there. */
  readonly instructionFile?: string
  /** Parts but the last are a multiple of so many bytes. */
  readonly frameLength: number
  /**
   * OBJ-4.1: the bytes of one part. Each frame is sealed at most once: call it once for each part, and keep the bytes
   * for whoever sends them again.
   *
   * @param start where the part begins in the plaintext, a multiple of the frame length
   * @param into memory that may be used again for the result
   */
  seal(
    start: number,
    plaintext: Uint8Array,
    final: boolean,
    options?: { readonly signal?: AbortSignal | undefined; readonly into?: Uint8Array | undefined },
  ): Promise<Uint8Array>
  /** Overwrites the key. */
  close(): void
}

export interface WriteRequest {
  readonly keyring: Keyring
  readonly encryptionContext: EncryptionContext
  readonly plaintextLength: number | undefined
  readonly signal: AbortSignal | undefined
}

export const encryptOptions = (
  { frameLength, signed, commitmentPolicy }: Settings,
  { keyring, encryptionContext, signal }: WriteRequest,
): EncryptOptions => ({
  keyring,
  encryptionContext,
  frameLength,
  signed,
  ...(commitmentPolicy !== undefined && { commitmentPolicy }),
  ...(signal && { signal }),
})

/** Asks the keyring for a data key; nothing is written yet. @throws what `encrypt` throws */
export async function openWriter(settings: Settings, request: WriteRequest): Promise<ObjectWriter> {
  const plan = planWrite({ ...encryptOptions(settings, request), signed: false })
  const { plaintextLength } = request
  if (plaintextLength !== undefined) layoutOfPlaintext(plaintextLength, plan.frameLength)
  const materials = await obtainMaterials(plan, plaintextLength)
  try {
    const { fields, key, tag } = openWrite(plan, materials)
    const header = allocate(headerLength(fields))
    encodeHeader(fields, header, tag)
    const { suite, frameLength } = plan
    const { messageId, wrappedKeys } = fields
    const job: BodyJob = { suite, key, messageId, shape: fields }
    const none = allocate(0)
    const facts: MessageFacts = {
      suiteId: suite.id,
      wrappedKeys,
      headerLength: header.length,
      frameLength,
      plaintextLength,
    }
    return {
      describe: (metadata) => withMessageMetadata(metadata, facts),
      frameLength,
      seal(start, plaintext, final, { signal, into } = {}) {
        const part = { firstIndex: start / frameLength, plaintext, final }
        return sealPart({ ...job, signal }, part, start === 0 ? header : none, into)
      },
      close: () => wipe(key),
    }
  } finally {
    materials.release()
  }
}
