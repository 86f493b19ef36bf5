import type { CommitmentPolicy, EncryptionContext, Keyring } from "../core/index.ts"
import type { Limits } from "../format/index.ts"

/** What every call that writes a message takes. */
export interface EncryptOptions extends Pick<Partial<Limits>, "maxWrappedKeys" | "maxContextLength"> {
  /** Generates or obtains the data key and wraps it. */
  readonly keyring: Keyring
  /**
   * Pairs that are authenticated with the message and stored in its header in the clear; at most `maxContextLength`
   * bytes serialised. Keys must not begin with `aws-crypto-`. Default: none.
   */
  readonly encryptionContext?: EncryptionContext
  /**
   * Keys of `encryptionContext` that are authenticated but not stored: whoever decrypts must give the pairs again.
   * Default: none. The official JavaScript and C SDKs cannot read such messages.
   */
  readonly requiredContextKeys?: readonly string[]
  /**
   * Adds an ECDSA P-384 signature, for the case where those who may decrypt must not be able to forge. Costs about a
   * millisecond a message each way. Default: false.
   */
  readonly signed?: boolean
  /** An algorithm suite by its number, for instance 0x0178. Default: 0x0478, or 0x0578 when `signed`. */
  readonly suiteId?: number
  /** Default: `RequireEncryptRequireDecrypt`. */
  readonly commitmentPolicy?: CommitmentPolicy
  /** Bytes of plaintext in a frame, 1 to 2^32 - 1. Default: 262,144 (256 KiB). */
  readonly frameLength?: number
  /** Aborts the call with the signal's reason. */
  readonly signal?: AbortSignal
}

/** What every call that reads a message takes. The limits are those of `Limits`, with the same defaults. */
export interface DecryptOptions extends Partial<Limits> {
  /** Unwraps the data key. */
  readonly keyring: Keyring
  /**
   * Pairs that the message must have: each is in its header with this value, or named in `requiredContextKeys`.
   * Default: none, which accepts any context.
   */
  readonly encryptionContext?: EncryptionContext
  /** Keys of `encryptionContext` that the header need not store; keyring and header tag authenticate them. */
  readonly requiredContextKeys?: readonly string[]
  /**
   * Refuse unsigned messages. Without it, whoever may decrypt can forge an unsigned message where signed ones are
   * expected. Default: false.
   */
  readonly requireSigned?: boolean
  /** Default: `RequireEncryptRequireDecrypt`, which refuses messages of version 1. */
  readonly commitmentPolicy?: CommitmentPolicy
  /** Aborts the call with the signal's reason. */
  readonly signal?: AbortSignal
}
