/** Every error this library throws about data, keys or limits carries one of these codes. */
export type EnvelopeErrorCode =
  /** A pair the caller requires is absent from the message, or has another value. */
  | "ContextMismatch"
  /** An authentication tag, the key commitment or the signature does not verify. */
  | "TamperedMessage"
  /** The message ends before its final frame or its signature. */
  | "TruncatedMessage"
  /** The bytes are not a message: a field breaks the format, or bytes follow the end. */
  | "MalformedMessage"
  /** A format version or an algorithm suite that this library does not read. */
  | "UnsupportedFormat"
  /** None of the message's wrapped keys belongs to the keyring. */
  | "NoMatchingKey"
  /** A wrapped key belongs to the keyring, but could not be unwrapped. */
  | "UnwrapFailed"
  /** The data key could not be generated or wrapped. */
  | "WrapFailed"
  /** AWS KMS refused or failed; `name` is the AWS error name. */
  | "KmsError"
  /** The commitment policy does not allow the algorithm suite. */
  | "CommitmentPolicy"
  /** A size or count is above a limit; the message names the limit and its option. */
  | "LimitExceeded"
  /** A signed message where only unsigned ones are released before their end. */
  | "SignedMessage"
  /** An unsigned message where the caller requires a signature. */
  | "UnsignedMessage"
  /** The handle or keyring was closed before the call. */
  | "Closed"
  /** An object that is not encrypted, where only encrypted ones are read. */
  | "NotEncrypted"
  /** An object was replaced again and again while it was read. */
  | "ObjectChanged"
  /** A multipart upload that this process did not begin, or a part that breaks its rules. */
  | "UploadState"
  /** The embedded KMS's store cannot be opened: wrong root key, newer version, damaged. */
  | "KmsStore"
  /** A block, a map node, the log or the header of a volume does not verify, or is missing. */
  | "TamperedVolume"
  /** No volume is there, or its files break the format. */
  | "MalformedVolume"
  /** A volume is older than its anchor says, or its anchor was advanced by somebody else. */
  | "VolumeRollback"
  /** A volume is attached elsewhere, or one is already where one is to be made. */
  | "VolumeInUse"
  /** A volume's disk refused or failed; the cause has the system's code, for instance ENOSPC. */
  | "VolumeIo"
  /** A change of a volume that is attached for reading only. */
  | "ReadOnlyVolume"

const brand: unique symbol = Symbol.for("kms-envelope.EnvelopeError") as never

/**
 * The base of every error this library throws, except a caller's mistake (`TypeError`, `RangeError`) and an abort (the
 * signal's own reason). Tell errors apart by `code`; `cause` keeps the underlying error. No message or cause that this
 * library creates holds key material or plaintext.
 */
export class EnvelopeError extends Error {
  override name = "EnvelopeError"
  readonly code: EnvelopeErrorCode

  constructor(code: EnvelopeErrorCode, message: string, options?: { cause?: unknown; name?: string }) {
    super(message, options?.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    if (options?.name !== undefined) this.name = options.name
    Object.defineProperty(this, brand, { value: true })
  }

  /** True for errors of any copy of this library in the process (ESM beside CommonJS, two versions). */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === "object" && value !== null && (value as Record<symbol, unknown>)[brand] === true
  }
}

export const malformed = (what: string): EnvelopeError => new EnvelopeError("MalformedMessage", what)
export const truncated = (what: string): EnvelopeError => new EnvelopeError("TruncatedMessage", what)

/** MSG-8.2: one text for every failed tag, so that the error tells nobody which check failed. */
export const tampered = (): EnvelopeError =>
  new EnvelopeError("TamperedMessage", "the message is not authentic: it was changed, or the data key is not its own")

/** @param option the name of the option that moves the limit */
export const limitExceeded = (what: string, actual: number | bigint, limit: number, option: string): EnvelopeError =>
  new EnvelopeError("LimitExceeded", `${what} is ${actual}, above the limit of ${limit} (option ${option})`)
