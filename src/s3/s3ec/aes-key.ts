import { concatBytes, copyBytes, EnvelopeError, utf8, viewBytes } from "../../core/index.ts"
import {
  IV_LENGTH,
  open,
  randomBytes,
  seal,
  suiteOfWrappingKey,
  TAG_LENGTH,
  unwrapAesKey,
  unwrapEcbKey,
  wipe,
} from "../../crypto/index.ts"
import { countWrap, wrapCounter } from "../../keyrings/index.ts"
import type { ClosableS3ecKey } from "./key.ts"
import { checkDescription, unwrapFailed } from "./raw-key.ts"
import type { StringMap } from "./text.ts"

export interface S3ecAesKeyOptions {
  /** 16, 24 or 32 bytes. Copied; `close()` overwrites the copy. */
  readonly wrappingKey: Uint8Array
  /** Stored in the clear beside each wrapped key, to tell the keys of a rotation apart. Default: empty. */
  readonly materialDescription?: StringMap
}

/**
 * An AES key that the caller holds. Writes AES/GCM with the content cipher as additional data (CSE-6.3); reads it, and
 * the legacy `AESWrap` and AES-ECB where those are allowed (CSE-6.5, CSE-6.6). Binds no encryption context.
 *
 * Warns after 2^31 wraps under one key in this process and throws `LimitExceeded` at 2^32 (NIST SP 800-38D, section 8.3).
 *
 * @throws TypeError for a wrapping key that is no bytes, or a description that is no record of strings
 * @throws RangeError for a wrapping key that is not 16, 24 or 32 bytes
 */
export function s3ecAesKey(options: S3ecAesKeyOptions): ClosableS3ecKey {
  // A string would stand for its UTF-8 here, and a passphrase is no key.
  if (typeof options.wrappingKey === "string") throw new TypeError("wrappingKey must be bytes, not a string")
  const materialDescription = checkDescription(options.materialDescription)
  const wrappingKey = copyBytes(viewBytes(options.wrappingKey, "wrappingKey"))
  const suite = suiteOfWrappingKey(wrappingKey)
  const counter = wrapCounter(wrappingKey)
  const name = "raw AES key"
  let closed = false
  const checkOpen = () => {
    if (closed) throw new EnvelopeError("Closed", `the ${name} is closed`)
  }
  const close = () => {
    closed = true
    wipe(wrappingKey)
  }

  const openGcm = (wrappedKey: Uint8Array, contentCipher: string): Uint8Array | undefined => {
    if (wrappedKey.length !== IV_LENGTH + 32 + TAG_LENGTH) return undefined
    const iv = wrappedKey.subarray(0, IV_LENGTH)
    const sealed = wrappedKey.subarray(IV_LENGTH, -TAG_LENGTH)
    try {
      return open(suite, wrappingKey, iv, utf8(contentCipher), sealed, wrappedKey.subarray(-TAG_LENGTH))
    } catch {
      return undefined
    }
  }

  return {
    name,
    bindsContext: false,
    materialDescription,
    wrap({ contentCipher, dataKey: given, signal }) {
      checkOpen()
      signal?.throwIfAborted()
      countWrap(counter, name)
      const dataKey = given ?? randomBytes(32)
      const iv = randomBytes(IV_LENGTH)
      const { ciphertext, tag } = seal(suite, wrappingKey, iv, utf8(contentCipher), dataKey)
      const wrappedKey = concatBytes([iv, ciphertext, tag])
      return { dataKey, wrapAlgorithm: "AES/GCM", wrappedKey, description: materialDescription }
    },
    unwrap({ contentCipher, wrapAlgorithm, wrappedKey, signal }) {
      checkOpen()
      signal?.throwIfAborted()
      let dataKey: Uint8Array | undefined
      if (wrapAlgorithm === "AES/GCM") dataKey = openGcm(wrappedKey, contentCipher)
      else if (wrapAlgorithm === "AESWrap") dataKey = unwrapAesKey(wrappingKey, wrappedKey)
      else if (wrapAlgorithm === "AES") dataKey = unwrapEcbKey(wrappingKey, wrappedKey)
      else return undefined
      if (dataKey?.length === 32) return dataKey
      wipe(dataKey)
      throw unwrapFailed(name)
    },
    close,
    [Symbol.dispose]: close,
  }
}
