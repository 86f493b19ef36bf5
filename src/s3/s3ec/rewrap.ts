import { type EncryptionContext, EnvelopeError, type KmsClient } from "../../core/index.ts"
import { callKms, checkClient, parseKeyIdentifier, takeCiphertext } from "../../keyrings/index.ts"
import { checkCallerContext, contentCipherOf } from "./content-key.ts"
import type { ObjectEnvelope } from "./envelope.ts"
import { CIPHER_PAIR } from "./names.ts"
import { type WrittenEnvelope, writeEnvelope } from "./write-envelope.ts"

export interface RewrapOptions {
  readonly client: KmsClient
  /** The KMS key to move to: key ARN, alias ARN, key id or `alias/...`. */
  readonly keyId: string
  /** The KMS key that must have wrapped the data key. Default: the one that the wrapped key names. */
  readonly sourceKeyId?: string
  /** The caller's pairs for the new wrapped key, for instance of an object's new place. Default: as they are. */
  readonly encryptionContext?: EncryptionContext
  /** Sent with the request; at most 10 (KMS's limit). */
  readonly grantTokens?: readonly string[]
  readonly signal?: AbortSignal
}

/** A data key as another KMS key wraps it. */
export interface RewrappedKey {
  readonly wrappedKey: Uint8Array
  readonly description: EncryptionContext
  /** As KMS tells them; undefined where a stub does not. */
  readonly sourceKeyArn: string | undefined
  readonly keyArn: string | undefined
}

/**
 * CSE-9.3: moves a data key to another KMS key with one ReEncrypt, without it ever leaving KMS. The result serves every
 * object of the same wrapped key.
 *
 * @throws TypeError for a client or key id that is none, and for reserved names in the context
 * @throws EnvelopeError `NoMatchingKey` for an object of a raw key, `UnsupportedFormat` for a new context for the legacy
 * `kms`, `KmsError`, and the signal's reason
 */
export async function rewrapDataKey(envelope: ObjectEnvelope, options: RewrapOptions): Promise<RewrappedKey> {
  const { client, signal } = options
  checkClient(client, "client")
  const keyId = parseKeyIdentifier(options.keyId, "keyId").text
  const { wrapAlgorithm, wrappedKey } = envelope
  if (wrapAlgorithm !== "kms+context" && wrapAlgorithm !== "kms") {
    throw new EnvelopeError("NoMatchingKey", `the object's data key is wrapped by ${wrapAlgorithm}, not by KMS`)
  }
  const description = newDescription(envelope, options.encryptionContext)
  const input = {
    CiphertextBlob: wrappedKey,
    SourceEncryptionContext: { ...envelope.description },
    ...(options.sourceKeyId !== undefined && { SourceKeyId: options.sourceKeyId }),
    DestinationKeyId: keyId,
    DestinationEncryptionContext: { ...description },
    ...(options.grantTokens?.length && { GrantTokens: [...options.grantTokens] }),
  }
  const response = await callKms("ReEncrypt", client, input, { keyId, ...(signal && { signal }) })
  const { SourceKeyId: sourceKeyArn, KeyId: keyArn } = response
  return { wrappedKey: takeCiphertext("ReEncrypt", response), description, sourceKeyArn, keyArn }
}

/** What replaces the metadata, or the instruction file, of an object of the data key; its body stays. */
export const withRewrappedKey = (
  envelope: ObjectEnvelope,
  { wrappedKey, description }: RewrappedKey,
): WrittenEnvelope => writeEnvelope({ ...envelope, wrappedKey, description })

function newDescription(envelope: ObjectEnvelope, context: EncryptionContext | undefined): EncryptionContext {
  if (context === undefined) return envelope.description
  const pairs = checkCallerContext(context)
  if (envelope.wrapAlgorithm === "kms+context") return { ...pairs, [CIPHER_PAIR]: contentCipherOf(envelope.suiteId) }
  throw new EnvelopeError("UnsupportedFormat", "an object of the legacy wrapping kms keeps its encryption context")
}
