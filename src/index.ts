export type {
  CacheTrace,
  CommitmentPolicy,
  EncryptionContext,
  EnvelopeErrorCode,
  Keyring,
  KmsClient,
  KmsTrace,
  MessageTrace,
  SuiteInfo,
  UnwrapRequest,
  WrappedKey,
  WrapRequest,
  WrapResult,
} from "./core/index.ts"
export { EnvelopeError } from "./core/index.ts"
export {
  type ClosableKeyring,
  type RawAesKeyringOptions,
  rawAesKeyring,
} from "./keyrings/index.ts"
export * from "./message/index.ts"
