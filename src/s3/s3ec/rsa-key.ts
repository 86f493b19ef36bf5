import { concatBytes, copyBytes, utf8 } from "../../core/index.ts"
import {
  constantTimeEqual,
  type RsaKeyPairSource,
  randomBytes,
  readRsaKeys,
  rsaDecrypt,
  rsaDecryptMixedOaep,
  rsaEncrypt,
  wipe,
} from "../../crypto/index.ts"
import type { S3ecKey } from "./key.ts"
import { checkDescription, unwrapFailed } from "./raw-key.ts"
import type { StringMap } from "./text.ts"

export interface S3ecRsaKeyOptions extends RsaKeyPairSource {
  /** Stored in the clear beside each wrapped key, to tell the keys of a rotation apart. Default: empty. */
  readonly materialDescription?: StringMap
}

/** Before the data key: its length. */
const KEY_LENGTH_BYTE = /* @__PURE__ */ Uint8Array.of(32)

/**
 * An RSA key pair that the caller holds: the public key writes, the private key reads. Keys are PEM text, PEM or DER
 * bytes, or `KeyObject`s; the public key has 2,048 bits or more. Writes RSA-OAEP-SHA1 with the content cipher beside the
 * data key (CSE-6.4); reads it, and the legacy OAEP of Java and PKCS #1 v1.5 where those are allowed (CSE-6.5, CSE-6.6).
 * Binds no encryption context, and whoever has the public key can write objects.
 *
 * @throws TypeError for no key, one that is no RSA key, or two of different pairs
 * @throws RangeError for a public key under 2,048 bits (NIST SP 800-131A)
 */
export function s3ecRsaKey(options: S3ecRsaKeyOptions): S3ecKey {
  const { publicKey, privateKey } = readRsaKeys(options, "s3ecRsaKey")
  const materialDescription = checkDescription(options.materialDescription)
  const name = "raw RSA key"
  return {
    name,
    bindsContext: false,
    materialDescription,
    wrap({ contentCipher, dataKey: given, signal }) {
      signal?.throwIfAborted()
      if (publicKey === undefined) throw new TypeError(`the ${name} only decrypts: to encrypt, give it a publicKey`)
      const dataKey = given ?? randomBytes(32)
      const plaintext = concatBytes([KEY_LENGTH_BYTE, dataKey, utf8(contentCipher)])
      try {
        const wrappedKey = rsaEncrypt(publicKey, "oaep-sha1", plaintext)
        return { dataKey, wrapAlgorithm: "RSA-OAEP-SHA1", wrappedKey, description: materialDescription }
      } finally {
        wipe(plaintext)
      }
    },
    unwrap({ contentCipher, wrapAlgorithm, wrappedKey, signal }) {
      signal?.throwIfAborted()
      const unwrap = unwrappers[wrapAlgorithm as keyof typeof unwrappers]
      if (unwrap === undefined) return undefined
      if (privateKey === undefined) throw new TypeError(`the ${name} only encrypts: to decrypt, give it a privateKey`)
      const dataKey = unwrap(privateKey, wrappedKey, contentCipher)
      if (dataKey?.length === 32) return dataKey
      wipe(dataKey)
      throw unwrapFailed(name)
    },
  }
}

type PrivateKey = NonNullable<ReturnType<typeof readRsaKeys>["privateKey"]>
type Unwrap = (key: PrivateKey, wrappedKey: Uint8Array, contentCipher: string) => Uint8Array | undefined

const unwrappers = {
  "RSA-OAEP-SHA1"(key, wrappedKey, contentCipher) {
    const plaintext = rsaDecrypt(key, "oaep-sha1", wrappedKey, "the raw RSA key")
    if (plaintext === undefined) return undefined
    try {
      const around = concatBytes([plaintext.subarray(0, 1), plaintext.subarray(33)])
      const expected = concatBytes([KEY_LENGTH_BYTE, utf8(contentCipher)])
      return constantTimeEqual(around, expected) ? copyBytes(plaintext.subarray(1, 33)) : undefined
    } finally {
      wipe(plaintext)
    }
  },
  "RSA/ECB/OAEPWithSHA-256AndMGF1Padding": (key, wrappedKey) => rsaDecryptMixedOaep(key, wrappedKey),
  /**
   * CSE-7.5: whatever is wrong with the padding, the result is a key that opens nothing, so that the error is the
   * body's. OpenSSL does so from 3.2 on (implicit rejection); with an older one Node.js refuses every such key alike.
   */
  RSA(key, wrappedKey) {
    const substitute = randomBytes(32)
    const dataKey = rsaDecrypt(key, "pkcs1", wrappedKey, "the raw RSA key")
    if (dataKey?.length === 32) {
      wipe(substitute)
      return dataKey
    }
    wipe(dataKey)
    return substitute
  },
} satisfies Readonly<Record<string, Unwrap>>
