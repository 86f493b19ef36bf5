import { EnvelopeError, malformed } from "../../core/index.ts"
import { IV_LENGTH, OBJECT_ID_LENGTH } from "../../crypto/index.ts"
import { isV1V2Name, isV3Name, NAMES, PLAINTEXT_LENGTH } from "./names.ts"
import { decodeStored, fromBase64, fromJson, type StringMap } from "./text.ts"

/** How a data key is wrapped, by the names of format V2; `AES` (ECB) and `RSA` (PKCS #1 v1.5) are V1's. */
export type WrapAlgorithm =
  | "kms+context"
  | "AES/GCM"
  | "RSA-OAEP-SHA1"
  | "kms"
  | "AESWrap"
  | "RSA/ECB/OAEPWithSHA-256AndMGF1Padding"
  | "AES"
  | "RSA"

interface EnvelopeFields {
  /** Where the wrapped key was found. */
  readonly location: "metadata" | "instruction-file"
  readonly wrapAlgorithm: WrapAlgorithm
  readonly wrappedKey: Uint8Array
  /** The encryption context as KMS got it, or the material description of a raw key. */
  readonly description: StringMap
  /** Bytes, as some writers note it. Nothing authenticates it. */
  readonly claimedLength?: number
}

/** CSE-1.1: what an object says of its encryption, before any key was asked: unauthenticated. */
export type ObjectEnvelope = EnvelopeFields &
  (
    | { readonly format: "V1"; readonly suiteId: 0x70; readonly iv: Uint8Array }
    | { readonly format: "V2"; readonly suiteId: 0x70 | 0x72; readonly iv: Uint8Array }
    | {
        readonly format: "V3"
        readonly suiteId: 0x73
        readonly messageId: Uint8Array
        readonly commitment: Uint8Array
      }
  )

/** The fields of an envelope by their metadata names, wherever they were found. */
export type Fields = ReadonlyMap<string, string>

export interface FieldSource {
  readonly fields: Fields
  /** Of the wrapped key. S3 encodes values of metadata, and none in an instruction file. */
  readonly location: "metadata" | "instruction-file"
}

/**
 * CSE-3.1: the format is told by what is there as a whole, not by a single name, and nothing may be there that belongs to
 * another format.
 *
 * @throws EnvelopeError `MalformedMessage`, or `UnsupportedFormat` for algorithms that no version knows
 */
export function parseEnvelope(source: FieldSource): ObjectEnvelope {
  const names = [...source.fields.keys()]
  const keys = [NAMES.v1Key, NAMES.v2Key, NAMES.v3Key].filter((name) => source.fields.has(name))
  const isMixed = names.some(isV1V2Name) && names.some(isV3Name)
  // CSE-3.2: a V2 object with `x-amz-c` added must not pass for a committing one, nor the reverse.
  if (keys.length > 1 || isMixed) throw malformed("the object's metadata mixes formats of the S3 Encryption Client")
  if (names.some(isV3Name)) return parseV3(source)
  if (keys[0] === NAMES.v1Key) return parseV1(source)
  return parseV2(source)
}

function parseV1(source: FieldSource): ObjectEnvelope {
  for (const name of [NAMES.wrapAlgorithm, NAMES.contentCipher, NAMES.tagLength]) {
    if (source.fields.has(name)) throw malformed(`the object's metadata has ${name}, which format V1 has not`)
  }
  const wrappedKey = bytesOf(source, NAMES.v1Key)
  return {
    format: "V1",
    suiteId: 0x70,
    iv: ivOf(source, 16),
    // CSE-6.6: V1 does not name its wrapping; a padded 32-byte key under AES is 48 bytes, RSA's are longer.
    wrapAlgorithm: wrappedKey.length <= 48 ? "AES" : "RSA",
    ...commonFields(source, wrappedKey, NAMES.description),
  }
}

const V2_WRAPS: readonly string[] = [
  "kms+context",
  "AES/GCM",
  "RSA-OAEP-SHA1",
  "kms",
  "AESWrap",
  "RSA/ECB/OAEPWithSHA-256AndMGF1Padding",
] satisfies WrapAlgorithm[]

const V2_CIPHERS: Readonly<Record<string, 0x70 | 0x72>> = {
  "AES/GCM/NoPadding": 0x72,
  "AES/CBC/PKCS5Padding": 0x70,
  "AES/CBC/PKCS7Padding": 0x70,
}

function parseV2(source: FieldSource): ObjectEnvelope {
  const cipher = textOf(source, NAMES.contentCipher)
  const suiteId = Object.hasOwn(V2_CIPHERS, cipher) ? V2_CIPHERS[cipher] : undefined
  if (suiteId === undefined) throw unsupported("content cipher")
  const wrapAlgorithm = textOf(source, NAMES.wrapAlgorithm)
  if (!V2_WRAPS.includes(wrapAlgorithm)) throw unsupported("key wrapping")
  // CSE-3.4
  if (suiteId === 0x72 && source.fields.get(NAMES.tagLength) !== "128") {
    throw malformed(`the object's metadata has not ${NAMES.tagLength} 128`)
  }
  return {
    format: "V2",
    suiteId,
    iv: ivOf(source, suiteId === 0x72 ? IV_LENGTH : 16),
    wrapAlgorithm: wrapAlgorithm as WrapAlgorithm,
    ...commonFields(source, bytesOf(source, NAMES.v2Key), NAMES.description),
  }
}

/** CSE-2.5 */
export const V3_WRAPS: Readonly<Record<string, WrapAlgorithm>> = {
  "02": "AES/GCM",
  "12": "kms+context",
  "22": "RSA-OAEP-SHA1",
}

function parseV3(source: FieldSource): ObjectEnvelope {
  const wrappedKey = bytesOf(source, NAMES.v3Key)
  if (textOf(source, NAMES.v3Cipher) !== "115") throw unsupported("content cipher")
  const wrap = textOf(source, NAMES.v3Wrap)
  const wrapAlgorithm = Object.hasOwn(V3_WRAPS, wrap) ? V3_WRAPS[wrap] : undefined
  if (wrapAlgorithm === undefined) throw unsupported("key wrapping")
  return {
    format: "V3",
    suiteId: 0x73,
    messageId: nonzero(bytesOf(source, NAMES.v3MessageId, OBJECT_ID_LENGTH), NAMES.v3MessageId),
    commitment: bytesOf(source, NAMES.v3Commitment, OBJECT_ID_LENGTH),
    wrapAlgorithm,
    ...commonFields(source, wrappedKey, wrapAlgorithm === "kms+context" ? NAMES.v3Context : NAMES.v3Description),
  }
}

function commonFields({ fields, location }: FieldSource, wrappedKey: Uint8Array, descriptionName: string) {
  // CSE-3.6
  const text = fields.get(descriptionName) ?? "{}"
  const description = fromJson(location === "metadata" ? decodeStored(text, descriptionName) : text, descriptionName)
  const claimed = fields.get(PLAINTEXT_LENGTH)
  const isLength = claimed !== undefined && /^\d{1,15}$/.test(claimed)
  return { location, wrappedKey, description, ...(isLength && { claimedLength: Number(claimed) }) }
}

function textOf({ fields }: FieldSource, name: string): string {
  const text = fields.get(name)
  if (text === undefined) throw malformed(`the object's metadata lacks ${name}`)
  return text
}

function bytesOf(source: FieldSource, name: string, length?: number): Uint8Array {
  const bytes = fromBase64(textOf(source, name))
  if (bytes === undefined || bytes.length === 0) throw malformed(`${name} is not base64`)
  if (length !== undefined && bytes.length !== length) throw malformed(`${name} is not ${length} bytes`)
  return bytes
}

const ivOf = (source: FieldSource, length: number): Uint8Array => nonzero(bytesOf(source, NAMES.iv, length), NAMES.iv)

/** CSE-3.3 */
function nonzero(bytes: Uint8Array, name: string): Uint8Array {
  if (bytes.every((byte) => byte === 0)) throw malformed(`${name} is all zeros`)
  return bytes
}

const unsupported = (what: string): EnvelopeError =>
  new EnvelopeError("UnsupportedFormat", `the object's metadata names a ${what} that the S3 Encryption Client has not`)
