/** Names of S3 user metadata that carry the envelope, lower-case and without `x-amz-meta-`. */
export const NAMES = {
  v1Key: "x-amz-key",
  v2Key: "x-amz-key-v2",
  iv: "x-amz-iv",
  description: "x-amz-matdesc",
  wrapAlgorithm: "x-amz-wrap-alg",
  contentCipher: "x-amz-cek-alg",
  tagLength: "x-amz-tag-len",
  v3Cipher: "x-amz-c",
  v3Key: "x-amz-3",
  v3Wrap: "x-amz-w",
  v3Context: "x-amz-t",
  v3Description: "x-amz-m",
  v3Commitment: "x-amz-d",
  v3MessageId: "x-amz-i",
} as const

const V1_V2: readonly string[] = [
  NAMES.v1Key,
  NAMES.v2Key,
  NAMES.iv,
  NAMES.description,
  NAMES.wrapAlgorithm,
  NAMES.contentCipher,
  NAMES.tagLength,
]
/** What V3 keeps on the object when the rest is in an instruction file. */
export const V3_ON_OBJECT: readonly string[] = [NAMES.v3Cipher, NAMES.v3Commitment, NAMES.v3MessageId]
const V3: readonly string[] = [...V3_ON_OBJECT, NAMES.v3Key, NAMES.v3Wrap, NAMES.v3Context, NAMES.v3Description]

/** CSE-1.4 */
export const INSTRUCTION_FILE_SUFFIX = ".instruction"

/** The marker on an instruction file, with an empty value. */
export const INSTRUCTION_FILE_MARK = "x-amz-crypto-instr-file"
export const PLAINTEXT_LENGTH = "x-amz-unencrypted-content-length"
/** Say something about the object and take no part in decryption. */
const INFORMATIONAL: readonly string[] = [INSTRUCTION_FILE_MARK, PLAINTEXT_LENGTH]

export const isV1V2Name = (name: string): boolean => V1_V2.includes(name)
export const isV3Name = (name: string): boolean => V3.includes(name)
export const isEnvelopeName = (name: string): boolean => isV1V2Name(name) || isV3Name(name)
/** CSE-4.2: names that user metadata may not have beside an envelope. */
export const isReservedName = (name: string): boolean => isEnvelopeName(name) || INFORMATIONAL.includes(name)

/** The pair that binds the content cipher to the wrapped key of KMS. */
export const CIPHER_PAIR = "aws:x-amz-cek-alg"
/** Written by old clients beside the caller's pairs. */
export const KEY_ID_PAIR = "kms_cmk_id"
