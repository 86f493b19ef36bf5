import {
  constants,
  createHash,
  createPrivateKey,
  createPublicKey,
  KeyObject,
  privateDecrypt,
  publicEncrypt,
} from "node:crypto"
import { allocate, concatBytes, copyBytes, EnvelopeError, fromUtf8, viewBytes } from "../core/index.ts"
import { wipe } from "./wipe.ts"

/** An RSA key as callers hand it over: PEM text, PEM or DER bytes, or a `KeyObject`. */
export type RsaKeySource = string | Uint8Array | KeyObject

export interface RsaKeyPairSource {
  readonly publicKey?: RsaKeySource
  readonly privateKey?: RsaKeySource
}

export interface RsaKeys {
  readonly publicKey?: KeyObject
  readonly privateKey?: KeyObject
}

/** OAEP with this hash, also in its mask generation function (MGF1), or PKCS #1 v1.5 (RFC 8017, sections 7.1 and 7.2). */
export type RsaPadding = "oaep-sha1" | "oaep-sha256" | "oaep-sha384" | "oaep-sha512" | "pkcs1"

/**
 * @param who names the caller's function in errors
 * @throws TypeError for no key, one that is no RSA key, or two of different pairs
 * @throws RangeError for a public key under 2,048 bits (NIST SP 800-131A)
 */
export function readRsaKeys(source: RsaKeyPairSource, who: string): RsaKeys {
  const publicKey = source.publicKey === undefined ? undefined : readKey(source.publicKey, "public")
  const privateKey = source.privateKey === undefined ? undefined : readKey(source.privateKey, "private")
  if (!publicKey && !privateKey) throw new TypeError(`${who} needs a publicKey, a privateKey or both`)
  if (publicKey && (publicKey.asymmetricKeyDetails?.modulusLength ?? 0) < 2048) {
    throw new RangeError("publicKey must have 2,048 bits or more")
  }
  if (publicKey && privateKey && !createPublicKey(privateKey).equals(publicKey)) {
    throw new TypeError("publicKey and privateKey are not of one pair")
  }
  return { ...(publicKey && { publicKey }), ...(privateKey && { privateKey }) }
}

/** @throws TypeError for anything but the five paddings */
export function checkRsaPadding(padding: RsaPadding): RsaPadding {
  if (padding === "pkcs1" || /^oaep-(sha1|sha256|sha384|sha512)$/.test(padding)) return padding
  throw new TypeError("padding must be oaep-sha256, oaep-sha1, oaep-sha384, oaep-sha512 or pkcs1")
}

export const rsaEncrypt = (key: KeyObject, padding: RsaPadding, plaintext: Uint8Array): Uint8Array =>
  copyBytes(publicEncrypt({ key, ...nodePadding(padding) }, plaintext))

/**
 * @param name names the key's holder in the error
 * @returns undefined when the ciphertext does not open
 * @throws EnvelopeError `UnwrapFailed` when this Node.js refuses the padding
 */
export function rsaDecrypt(
  key: KeyObject,
  padding: RsaPadding,
  ciphertext: Uint8Array,
  name: string,
): Uint8Array | undefined {
  try {
    return takeOver(privateDecrypt({ key, ...nodePadding(padding) }, ciphertext))
  } catch (error) {
    // An argument error, unlike what OpenSSL says of a wrong ciphertext.
    if ((error as { code?: unknown }).code !== "ERR_INVALID_ARG_VALUE") return undefined
    throw new EnvelopeError(
      "UnwrapFailed",
      `${name} cannot decrypt: Node.js ${process.version} refuses RSA PKCS #1 v1.5 (CVE-2023-46809); use one with OpenSSL 3.2 or newer, such as 24, or re-encrypt under OAEP`,
      { cause: error },
    )
  }
}

/**
 * RSAES-OAEP (RFC 8017, section 7.1.2) with SHA-256 for the label but SHA-1 in MGF1, as Java's
 * `OAEPWithSHA-256AndMGF1Padding` has it and OpenSSL, through Node, has not. All checks run to their end whatever is
 * wrong, so that neither error nor time tells which one failed (Manger, CRYPTO 2001).
 *
 * @returns undefined when the ciphertext does not open
 */
export function rsaDecryptMixedOaep(key: KeyObject, ciphertext: Uint8Array): Uint8Array | undefined {
  let block: Uint8Array
  try {
    block = takeOver(privateDecrypt({ key, padding: constants.RSA_NO_PADDING }, ciphertext))
  } catch {
    return undefined
  }
  const seed = block.subarray(1, 1 + LABEL_HASH_LENGTH)
  const data = block.subarray(1 + LABEL_HASH_LENGTH)
  mask(seed, data)
  mask(data, seed)
  try {
    return readDataBlock(block[0]!, data)
  } finally {
    wipe(block)
  }
}

// --- internal ---

const nodePadding = (padding: RsaPadding): { readonly padding: number; readonly oaepHash?: string } =>
  padding === "pkcs1"
    ? { padding: constants.RSA_PKCS1_PADDING }
    : { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: padding.slice("oaep-".length) }

/** In memory of its own; Node's buffer may be a slice of its shared pool. */
function takeOver(theirs: Uint8Array): Uint8Array {
  const bytes = copyBytes(theirs)
  wipe(theirs)
  return bytes
}

const LABEL_HASH_LENGTH = 32

/** XORs MGF1-SHA1 of `seed` over `target` (RFC 8017, appendix B.2.1). */
function mask(target: Uint8Array, seed: Uint8Array): void {
  const counter = allocate(4)
  for (let at = 0, count = 0; at < target.length; count++) {
    counter[3] = count
    const block = createHash("sha1")
      .update(concatBytes([seed, counter]))
      .digest()
    for (let i = 0; i < block.length && at < target.length; i++) target[at++]! ^= block[i]!
    wipe(block)
  }
}

/** Label hash, zeros, a one, the message. Without branches on secret bytes up to the one decision at the end. */
function readDataBlock(first: number, data: Uint8Array): Uint8Array | undefined {
  const labelHash = createHash("sha256").digest()
  let wrong = first
  for (let i = 0; i < LABEL_HASH_LENGTH; i++) wrong |= data[i]! ^ labelHash[i]!
  let start = 0
  let searching = 1
  for (let i = LABEL_HASH_LENGTH; i < data.length; i++) {
    const byte = data[i]!
    const isOne = ((byte ^ 1) - 1) >>> 31
    const isZero = (byte - 1) >>> 31
    wrong |= searching & (1 ^ (isOne | isZero))
    start |= -(searching & isOne) & (i + 1)
    searching &= isZero
  }
  wrong |= searching
  return wrong === 0 ? copyBytes(data.subarray(start)) : undefined
}

/** Errors carry no cause: OpenSSL's may quote its input. */
function readKey(value: RsaKeySource, type: "public" | "private"): KeyObject {
  const key = value instanceof KeyObject ? value : parseKey(value, type)
  if (key?.type === type && key.asymmetricKeyType === "rsa") return key
  throw new TypeError(`${type}Key must be an RSA ${type} key: PEM, DER or a KeyObject`)
}

function parseKey(value: string | Uint8Array, type: "public" | "private"): KeyObject | undefined {
  const pem = typeof value === "string" ? value : fromUtf8(viewBytes(value, `${type}Key`))
  const create = type === "public" ? createPublicKey : createPrivateKey
  if (pem?.includes("-----BEGIN")) return attempt(() => create({ key: pem, format: "pem" }))
  const der = { key: value as Buffer, format: "der" } as const
  return type === "public"
    ? (attempt(() => createPublicKey({ ...der, type: "spki" })) ??
        attempt(() => createPublicKey({ ...der, type: "pkcs1" })))
    : (attempt(() => createPrivateKey({ ...der, type: "pkcs8" })) ??
        attempt(() => createPrivateKey({ ...der, type: "pkcs1" })))
}

function attempt(create: () => KeyObject): KeyObject | undefined {
  try {
    return create()
  } catch {
    return undefined
  }
}
