import { EnvelopeError, type KmsClient } from "../../core/index.ts"
import { callKms, parseKeyArn } from "../../keyrings/index.ts"
import type { ObjectEnvelope } from "../s3ec/index.ts"
import type { AuditedObject } from "./entry.ts"
import type { Seen } from "./look.ts"

export interface UnderKeyOptions {
  /** The ARN of the KMS key in question. */
  readonly keyArn: string
  /**
   * Objects of the S3 Encryption Client do not name their key. With a KMS client, KMS is asked: Decrypt as a dry run, under
   * this key, once for each distinct wrapped key. It needs the permission kms:Decrypt and gives no data key away.
   */
  readonly kms?: KmsClient
}

export type UnderKey = NonNullable<AuditedObject["underKey"]>

/** OBJ-10.4 @returns whether reading the object takes the key, on the client's layer or on S3's */
export function underKeyTeller({ keyArn, kms }: UnderKeyOptions): (seen: Seen) => Promise<UnderKey> {
  if (parseKeyArn(keyArn) === undefined) throw new TypeError("keyArn must be the ARN of a KMS key")
  const answers = new Map<string, Promise<UnderKey>>()
  const ask = (envelope: ObjectEnvelope, client: KmsClient): Promise<UnderKey> => {
    const id = Buffer.from(envelope.wrappedKey).toString("base64")
    let answer = answers.get(id)
    if (answer === undefined) {
      answer = askKms(envelope, keyArn, client)
      answers.set(id, answer)
    }
    return answer
  }
  return async ({ object, envelope }) => {
    const { serverSide, serverSideKeyId, format, keys } = object
    if (serverSideKeyId !== undefined && isSameKey(keyArn, serverSideKeyId)) return "yes"
    if (keys.some((key) => key.keyArn !== undefined && isSameKey(keyArn, key.keyArn))) return "yes"
    if (format === "unknown" || serverSide === "unknown") return "unknown"
    const unnamed = keys.filter((key) => key.keyArn === undefined && ["kms", "bucket-key"].includes(key.wrappedBy))
    if (unnamed.length === 0) return "no"
    return envelope !== undefined && kms !== undefined ? ask(envelope, kms) : "unknown"
  }
}

// --- internal ---

/** The replicas of a multi-Region key are one key: deleting one of them is safe, deleting the last one is not. */
function isSameKey(keyArn: string, other: string): boolean {
  if (other === keyArn) return true
  const id = keyArn.slice(keyArn.lastIndexOf("/") + 1)
  // S3 may name the key of SSE-KMS by its id.
  if (other === id) return true
  return id.startsWith("mrk-") && other.endsWith(`/${id}`) && other.split(":")[4] === keyArn.split(":")[4]
}

async function askKms(
  { wrappedKey, description }: ObjectEnvelope,
  keyId: string,
  client: KmsClient,
): Promise<UnderKey> {
  const input = { KeyId: keyId, CiphertextBlob: wrappedKey, EncryptionContext: { ...description }, DryRun: true }
  try {
    await callKms("Decrypt", client, input, { keyId })
  } catch (error) {
    const { name } = error as EnvelopeError
    if (name === "DryRunOperationException") return "yes"
    if (name === "IncorrectKeyException") return "no"
    if (!(error instanceof EnvelopeError)) throw error
  }
  return "unknown"
}
