import {
  allocate,
  concatBytes,
  copyBytes,
  EnvelopeError,
  equalBytes,
  type Keyring,
  utf8,
  viewBytes,
  type WrappedKey,
} from "../core/index.ts"
import { IV_LENGTH, open, randomBytes, seal, suiteOfWrappingKey, TAG_LENGTH, wipe } from "../crypto/index.ts"
import { encodeContext, writeU32 } from "../format/index.ts"
import { checkKeyName, checkNamespace } from "./names.ts"
import { countWrap, wrapCounter } from "./wrap-count.ts"

export interface RawAesKeyringOptions {
  /** The provider id of the wrapped keys, the same on both sides; must not begin with `aws-kms`. */
  readonly keyNamespace: string
  /** Names the wrapping key within the namespace, the same on both sides. Stored in the clear. */
  readonly keyName: string
  /** 16, 24 or 32 bytes. Copied; `close()` overwrites the copy. */
  readonly wrappingKey: Uint8Array
}

/** A keyring that holds a key: `close()`, or `using`, overwrites it; later calls throw `Closed`. */
export interface ClosableKeyring extends Keyring {
  close(): void
  [Symbol.dispose](): void
}

/**
 * Wraps data keys with an AES-GCM key that the caller holds, the encryption context as additional authenticated data.
 * Specification: framework/raw-aes-keyring.
 *
 * Warns after 2^31 wraps under one key in this process and throws `LimitExceeded` at 2^32 (NIST SP 800-38D, section 8.3).
 *
 * @throws TypeError for a reserved namespace, a name that is no string, or a wrapping key that is no bytes
 * @throws RangeError for a wrapping key that is not 16, 24 or 32 bytes
 */
export function rawAesKeyring(options: RawAesKeyringOptions): ClosableKeyring {
  const { keyNamespace, keyName } = options
  checkNamespace(keyNamespace)
  checkKeyName(keyName)
  // A string would stand for its UTF-8 here, and a passphrase is no key.
  if (typeof options.wrappingKey === "string") throw new TypeError("wrappingKey must be bytes, not a string")
  const wrappingKey = copyBytes(viewBytes(options.wrappingKey, "wrappingKey"))
  const cipher = suiteOfWrappingKey(wrappingKey)
  const name = `raw-aes ${keyNamespace}/${keyName}`
  const counter = wrapCounter(wrappingKey)
  const infoPrefix = providerInfoPrefix(keyName)
  let closed = false
  const checkOpen = () => {
    if (closed) throw new EnvelopeError("Closed", `keyring ${name} is closed`)
  }

  const close = () => {
    closed = true
    wipe(wrappingKey)
  }

  return {
    name,
    wrap({ suite, encryptionContext, dataKey: given, signal }) {
      checkOpen()
      signal?.throwIfAborted()
      countWrap(counter, name)
      const dataKey = given ?? randomBytes(suite.dataKeyLength)
      const iv = randomBytes(IV_LENGTH)
      const providerInfo = allocate(infoPrefix.length + IV_LENGTH)
      providerInfo.set(infoPrefix)
      providerInfo.set(iv, infoPrefix.length)
      const sealed = seal(cipher, wrappingKey, iv, encodeContext(encryptionContext), dataKey)
      const ciphertext = concatBytes([sealed.ciphertext, sealed.tag])
      return { dataKey, wrappedKeys: [{ providerId: keyNamespace, providerInfo, ciphertext }] }
    },
    unwrap({ suite, encryptionContext, wrappedKeys, signal }) {
      checkOpen()
      signal?.throwIfAborted()
      const mine = wrappedKeys.filter((key) => isMine(key, keyNamespace, infoPrefix))
      if (mine.length === 0) return undefined
      const aad = encodeContext(encryptionContext)
      const split = suite.dataKeyLength
      for (const { providerInfo, ciphertext } of mine) {
        if (ciphertext.length !== split + TAG_LENGTH) continue
        const iv = providerInfo.subarray(infoPrefix.length)
        try {
          const opened = open(cipher, wrappingKey, iv, aad, ciphertext.subarray(0, split), ciphertext.subarray(split))
          // No Buffer: its slice() would share memory with a key that is overwritten.
          return new Uint8Array(opened.buffer, opened.byteOffset, opened.length)
        } catch {
          // The next one of this name.
        }
      }
      throw new EnvelopeError(
        "UnwrapFailed",
        `keyring ${name} could not unwrap the data key: another wrapping key under this name, or another encryption context`,
      )
    },
    close,
    [Symbol.dispose]: close,
  }
}

/** MSG-4.5: key name, tag length in bits, iv length in bytes; the iv follows. */
function providerInfoPrefix(keyName: string): Uint8Array {
  const name = utf8(keyName)
  const prefix = allocate(name.length + 8)
  prefix.set(name)
  writeU32(prefix, name.length, TAG_LENGTH * 8)
  writeU32(prefix, name.length + 4, IV_LENGTH)
  return prefix
}

const isMine = (key: WrappedKey, namespace: string, infoPrefix: Uint8Array): boolean =>
  key.providerId === namespace &&
  key.providerInfo.length === infoPrefix.length + IV_LENGTH &&
  equalBytes(key.providerInfo.subarray(0, infoPrefix.length), infoPrefix)
