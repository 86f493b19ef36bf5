import { copyBytes, EnvelopeError, equalBytes, type Keyring, utf8, type WrappedKey } from "../core/index.ts"
import {
  checkRsaPadding,
  type RsaKeySource,
  type RsaPadding,
  randomBytes,
  readRsaKeys,
  rsaDecrypt,
  rsaEncrypt,
  wipe,
} from "../crypto/index.ts"
import { checkKeyName, checkNamespace } from "./names.ts"

/** OAEP with this hash, also in its mask generation function (MGF1), or PKCS #1 v1.5 (RFC 8017, sections 7.1 and 7.2). */
export type RawRsaPadding = RsaPadding

export interface RawRsaKeyringOptions {
  /** The provider id of the wrapped keys, the same on both sides; must not begin with `aws-kms`. */
  readonly keyNamespace: string
  /** Names the key pair within the namespace, the same on both sides. Stored in the clear. */
  readonly keyName: string
  /** PEM text, PEM or DER bytes (SPKI or PKCS #1), or a `KeyObject`; 2,048 bits or more. Needed to encrypt. */
  readonly publicKey?: RsaKeySource
  /**
   * PEM text, PEM or DER bytes (PKCS #8 or PKCS #1), or a `KeyObject` (for instance of a key under a passphrase).
   * Needed to decrypt.
   */
  readonly privateKey?: RsaKeySource
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
  const padding = checkRsaPadding(options.padding)
  const { publicKey, privateKey } = readRsaKeys(options, "rawRsaKeyring")
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
      const ciphertext = rsaEncrypt(publicKey, padding, dataKey)
      return { dataKey, wrappedKeys: [{ providerId: keyNamespace, providerInfo: copyBytes(keyInfo), ciphertext }] }
    },
    unwrap({ suite, wrappedKeys, signal }) {
      signal?.throwIfAborted()
      const mine = wrappedKeys.filter(isMine)
      if (mine.length === 0) return undefined
      if (privateKey === undefined)
        throw new TypeError(`keyring ${name} only encrypts: to decrypt, give it a privateKey`)
      for (const { ciphertext } of mine) {
        const dataKey = rsaDecrypt(privateKey, padding, ciphertext, `keyring ${name}`)
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
