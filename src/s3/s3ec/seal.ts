import type { Readable } from "node:stream"
import { allocateUnfilled, EnvelopeError, limitExceeded, viewBytes } from "../../core/index.ts"
import {
  deriveObjectKeys,
  IV_LENGTH,
  OBJECT_ID_LENGTH,
  randomBytes,
  sealBody,
  TAG_LENGTH,
  wipe,
} from "../../crypto/index.ts"
import { checkCallerContext, contentCipherOf, NO_AAD, type S3ecCallOptions, V3_AAD, V3_IV } from "./content-key.ts"
import type { ObjectEnvelope } from "./envelope.ts"
import type { S3ecWrapResult } from "./key.ts"
import { MAX_PLAINTEXT_LENGTH, type S3ecPlan } from "./plan.ts"
import { type ByteSource, readableOf, toSource } from "./readable.ts"
import { type WrittenEnvelope, writeEnvelope } from "./write-envelope.ts"

/** Bytes of the object for so many of plaintext. */
export const sealedObjectLength = (plaintextLength: number): number => plaintextLength + TAG_LENGTH

/** @throws EnvelopeError `LimitExceeded` above 2^36 - 32 bytes (CSE-2.6) */
export function checkPlaintextLength(length: number): void {
  if (length > MAX_PLAINTEXT_LENGTH) {
    throw limitExceeded("the plaintext, in bytes,", length, MAX_PLAINTEXT_LENGTH, "none: it is the format's")
  }
}

/**
 * Seals one object as one continuous stream, in the order of its bytes and once: what was sealed must be sent again as it
 * is, never sealed again. Sizes of chunks do not matter, so that parts of a multipart upload are cut anywhere.
 */
export interface ObjectSealer extends WrittenEnvelope {
  /** @throws EnvelopeError `LimitExceeded`, `Closed` after `finish` or `close` */
  update(chunk: Uint8Array): Uint8Array
  /** The tag: the last 16 bytes of the object. */
  finish(): Uint8Array
  /** Gives the cipher up. Nothing may be sealed any more. */
  close(): void
}

/**
 * Obtains a data key and begins an object.
 *
 * @throws TypeError for a context with reserved names, or one for a key that binds none
 * @throws what the key throws, and the signal's reason
 */
export async function objectSealer(plan: S3ecPlan, options: S3ecCallOptions = {}): Promise<ObjectSealer> {
  const { suiteId, key } = plan
  const { signal, plaintextLength } = options
  const encryptionContext = checkCallerContext(options.encryptionContext)
  if (!key.bindsContext && Object.keys(encryptionContext).length > 0) {
    throw new TypeError(`the ${key.name} binds no encryption context: give none, or use a KMS key`)
  }
  signal?.throwIfAborted()
  const contentCipher = contentCipherOf(suiteId)
  const length = plaintextLength !== undefined && { plaintextLength }
  const wrapped = await key.wrap({ contentCipher, encryptionContext, ...length, ...(signal && { signal }) })
  try {
    signal?.throwIfAborted()
    if (wrapped.dataKey.length !== 32) throw new EnvelopeError("WrapFailed", `the ${key.name} gave no 32-byte data key`)
    return suiteId === 0x73 ? committingSealer(plan, wrapped) : plainSealer(plan, wrapped)
  } finally {
    wipe(wrapped.dataKey)
  }
}

function committingSealer(plan: S3ecPlan, wrapped: S3ecWrapResult): ObjectSealer {
  const messageId = randomBytes(OBJECT_ID_LENGTH)
  const { commitment, encryptionKey } = deriveObjectKeys(wrapped.dataKey, messageId)
  try {
    return sealer(sealBody(encryptionKey, V3_IV, V3_AAD), {
      format: "V3",
      suiteId: 0x73,
      messageId,
      commitment,
      ...envelopeFields(plan, wrapped),
    })
  } finally {
    // The cipher has a copy within OpenSSL.
    wipe(encryptionKey)
  }
}

function plainSealer(plan: S3ecPlan, wrapped: S3ecWrapResult): ObjectSealer {
  const iv = randomBytes(IV_LENGTH)
  const cipher = sealBody(wrapped.dataKey, iv, NO_AAD)
  return sealer(cipher, { format: "V2", suiteId: 0x72, iv, ...envelopeFields(plan, wrapped) })
}

const envelopeFields = ({ instructionFile }: S3ecPlan, { wrapAlgorithm, wrappedKey, description }: S3ecWrapResult) => ({
  location: instructionFile ? ("instruction-file" as const) : ("metadata" as const),
  wrapAlgorithm,
  wrappedKey,
  description,
})

function sealer(cipher: ReturnType<typeof sealBody>, envelope: ObjectEnvelope): ObjectSealer {
  let open: typeof cipher | undefined = cipher
  let length = 0
  const current = () => {
    if (open === undefined) throw new EnvelopeError("Closed", "the object was sealed to its end, or given up")
    return open
  }
  return {
    ...writeEnvelope(envelope),
    update(chunk) {
      length += chunk.length
      checkPlaintextLength(length)
      return current().update(chunk)
    },
    finish() {
      const tag = current().finish()
      open = undefined
      return tag
    },
    close() {
      open = undefined
    },
  }
}

export interface SealedObject extends WrittenEnvelope {
  /** Ciphertext and tag. May be sent again as it is. */
  readonly body: Uint8Array
}

/** Seals an object held in memory. @throws what `objectSealer` throws */
export async function sealObject(
  plan: S3ecPlan,
  plaintext: Uint8Array,
  options: S3ecCallOptions = {},
): Promise<SealedObject> {
  checkPlaintextLength(plaintext.length)
  const {
    update,
    finish,
    close: _close,
    ...written
  } = await objectSealer(plan, {
    ...options,
    plaintextLength: plaintext.length,
  })
  const body = allocateUnfilled(sealedObjectLength(plaintext.length))
  body.set(update(plaintext))
  body.set(finish(), plaintext.length)
  return { ...written, body }
}

/**
 * An object's ciphertext and tag as a stream. It can be read once: whoever retries must keep what it gave, or begin anew
 * with another sealer. A source that fails fails it, and no tag follows.
 */
export function sealedStream(sealer: ObjectSealer, source: ByteSource, signal?: AbortSignal): Readable {
  const chunks = toSource(source)
  async function* seal() {
    for await (const chunk of chunks) {
      const sealed = sealer.update(viewBytes(chunk, "chunk"))
      if (sealed.length > 0) yield sealed
    }
    yield sealer.finish()
  }
  return readableOf(seal(), chunks, signal, sealer.close)
}
