import { getSystemErrorMap } from "node:util"
import { printable } from "./text.ts"

/** One class of failure: what a script sees, and what a person can do about it. */
export interface FailureClass {
  readonly exitCode: number
  readonly description: string
  readonly hint?: string
  /** The codes of `EnvelopeError` that belong here. */
  readonly codes?: readonly string[]
}

/** The exit codes of the command; docs/guide/cli.md and `envelope --help` show this table. */
export const failureClasses = {
  unexpected: {
    exitCode: 1,
    description: "an error nobody foresaw",
    hint: "this looks like a bug: set ENVELOPE_DEBUG=1 for the stack",
  },
  usage: { exitCode: 2, description: "wrong usage of the command", hint: "see envelope --help" },
  inputOutput: {
    exitCode: 3,
    description: "a file or pipe cannot be read or written",
    codes: ["VolumeIo", "ReadOnlyVolume"],
  },
  targetExists: {
    exitCode: 4,
    description: "the output file exists already",
    hint: "choose another --output, or replace it with --force",
  },
  notAMessage: {
    exitCode: 10,
    description: "the input is no message, or one of an unknown version",
    codes: ["MalformedMessage", "UnsupportedFormat"],
    hint: "the input must be one whole AWS Encryption SDK message, with nothing before or after it",
  },
  tampered: {
    exitCode: 11,
    description: "the message is not authentic: it was changed",
    codes: ["TamperedMessage"],
    hint: "the message was changed after it was encrypted: get another copy of it",
  },
  truncated: {
    exitCode: 12,
    description: "the message ends too early",
    codes: ["TruncatedMessage"],
    hint: "the message is cut short: copy or download it again",
  },
  contextMismatch: {
    exitCode: 13,
    description: "the message lacks a pair of the encryption context asked for",
    codes: ["ContextMismatch"],
    hint: "envelope inspect shows the pairs the message has",
  },
  policy: {
    exitCode: 14,
    description: "the commitment or signature policy refuses the message",
    codes: ["CommitmentPolicy", "SignedMessage", "UnsignedMessage"],
  },
  limit: {
    exitCode: 15,
    description: "a size or count is above a limit",
    codes: ["LimitExceeded"],
    hint: "where you trust the input, raise the limit that the error names: --limit NAME=VALUE",
  },
  noMatchingKey: {
    exitCode: 20,
    description: "no key given here belongs to the message, or there is no key yet",
    codes: ["NoMatchingKey"],
    hint: "envelope inspect shows which keys the message needs",
  },
  kmsRefused: {
    exitCode: 21,
    description: "KMS refused a request",
    codes: ["KmsError", "UnwrapFailed", "WrapFailed"],
  },
  kmsUnreachable: {
    exitCode: 22,
    description: "KMS cannot be reached: network, credentials, or a package that is not installed",
  },
  kmsStore: {
    exitCode: 23,
    description: "the embedded KMS's folder cannot be opened",
    codes: ["KmsStore"],
    hint: "it opens with what it was made with: ENVELOPE_KMS_PASSPHRASE, or the root key file (ENVELOPE_KMS_ROOT_KEY)",
  },
  auditChanged: { exitCode: 24, description: "the audit trail, or what was delivered of it, was changed" },
  badPolicy: { exitCode: 25, description: "a policy is malformed, or lint found an error in it" },
  s3Refused: { exitCode: 30, description: "S3 refused a request, or there is no such object" },
  s3Unreachable: {
    exitCode: 31,
    description: "S3 cannot be reached: network, credentials, or a package that is not installed",
  },
  notEncrypted: {
    exitCode: 32,
    description: "the object is not encrypted",
    codes: ["NotEncrypted"],
    hint: "envelope s3 head shows what it is, envelope s3 encrypt brings it under the envelope",
  },
  objectChanged: {
    exitCode: 33,
    description: "the object was replaced while it was read or written",
    codes: ["ObjectChanged", "UploadState"],
  },
  s3Findings: { exitCode: 34, description: "the audit of a bucket found what it was to rule out" },
  s3Incomplete: { exitCode: 35, description: "some objects could not be migrated" },
  volumeDamaged: {
    exitCode: 40,
    description: "a volume is not authentic: it was changed or damaged",
    codes: ["TamperedVolume"],
    hint: "envelope volume scrub tells which ranges are damaged; the rest stays readable",
  },
  notAVolume: {
    exitCode: 41,
    description: "there is no volume, or its files break the format",
    codes: ["MalformedVolume"],
    hint: "envelope volume create PATH --size SIZE makes one",
  },
  volumeRollback: {
    exitCode: 42,
    description: "the volume is older than its anchor says",
    codes: ["VolumeRollback"],
    hint: "it was set back, or attached without the anchor: where you accept what is there, begin with a new anchor file",
  },
  volumeInUse: {
    exitCode: 43,
    description: "the volume is attached elsewhere, or one is already where one is to be made",
    codes: ["VolumeInUse"],
  },
  interrupted: { exitCode: 130, description: "ended by a signal (128 + its number: 130 is Ctrl-C, 143 SIGTERM)" },
  brokenPipe: { exitCode: 141, description: "whoever read the output went away" },
} as const satisfies Readonly<Record<string, FailureClass>>

export type FailureName = keyof typeof failureClasses

/** A failure as the command reports it. */
export class CliError extends Error {
  readonly failure: FailureName
  /** `undefined`: the hint of its class. */
  readonly hint: string | undefined

  constructor(failure: FailureName, message: string, options: { hint?: string | undefined; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.failure = failure
    this.hint = options.hint
  }
}

export const usageError = (message: string, hint?: string): CliError => new CliError("usage", message, { hint })

/** Runs what may throw a caller's mistake (`TypeError`, `RangeError`), at once or later, which here is the user's. */
export function orUsageError<T>(work: () => T): T {
  try {
    const result = work()
    return result instanceof Promise ? (result.catch(rethrowUsage) as T) : result
  } catch (error) {
    return rethrowUsage(error)
  }
}

function rethrowUsage(error: unknown): never {
  if (error instanceof TypeError || error instanceof RangeError) throw new CliError("usage", error.message)
  throw error
}

export interface Report {
  readonly exitCode: number
  /** The `EnvelopeError` code, the AWS error name, the errno name, or the class of failure. */
  readonly code: string
  readonly message: string
  readonly hint?: string | undefined
}

/** Sorts any error into its class. */
export function classify(error: unknown): Report {
  if (error instanceof CliError) return report(error.failure, error.message, error.hint, awsName(error.cause))
  if (!(error instanceof Error)) return report("unexpected", String(error))
  const { code } = error as { code?: unknown }
  const service = awsError(error)
  if (service !== undefined) return serviceReport(error, service)
  const name = typeof code === "string" ? failureOfCode(code) : undefined
  if (name !== undefined) return report(name, error.message, undefined, code as string)
  if (isErrno(error)) return errnoReport(error)
  return report("unexpected", error.message)
}

/** `cannot write out.enc: no space left on device`, whatever Node's own text looks like. */
export function ioError(doing: string, cause: unknown): CliError {
  if (cause instanceof CliError) return cause
  if (!isErrno(cause)) throw cause
  if (cause.code === "EPIPE") return new CliError("brokenPipe", `${doing}: broken pipe`, { cause })
  return new CliError("inputOutput", `${doing}: ${errnoText(cause)}`, { cause })
}

export const isErrno = (error: unknown): error is NodeJS.ErrnoException =>
  error instanceof Error && typeof (error as NodeJS.ErrnoException).errno === "number"

// --- internal ---

function report(name: FailureName, message: string, hint?: string, code: string = name): Report {
  const failure: FailureClass = failureClasses[name]
  return { exitCode: failure.exitCode, code, message: printable(message), hint: hint ?? failure.hint }
}

const failureOfCode = (code: string): FailureName | undefined =>
  (Object.keys(failureClasses) as FailureName[]).find((name) => {
    const { codes = [] }: FailureClass = failureClasses[name]
    return codes.includes(code)
  })

const errnoText = ({ errno, message }: NodeJS.ErrnoException): string => getSystemErrorMap().get(errno!)?.[1] ?? message

const networkErrors = [
  "ECONNREFUSED",
  "ECONNRESET",
  "ENOTFOUND",
  "EAI_AGAIN",
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "ENETUNREACH",
]

function errnoReport(error: NodeJS.ErrnoException): Report {
  const code = error.code ?? "inputOutput"
  if (code === "EPIPE") return report("brokenPipe", "broken pipe", undefined, code)
  const where = error.path === undefined ? "" : `${error.path}: `
  return report("inputOutput", `${where}${errnoText(error)}`, undefined, code)
}

interface ServiceError extends Error {
  readonly $fault?: unknown
  readonly $metadata?: unknown
}

/** The AWS SDK's error within an error's causes: one KMS sent, or one of the client itself. */
function awsError(error: unknown): ServiceError | undefined {
  for (let at = error, depth = 0; at instanceof Error && depth < 8; at = at.cause, depth++) {
    if (isAwsError(at)) return at
    const nested: unknown = at instanceof AggregateError ? at.errors.map(awsError).find(Boolean) : undefined
    if (nested !== undefined) return nested as ServiceError
  }
  return undefined
}

const isAwsError = (error: ServiceError): boolean =>
  error.$fault !== undefined || error.$metadata !== undefined || error.name in unreachableHints || isNetworkError(error)

const isNetworkError = (error: Error): boolean => networkErrors.includes((error as NodeJS.ErrnoException).code ?? "")

const awsName = (cause: unknown): string | undefined => awsError(cause)?.name

/** Errors of the SDK and of AWS's front door that say nothing about the key. */
const unreachableHints: Readonly<Record<string, string>> = {
  CredentialsProviderError: "the AWS SDK found no credentials: set AWS_PROFILE, or run aws configure",
  TokenProviderError: "the AWS SDK found no credentials: run aws sso login",
  ExpiredTokenException: "the AWS credentials have expired: get new ones",
  UnrecognizedClientException: "AWS does not know these credentials",
  InvalidSignatureException: "AWS does not accept the signature: check the secret access key and the clock",
  TimeoutError: "check the network and the address of KMS",
}

const refusedHints: Readonly<Record<string, string>> = {
  AccessDeniedException: "the key may be of another KMS or account (--kms), or its policy does not let you use it",
  DisabledException: "enable the key: envelope key enable KEY",
  InvalidGrantIdException: "envelope grant list KEY shows the ids of its grants",
  InvalidGrantTokenException:
    "the grant is gone, or the token is another KMS's: envelope grant list KEY shows the grants",
  NotFoundException: "envelope key list and envelope alias list show what there is; --kms chooses another KMS",
  AlreadyExistsException: "move it with envelope alias update, or delete it first",
  KMSInvalidStateException: "envelope key describe KEY shows the key's state",
  InvalidCiphertextException: "a pair of --required-context is missing or differs, or the wrapped key was changed",
  IncorrectKeyException: "another key wrapped this message: envelope inspect shows which",
}

function serviceReport(error: Error, service: ServiceError): Report {
  const { name } = service
  if (isNetworkError(service)) {
    const hint = "check the network and the address of KMS (--kms)"
    return report("kmsUnreachable", `KMS cannot be reached: ${service.message}`, hint, name)
  }
  const detail = service.message === "" || service.message === "UnknownError" ? "" : `: ${service.message}`
  const message = service === error ? `KMS refused: ${name}${detail}` : `${error.message}${detail}`
  const unreachable = unreachableHints[name]
  return unreachable === undefined
    ? report("kmsRefused", message, refusedHints[name], name)
    : report("kmsUnreachable", message, unreachable, name)
}
