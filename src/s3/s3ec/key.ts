import type { EncryptionContext, MaybePromise } from "../../core/index.ts"
import type { ObjectEnvelope, WrapAlgorithm } from "./envelope.ts"
import type { RewrappedKey } from "./rewrap.ts"
import type { StringMap } from "./text.ts"

export interface S3ecWrapRequest {
  /** What binds the content cipher to the wrapped key: `115` (format V3) or `AES/GCM/NoPadding` (V2). */
  readonly contentCipher: string
  /** The caller's pairs; empty for keys that bind no context. */
  readonly encryptionContext: EncryptionContext
  /** Present for a new instruction file: wrap this data key. Absent: generate one. Never modify it. */
  readonly dataKey?: Uint8Array
  /** Bytes of plaintext, where known beforehand. */
  readonly plaintextLength?: number
  readonly signal?: AbortSignal
}

export interface S3ecWrapResult {
  /** 32 bytes; the caller overwrites it after use. */
  readonly dataKey: Uint8Array
  readonly wrapAlgorithm: WrapAlgorithm
  readonly wrappedKey: Uint8Array
  /** What is stored beside the wrapped key: the encryption context that KMS got, or the material description. */
  readonly description: StringMap
}

export interface S3ecUnwrapRequest {
  readonly contentCipher: string
  readonly wrapAlgorithm: WrapAlgorithm
  readonly wrappedKey: Uint8Array
  /** As stored. The caller's expectations were checked. */
  readonly description: StringMap
  /**
   * Format V3: throws `TamperedMessage` when the object does not commit to this data key. What keeps data keys calls it
   * before.
   */
  readonly check?: (dataKey: Uint8Array) => void
  readonly signal?: AbortSignal
}

/**
 * A wrapping key for objects of the S3 Encryption Client: `s3ecKmsKey`, `s3ecKmsDiscoveryKey`, `s3ecAesKey`,
 * `s3ecRsaKey`, or two functions of your own.
 */
export interface S3ecKey {
  /** Names the key in errors. No secrets. */
  readonly name: string
  /** Whether the encryption context is bound to the wrapped key: KMS binds it, raw keys have no place for it. */
  readonly bindsContext: boolean
  /** Stored beside keys wrapped by raw keys; tells the keys of a rotation apart. */
  readonly materialDescription?: StringMap
  /** @throws when the data key cannot be generated or wrapped */
  wrap(request: S3ecWrapRequest): MaybePromise<S3ecWrapResult>
  /**
   * @returns the data key, owned by the caller from here; or `undefined`: this key does not do this kind of wrapping
   * @throws when it does, but the wrapped key does not open
   */
  unwrap(request: S3ecUnwrapRequest): MaybePromise<Uint8Array | undefined>
  /**
   * Optional: wraps an object's data key for another encryption context, without it leaving KMS (ReEncrypt).
   *
   * @param encryptionContext the caller's pairs of the new wrapped key
   */
  rewrap?(envelope: ObjectEnvelope, encryptionContext: EncryptionContext, signal?: AbortSignal): Promise<RewrappedKey>
}

/** A key that is held in memory: `close()`, or `using`, overwrites it; later calls throw `Closed`. */
export interface ClosableS3ecKey extends S3ecKey {
  close(): void
  [Symbol.dispose](): void
}
