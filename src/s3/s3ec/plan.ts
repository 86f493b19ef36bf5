import { type CommitmentPolicy, EnvelopeError } from "../../core/index.ts"
import { checkPolicy, suiteName } from "../../crypto/index.ts"
import type { S3ecKey } from "./key.ts"
import { INSTRUCTION_FILE_SUFFIX } from "./names.ts"

/** Objects of the Amazon S3 Encryption Client: what is written, and what may be read. */
export interface S3ecOptions {
  /** Wraps and unwraps data keys. */
  readonly key: S3ecKey
  /**
   * More keys that unwrap: where raw keys were rotated, the one whose material description stands beside the wrapped key
   * comes first, then `key`, then the others. Default: none.
   */
  readonly additionalKeys?: readonly S3ecKey[]
  /**
   * `RequireEncryptRequireDecrypt` (default) writes and reads format V3 only. `RequireEncryptAllowDecrypt` writes V3 and
   * reads the formats without key commitment too, `ForbidEncryptAllowDecrypt` writes V2 and reads all.
   */
  readonly commitmentPolicy?: CommitmentPolicy
  /** The suite to write: 0x73 (format V3) or 0x72 (V2). Default: the one that the commitment policy writes. */
  readonly suiteId?: number
  /** Put the wrapped key into an object of its own, `<key>.instruction`. Default: false, into the object's metadata. */
  readonly instructionFile?: boolean
  /**
   * What follows the object's key in the key of the instruction file that is read, for readers who have a file of their
   * own (`reencryptInstructionFile`). Not together with `instructionFile`. Default: `.instruction`.
   */
  readonly instructionFileSuffix?: string
  /**
   * Reads data keys wrapped by `kms` without the content cipher in their context, AESWrap, AES-ECB, Java's RSA-OAEP and
   * RSA PKCS #1 v1.5, as clients of version 1 wrote them. Default: false.
   */
  readonly legacyWrapping?: boolean
  /**
   * Reads AES-CBC objects, as clients of version 1 wrote them. Nothing authenticates them: whoever can write the bucket
   * can change the plaintext, and by watching errors may learn it. Default: false.
   */
  readonly unauthenticatedCbc?: boolean
  /**
   * Reads parts of an object, by AES-CTR. Nothing authenticates them: whoever can write the bucket can flip single bits
   * of the plaintext. Default: false.
   */
  readonly unauthenticatedRanges?: boolean
  /**
   * Releases plaintext of streams before the object's one tag, at its end, was checked. A stream that fails has given out
   * bytes that may not be authentic. Default: false. Not together with `bufferSize` or `spool`.
   */
  readonly delayedAuthentication?: boolean
  /**
   * Bytes of plaintext that a stream holds in memory until the tag verified: 16 to 2^36 - 32. Default: 67,108,864
   * (64 MiB). A larger object is refused with `LimitExceeded`, unless `spool` names a folder.
   */
  readonly bufferSize?: number
  /**
   * A folder for temporary files that hold the plaintext of larger objects until the tag verified, encrypted under a key
   * that only this process has, and only in memory. Default: none.
   */
  readonly spool?: string
}

/** Bytes of plaintext in one object: what AES-GCM encrypts under one key and IV (NIST SP 800-38D, section 5.2.1.1). */
export const MAX_PLAINTEXT_LENGTH = 2 ** 36 - 32
const DEFAULT_BUFFER_SIZE = 64 * 1024 * 1024
const MIN_BUFFER_SIZE = 16

/** Checked options. */
export interface S3ecPlan {
  readonly key: S3ecKey
  readonly additionalKeys: readonly S3ecKey[]
  readonly commitmentPolicy: CommitmentPolicy
  readonly suiteId: 0x72 | 0x73
  readonly instructionFile: boolean
  readonly instructionFileSuffix: string
  readonly legacyWrapping: boolean
  readonly unauthenticatedCbc: boolean
  readonly unauthenticatedRanges: boolean
  readonly release: ReleasePolicy
}

/** When a stream gives plaintext out. */
export type ReleasePolicy =
  | { readonly when: "at-once" }
  | { readonly when: "verified"; readonly bufferSize: number; readonly spool: string | undefined }

/**
 * @throws TypeError for options of the wrong type or that exclude each other, and for a legacy suite
 * @throws RangeError for a buffer size out of its limits
 * @throws EnvelopeError `CommitmentPolicy` when policy and suite disagree
 */
export function planS3ec(options: S3ecOptions): S3ecPlan {
  const commitmentPolicy = checkPolicy(options.commitmentPolicy)
  return {
    key: checkKey(options.key, "key"),
    additionalKeys: (options.additionalKeys ?? []).map((key) => checkKey(key, "each of additionalKeys")),
    commitmentPolicy,
    suiteId: suiteToWrite(commitmentPolicy, options.suiteId),
    instructionFile: flag(options, "instructionFile"),
    instructionFileSuffix: suffixOf(options),
    legacyWrapping: flag(options, "legacyWrapping"),
    unauthenticatedCbc: flag(options, "unauthenticatedCbc"),
    unauthenticatedRanges: flag(options, "unauthenticatedRanges"),
    release: releasePolicy(options),
  }
}

/**
 * One line for mail that Amazon SES stored encrypted, which is format V2 under the legacy wrapping `kms`. SES chooses
 * context and format; mail is read, not written.
 */
export const sesMail = (key: S3ecKey): S3ecOptions => ({
  key,
  commitmentPolicy: "RequireEncryptAllowDecrypt",
  legacyWrapping: true,
})

// --- internal ---

/** CSE-7.1 */
function suiteToWrite(policy: CommitmentPolicy, id: number | undefined): 0x72 | 0x73 {
  const own = policy === "ForbidEncryptAllowDecrypt" ? 0x72 : 0x73
  if (id === undefined || id === own) return own
  if (id !== 0x72 && id !== 0x73) throw new TypeError("suiteId must be 0x73 (format V3) or 0x72 (V2)")
  throw new EnvelopeError(
    "CommitmentPolicy",
    `commitment policy ${policy} does not write suite ${suiteName(id)}, which ${id === 0x73 ? "commits" : "does not commit"} to its key`,
  )
}

type Flag =
  | "instructionFile"
  | "legacyWrapping"
  | "unauthenticatedCbc"
  | "unauthenticatedRanges"
  | "delayedAuthentication"

/** A risk is taken by `true` only, not by what counts as true. */
function flag(options: S3ecOptions, name: Flag): boolean {
  const value: unknown = options[name] ?? false
  if (typeof value !== "boolean") throw new TypeError(`${name} must be true or false`)
  return value
}

/** CSE-1.5 */
function suffixOf({ instructionFile, instructionFileSuffix = INSTRUCTION_FILE_SUFFIX }: S3ecOptions): string {
  if (typeof instructionFileSuffix !== "string" || instructionFileSuffix === "") {
    throw new TypeError("instructionFileSuffix must be a string")
  }
  if (instructionFile && instructionFileSuffix !== INSTRUCTION_FILE_SUFFIX) {
    throw new TypeError(
      "instructionFileSuffix is for reading: new objects have their instruction file under .instruction",
    )
  }
  return instructionFileSuffix
}

/** CSE-8.1 */
function releasePolicy(options: S3ecOptions): ReleasePolicy {
  const { bufferSize = DEFAULT_BUFFER_SIZE, spool } = options
  if (spool !== undefined && (typeof spool !== "string" || spool === "")) throw new TypeError("spool must be a folder")
  if (!Number.isSafeInteger(bufferSize) || bufferSize < MIN_BUFFER_SIZE || bufferSize > MAX_PLAINTEXT_LENGTH) {
    throw new RangeError(`bufferSize must be ${MIN_BUFFER_SIZE} to ${MAX_PLAINTEXT_LENGTH} bytes`)
  }
  if (!flag(options, "delayedAuthentication")) return { when: "verified", bufferSize, spool }
  if (options.bufferSize !== undefined || spool !== undefined) {
    throw new TypeError("delayedAuthentication holds nothing back: give it, or bufferSize and spool")
  }
  return { when: "at-once" }
}

function checkKey(key: S3ecKey, what: string): S3ecKey {
  if (typeof key?.wrap === "function" && typeof key.unwrap === "function") return key
  throw new TypeError(`${what} must be a key of s3ecKmsKey, s3ecAesKey or s3ecRsaKey`)
}
