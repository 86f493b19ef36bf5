import { limitExceeded, utf8 } from "../../core/index.ts"
import { type ObjectEnvelope, V3_WRAPS, type WrapAlgorithm } from "./envelope.ts"
import type { ObjectMetadata } from "./find-envelope.ts"
import { isReservedName, NAMES } from "./names.ts"
import { toBase64, toJson } from "./text.ts"

/** What goes onto the object, and what into its instruction file where there is one. */
export interface WrittenEnvelope {
  /** Names and values for the object's user metadata. */
  readonly metadata: Record<string, string>
  /** The instruction file's body: JSON in ASCII. */
  readonly instructionFile?: string
}

/** CSE-4.1: the names of one format and no other. */
export function writeEnvelope(envelope: ObjectEnvelope): WrittenEnvelope {
  const fields = envelope.format === "V3" ? v3Fields(envelope) : v1v2Fields(envelope)
  if (envelope.location === "metadata") return { metadata: { ...fields.content, ...fields.key } }
  // CSE-1.4: V3 leaves on the object what the ciphertext commits to; V1 and V2 leave nothing.
  if (envelope.format === "V3") return { metadata: fields.content, instructionFile: toJson(fields.key) }
  return { metadata: {}, instructionFile: toJson({ ...fields.content, ...fields.key }) }
}

interface FieldGroups {
  readonly content: Record<string, string>
  readonly key: Record<string, string>
}

function v3Fields(envelope: ObjectEnvelope & { format: "V3" }): FieldGroups {
  const { wrapAlgorithm, description } = envelope
  return {
    content: {
      [NAMES.v3Cipher]: "115",
      [NAMES.v3Commitment]: toBase64(envelope.commitment),
      [NAMES.v3MessageId]: toBase64(envelope.messageId),
    },
    key: {
      [NAMES.v3Key]: toBase64(envelope.wrappedKey),
      [NAMES.v3Wrap]: v3Wrap(wrapAlgorithm),
      [wrapAlgorithm === "kms+context" ? NAMES.v3Context : NAMES.v3Description]: toJson(description),
    },
  }
}

const v3Wrap = (wrapAlgorithm: WrapAlgorithm): string =>
  Object.keys(V3_WRAPS).find((code) => V3_WRAPS[code] === wrapAlgorithm)!

function v1v2Fields(envelope: ObjectEnvelope & { format: "V1" | "V2" }): FieldGroups {
  const { format, suiteId, iv, wrappedKey, wrapAlgorithm, description } = envelope
  const common = { [NAMES.iv]: toBase64(iv), [NAMES.description]: toJson(description) }
  if (format === "V1") return { content: common, key: { [NAMES.v1Key]: toBase64(wrappedKey) } }
  const isGcm = suiteId === 0x72
  return {
    content: {
      ...common,
      [NAMES.contentCipher]: isGcm ? "AES/GCM/NoPadding" : "AES/CBC/PKCS5Padding",
      ...(isGcm && { [NAMES.tagLength]: "128" }),
    },
    key: { [NAMES.v2Key]: toBase64(wrappedKey), [NAMES.wrapAlgorithm]: wrapAlgorithm },
  }
}

/** Bytes of names and values, as S3 counts them. */
const MAX_METADATA_LENGTH = 2048

/**
 * The caller's user metadata with the envelope's.
 *
 * @throws TypeError for a name that belongs to the format (CSE-4.2)
 * @throws EnvelopeError `LimitExceeded` above S3's 2,048 bytes (CSE-4.4)
 */
export function withEnvelope(metadata: ObjectMetadata | undefined, written: WrittenEnvelope): Record<string, string> {
  for (const name of Object.keys(metadata ?? {})) {
    if (isReservedName(name.toLowerCase())) {
      throw new TypeError(`Metadata must not have ${name}, which belongs to the S3 Encryption Client's format`)
    }
  }
  const all = { ...metadata, ...written.metadata }
  let length = 0
  for (const [name, value] of Object.entries(all)) length += utf8(name).length + utf8(value).length
  if (length > MAX_METADATA_LENGTH) {
    throw limitExceeded(
      "the user metadata with the envelope, in bytes,",
      length,
      MAX_METADATA_LENGTH,
      "instructionFile, which moves the envelope out of it",
    )
  }
  return all
}

/** The user metadata without what belongs to the format. */
export const withoutEnvelope = (metadata: ObjectMetadata | undefined): Record<string, string> =>
  Object.fromEntries(Object.entries(metadata ?? {}).filter(([name]) => !isReservedName(name.toLowerCase())))
