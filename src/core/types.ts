/** Name and value pairs, authenticated but not secret. Keys must not start with `aws-crypto-`. */
export type EncryptionContext = Readonly<Record<string, string>>

/** What callers may hand over as bytes; a string stands for its UTF-8 encoding. */
export type BytesLike = string | ArrayBufferView | ArrayBuffer

export type MaybePromise<T> = T | Promise<T>

/** One copy of the data key, wrapped by one wrapping key (the specification's encrypted data key). */
export interface WrappedKey {
  /** `aws-kms`, or the key namespace of a raw keyring. */
  readonly providerId: string
  /** A KMS key ARN in UTF-8, or what a raw keyring needs to find its key and parameters. */
  readonly providerInfo: Uint8Array
  readonly ciphertext: Uint8Array
}

/**
 * Which algorithm suites may be written and read (specification: framework/commitment-policy).
 * `RequireEncryptRequireDecrypt` is the default and refuses version 1 messages.
 */
export type CommitmentPolicy =
  | "RequireEncryptRequireDecrypt"
  | "RequireEncryptAllowDecrypt"
  | "ForbidEncryptAllowDecrypt"

/** The parts of an algorithm suite that a keyring may need. */
export interface SuiteInfo {
  /** For instance 0x0478. */
  readonly id: number
  /** Bytes of a data key for this suite: 16, 24 or 32. */
  readonly dataKeyLength: number
  /** Whether message keys are derived from the data key; without it a data key serves one message only. */
  readonly derivesKey: boolean
  readonly commitsKey: boolean
  readonly signed: boolean
}

export interface WrapRequest {
  readonly suite: SuiteInfo
  /** All pairs, with those the header leaves out and, for signed suites, the public key. */
  readonly encryptionContext: EncryptionContext
  /** Present when another keyring generated the data key: wrap this one. Absent: generate one. Never modify it. */
  readonly dataKey?: Uint8Array
  readonly signal?: AbortSignal
}

export interface WrapResult {
  /** The data key, generated or handed over. The caller of `wrap` owns it from here and overwrites it after use. */
  readonly dataKey: Uint8Array
  /** At least one. */
  readonly wrappedKeys: readonly WrappedKey[]
}

export interface UnwrapRequest {
  readonly suite: SuiteInfo
  readonly encryptionContext: EncryptionContext
  readonly wrappedKeys: readonly WrappedKey[]
  readonly signal?: AbortSignal
}

/**
 * Wraps and unwraps data keys. Two functions make one; both may answer at once or with a promise.
 */
export interface Keyring {
  /** Names the keyring in errors, for instance `raw-aes ns/name`. No secrets. */
  readonly name: string
  /** @throws when the data key cannot be generated or wrapped */
  wrap(request: WrapRequest): MaybePromise<WrapResult>
  /**
   * @returns the data key, owned by the caller from here; or `undefined`: none of these wrapped keys is mine
   * @throws when a wrapped key is mine but cannot be unwrapped
   */
  unwrap(request: UnwrapRequest): MaybePromise<Uint8Array | undefined>
  /**
   * Optional. A wrapped data key that never stands in memory in the clear (KMS GenerateDataKeyWithoutPlaintext).
   */
  generateWithoutPlaintext?(request: WrapRequest): MaybePromise<readonly WrappedKey[]>
  /** Optional: what stands above single keys, such as a cache, answers for whole materials. */
  readonly materials?: MaterialsProvider
}

/** What one encryption needs. */
export interface MaterialsRequest {
  readonly suite: SuiteInfo
  readonly commitmentPolicy: CommitmentPolicy
  /** The caller's pairs, without the public key. */
  readonly encryptionContext: EncryptionContext
  /** Bytes of plaintext, where known beforehand. */
  readonly plaintextLength?: number
  readonly signal?: AbortSignal
}

export interface SigningKey {
  /** P-384 or P-256 private key, held by OpenSSL. */
  readonly privateKey: import("node:crypto").KeyObject
  /** base64 of the compressed public point. */
  readonly publicKey: string
}

/** Data key, wrapped keys and signing key of one message, held until `release()`. */
export interface EncryptionMaterials {
  readonly dataKey: Uint8Array
  readonly wrappedKeys: readonly WrappedKey[]
  /** The caller's pairs and, for signed suites, the public key. */
  readonly encryptionContext: EncryptionContext
  readonly signingKey?: SigningKey
  /** Call once, when no more key is derived: overwrites the data key, or gives it back to the cache. */
  release(): void
}

export interface DecryptionMaterialsRequest extends UnwrapRequest {
  readonly commitmentPolicy: CommitmentPolicy
}

export interface DecryptionMaterials {
  readonly dataKey: Uint8Array
  /** Call after commitment and header tag verified; a cache keeps nothing before. */
  verified(): void
  release(): void
}

export interface MaterialsProvider {
  encryption(request: MaterialsRequest): MaybePromise<EncryptionMaterials>
  decryption(request: DecryptionMaterialsRequest): MaybePromise<DecryptionMaterials | undefined>
}

/**
 * What this library needs of a KMS client: the AWS SDK's `KMSClient`, a mock of it, or any object that takes the SDK's
 * commands (`command.input`, `command.constructor.name`).
 */
export interface KmsClient {
  /** Set by clients that need no classes of the AWS SDK, so that it is not loaded to make them. */
  readonly takesPlainCommands?: true
  // biome-ignore lint/suspicious/noExplicitAny: the SDK's overloads fit no narrower type, and importing them would make the SDK a required dependency.
  send(command: any, options?: any): Promise<any>
}
