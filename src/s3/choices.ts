import type { Keyring, KmsClient } from "../core/index.ts"
import { type ClosableKeyring, rawAesKeyring } from "../keyrings/index.ts"

/**
 * How an object is encrypted, as in the console of S3: at most one of the choices. None of them means the client's
 * `keyring`.
 */
export interface EncryptionChoice {
  /** Written as it is, by a client with `allowUnencrypted: true` only. */
  readonly off?: true
  /** Under a key that the embedded KMS's service S3 owns: in the place of SSE-S3. Needs `service`. */
  readonly awsOwnedKey?: true
  /** Under `alias/aws/s3` of the caller's account: in the place of SSE-KMS without a key id. Needs `service`. */
  readonly awsManagedKey?: true
  /** Under a customer managed key: its ARN, id or alias. Needs `kms`. */
  readonly kmsKeyId?: string
  /**
   * Under 32 bytes that the caller keeps, in the place of SSE-C: given with a call, never stored, needed again for
   * every GET, HEAD and COPY. Copied, and overwritten when the call is done.
   */
  readonly customerKey?: Uint8Array
  /** Under this keyring. */
  readonly keyring?: Keyring
  /**
   * With a bucket key. Default: with the client's `keyring` when the client has `bucketKey`, else without. Not together
   * with `off` and `customerKey`.
   */
  readonly bucketKey?: boolean
}

/** What an S3 of the embedded KMS looks like: `kms.service("s3")`. Nothing else has AWS owned and AWS managed keys. */
export interface KmsService {
  readonly name: string
  directClient(options?: { readonly onBehalfOf?: string; readonly region?: string }): KmsClient
}

export type ChoiceName = "off" | "awsOwnedKey" | "awsManagedKey" | "kmsKeyId" | "customerKey" | "keyring"

const NAMES: readonly ChoiceName[] = ["off", "awsOwnedKey", "awsManagedKey", "kmsKeyId", "customerKey", "keyring"]

/**
 * OBJ-6.1: the one choice that was made, if any.
 *
 * @throws TypeError for two choices on one object, and for what is no choice
 */
export function choiceOf(choice: EncryptionChoice): ChoiceName | undefined {
  if (typeof choice !== "object" || choice === null) throw new TypeError("encryption must be an object")
  for (const name of Object.keys(choice)) {
    if (name !== "bucketKey" && !NAMES.includes(name as ChoiceName)) {
      throw new TypeError(`encryption has no choice ${JSON.stringify(name)}: it is one of ${NAMES.join(", ")}`)
    }
  }
  const made = NAMES.filter((name) => choice[name] !== undefined)
  if (made.length > 1) {
    throw new TypeError(`an object is encrypted in one way: encryption names ${made.join(" and ")}`)
  }
  const [name] = made
  if (name !== undefined) checkValue(name, choice[name])
  if (choice.bucketKey !== undefined && typeof choice.bucketKey !== "boolean") {
    throw new TypeError("bucketKey of an encryption must be true or false")
  }
  if (choice.bucketKey === true && (name === "off" || name === "customerKey")) {
    throw new TypeError(`there is no bucket key with ${name}`)
  }
  return name
}

function checkValue(name: ChoiceName, value: unknown): void {
  if (name === "kmsKeyId") {
    if (typeof value !== "string" || value === "") throw new TypeError("kmsKeyId must name a KMS key")
  } else if (name === "customerKey") {
    if (!(value instanceof Uint8Array) || value.length !== 32) throw new TypeError("customerKey must be 32 bytes")
  } else if (name === "keyring") {
    if (typeof (value as Keyring).wrap !== "function") throw new TypeError("keyring must be a keyring")
  } else if (value !== true) {
    throw new TypeError(`${name} must be true where it is given`)
  }
}

/** OBJ-6.4: the provider id of data keys under a customer-provided key. */
export const CUSTOMER_KEY_NAMESPACE = "kms-envelope/customer-key"
export const CUSTOMER_KEY_NAME = "customer-key"

/** Close it when the call is done. */
export const customerKeyring = (wrappingKey: Uint8Array): ClosableKeyring =>
  rawAesKeyring({ keyNamespace: CUSTOMER_KEY_NAMESPACE, keyName: CUSTOMER_KEY_NAME, wrappingKey })

/** Default encryption of one bucket, or of the keys of a bucket that begin so. */
export interface EncryptionRule {
  readonly bucket: string
  /** Default: the whole bucket. Of several prefixes that fit, the longest one counts. */
  readonly prefix?: string
  readonly encryption: EncryptionChoice
}

/** OBJ-6.2: the rule for an object, by the longest prefix. */
export function ruleFor(rules: readonly EncryptionRule[], bucket: string, key: string): EncryptionRule | undefined {
  let found: EncryptionRule | undefined
  for (const rule of rules) {
    const { prefix = "" } = rule
    if (rule.bucket !== bucket || !key.startsWith(prefix)) continue
    if (found === undefined || prefix.length > (found.prefix ?? "").length) found = rule
  }
  return found
}

/** @throws TypeError for rules that contradict one another, and for customer-provided keys, which are never stored */
export function checkRules(rules: readonly EncryptionRule[]): readonly EncryptionRule[] {
  if (!Array.isArray(rules)) throw new TypeError("defaultEncryption must be an array of rules")
  const places = new Set<string>()
  for (const { bucket, prefix = "", encryption } of rules) {
    if (typeof bucket !== "string" || bucket === "" || typeof prefix !== "string") {
      throw new TypeError("a rule of defaultEncryption needs a bucket, and its prefix must be a string")
    }
    const place = JSON.stringify([bucket, prefix])
    if (places.has(place)) throw new TypeError(`defaultEncryption has two rules for ${bucket}/${prefix}`)
    places.add(place)
    if (choiceOf(encryption) === "customerKey") {
      throw new TypeError("customerKey is given with a call and never stored: it cannot be a default")
    }
  }
  return rules.map((rule) => ({ ...rule }))
}
