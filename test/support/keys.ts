import { rawAesKeyring } from "../../src/index.ts"

/** Bytes that count up from `start`: fixed wrapping keys of tests. */
export const counting = (length: number, start = 0): Uint8Array => Uint8Array.from({ length }, (_, i) => start + i)

export const AES_NAMESPACE = "tests"
export const AES_NAME = "key one"

/** A new raw AES keyring over one fixed wrapping key. */
export const aesKeyring = (keyName = AES_NAME, wrappingKey = counting(32)) =>
  rawAesKeyring({ keyNamespace: AES_NAMESPACE, keyName, wrappingKey })

/** A plaintext with a pattern that shows bytes out of place. */
export const pattern = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 8)) % 251)
