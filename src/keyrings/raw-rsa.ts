import { constants, createPrivateKey, createPublicKey, KeyObject, privateDecrypt, publicEncrypt } from "node:crypto"
import {
  copyBytes,
  EnvelopeError,
  equalBytes,
  fromUtf8,
  type Keyring,
  utf8,
  viewBytes,
  type WrappedKey,
} from "../core/index.ts"
import { randomBytes, wipe } from "../crypto/index.ts"
import { checkKeyName, checkNamespace } from "./names.ts"

/** OAEP with this hash, also in its mask generation function (MGF1), or PKCS #1 v1.5 (RFC 8017, sections 7.1 and 7.2). */
export type RawRsaPadding = "oaep-sha1" | "oaep-sha256" | "oaep-sha384" | "oaep-sha512" | "pkcs1"

export interface RawRsaKeyringOptions {
  /** The provider id of the wrapped keys, the same on both sides; must not begin with `aws-kms`. */
  readonly keyNamespace: string
  /** Names the key pair within the namespace, the same on both sides. Stored in the clear. */
  readonly keyName: string
  /** PEM text, PEM or DER bytes (SPKI or PKCS #1), or a `KeyObject`; 2,048 bits or more. Needed to encrypt. */
  readonly publicKey?: string | Uint8Array | KeyObject
  /**
   * PEM text, PEM or DER bytes (PKCS #8 or PKCS #1), or a `KeyObject` (for instance of a key under a passphrase).
   * Needed to decrypt.
   */
  readonly privateKey?: string | Uint8Array | KeyObject
  readonly padding: RawRsaPadding
}

/**
 * Wraps data keys with an RSA key pair that the caller holds. Specification: framework/raw-rsa-keyring.
 *
 * RSA binds no encryption context: only the message's own tags do. Decrypting `pkcs1` throws `UnwrapFailed` where Node.js
 * refuses it (OpenSSL before 3.2, as in Node.js 20, for CVE-2023-46809); elsewhere OpenSSL turns a wrong wrapped key into
 * random bytes, which then fail by their length or at the message's first tag. Choose OAEP.
 *
 * @throws TypeError for a reserved namespace, an unknown padding, no key, one that is no RSA key, or two of different pairs
 * @throws RangeError for a public key under 2,048 bits (NIST SP 800-131A)
 */
export function rawRsaKeyring(options: RawRsaKeyringOptions): Keyring {
  const { keyNamespace, keyName } = options
  checkNamespace(keyNamespace)
  checkKeyName(keyName)
  const padding = paddingOf(options.padding)
  const { publicKey, privateKey } = readKeys(options)
  const name = `raw-rsa ${keyNamespace}/${keyName}`
  const keyInfo = utf8(keyName)
  const isMine = (key: WrappedKey): boolean => key.providerId === keyNamespace && equalBytes(key.providerInfo, keyInfo)
  return {
    name,
    wrap({ suite, dataKey: given, signal }) {
      signal?.throwIfAborted()
      if (publicKey === undefined) throw new TypeError(`keyring ${name} only decrypts: to encrypt, give it a publicKey`)
      const dataKey = given ?? randomBytes(suite.dataKeyLength)
      // MSG-4.6: RSA has no place for the context.
      const ciphertext = copyBytes(publicEncrypt({ key: publicKey, ...padding }, dataKey))
      return { dataKey, wrappedKeys: [{ providerId: keyNamespace, providerInfo: copyBytes(keyInfo), ciphertext }] }
    },
    unwrap({ suite, wrappedKeys, signal }) {
      signal?.throwIfAborted()
      const mine = wrappedKeys.filter(isMine)
      if (mine.length === 0) return undefined
      if (privateKey === undefined)
        throw new TypeError(`keyring ${name} only encrypts: to decrypt, give it a privateKey`)
      for (const { ciphertext } of mine) {
        const dataKey = decryptWith(privateKey, padding, ciphertext, name)
        if (dataKey?.length === suite.dataKeyLength) return dataKey
        wipe(dataKey)
      }
      throw new EnvelopeError(
        "UnwrapFailed",
        `keyring ${name} could not unwrap the data key: another key pair or padding under this name`,
      )
    },
  }
}

// --- internal ---

interface Padding {
  readonly padding: number
  readonly oaepHash?: string
}

function paddingOf(padding: RawRsaPadding): Padding {
  if (padding === "pkcs1") return { padding: constants.RSA_PKCS1_PADDING }
  const hash = /^oaep-(sha1|sha256|sha384|sha512)$/.exec(padding)?.[1]
  if (hash === undefined) {
    throw new TypeError("padding must be oaep-sha256, oaep-sha1, oaep-sha384, oaep-sha512 or pkcs1")
  }
  return { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: hash }
}

/**
 * @returns undefined when the wrapped key does not open
 * @throws EnvelopeError `UnwrapFailed` when this Node.js refuses the padding
 */
function decryptWith(key: KeyObject, padding: Padding, ciphertext: Uint8Array, name: string): Uint8Array | undefined {
  try {
    const plaintext = privateDecrypt({ key, ...padding }, ciphertext)
    const dataKey = copyBytes(plaintext)
    wipe(plaintext)
    return dataKey
  } catch (error) {
    // An argument error, unlike what OpenSSL says of a wrong ciphertext.
    if ((error as { code?: unknown }).code !== "ERR_INVALID_ARG_VALUE") return undefined
    throw new EnvelopeError(
      "UnwrapFailed",
      `keyring ${name} cannot decrypt: Node.js ${process.version} refuses RSA PKCS #1 v1.5 (CVE-2023-46809); use one with OpenSSL 3.2 or newer, such as 24, or re-encrypt under OAEP`,
      { cause: error },
    )
  }
}

function readKeys(options: RawRsaKeyringOptions): { publicKey?: KeyObject; privateKey?: KeyObject } {
  const publicKey = options.publicKey === undefined ? undefined : readKey(options.publicKey, "public")
  const privateKey = options.privateKey === undefined ? undefined : readKey(options.privateKey, "private")
  if (!publicKey && !privateKey) throw new TypeError("rawRsaKeyring needs a publicKey, a privateKey or both")
  if (publicKey && (publicKey.asymmetricKeyDetails?.modulusLength ?? 0) < 2048) {
    throw new RangeError("publicKey must have 2,048 bits or more")
  }
  if (publicKey && privateKey && !createPublicKey(privateKey).equals(publicKey)) {
    throw new TypeError("publicKey and privateKey are not of one pair")
  }
  return { ...(publicKey && { publicKey }), ...(privateKey && { privateKey }) }
}

/** Errors carry no cause: OpenSSL's may quote its input. */
function readKey(value: string | Uint8Array | KeyObject, type: "public" | "private"): KeyObject {
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
