/**
 * An error reply of the KMS protocol. `name` is AWS's error name; `message` is what AWS says, as recorded where a
 * recording exists, and empty where AWS sends none.
 */
export class KmsFault extends Error {
  readonly statusCode: number

  constructor(name: string, message: string, statusCode = 400) {
    super(message)
    this.name = name
    this.statusCode = statusCode
  }
}

const fault =
  (name: string) =>
  (message: string): KmsFault =>
    new KmsFault(name, message)

export const alreadyExists = fault("AlreadyExistsException")
export const disabled = fault("DisabledException")
export const incorrectKey = (): KmsFault =>
  new KmsFault(
    "IncorrectKeyException",
    "The key ID in the request does not identify a CMK that can perform this operation.",
  )
export const invalidAliasName = fault("InvalidAliasNameException")
export const invalidArn = (arn: string): KmsFault => new KmsFault("InvalidArnException", `Invalid arn ${arn}`)
export const invalidPrincipal = (arn: string): KmsFault =>
  new KmsFault("InvalidArnException", `ARN does not refer to a valid principal: ${arn}`)
/** AWS sends no text, so that the reply tells nobody which check failed. */
export const invalidCiphertext = (): KmsFault => new KmsFault("InvalidCiphertextException", "")
export const incorrectKeyMaterial = fault("IncorrectKeyMaterialException")
export const invalidImportToken = fault("InvalidImportTokenException")
export const expiredImportToken = fault("ExpiredImportTokenException")
export const invalidGrantToken = (): KmsFault =>
  new KmsFault("InvalidGrantTokenException", "The grant token is not valid.")
export const invalidGrantId = fault("InvalidGrantIdException")
export const invalidKeyUsage = fault("InvalidKeyUsageException")
/** AWS sends no text. */
export const invalidMac = (): KmsFault => new KmsFault("KMSInvalidMacException", "")
export const invalidMarker = (): KmsFault => new KmsFault("InvalidMarkerException", "The marker is not valid.")
export const invalidState = fault("KMSInvalidStateException")
export const malformedPolicy = fault("MalformedPolicyDocumentException")
export const limitExceeded = fault("LimitExceededException")
export const conflict = fault("ConflictException")
export const notAuthorized = fault("NotAuthorizedException")
export const notFound = fault("NotFoundException")
export const serialization = fault("SerializationException")
export const tagFault = fault("TagException")
export const unsupported = fault("UnsupportedOperationException")
export const validation = fault("ValidationException")
export const accessDenied = fault("AccessDeniedException")
export const unknownOperation = fault("UnknownOperationException")

export const dryRunSucceeded = (): KmsFault =>
  new KmsFault("DryRunOperationException", "The request would have succeeded, but the DryRun option is set.")

/** What Decrypt says of a key that is unknown here or out of the caller's reach, so that neither can be told apart. */
export const ciphertextKeyDenied = (): KmsFault =>
  accessDenied(
    "The ciphertext refers to a customer master key that does not exist, does not exist in this region, " +
      "or you are not allowed to access.",
  )

export const unrecognizedClient = (): KmsFault =>
  new KmsFault("UnrecognizedClientException", "The security token included in the request is invalid.")

export const internalFault = (message: string): KmsFault => new KmsFault("KMSInternalException", message, 500)
