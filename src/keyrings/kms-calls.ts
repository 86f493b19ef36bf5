import {
  copyBytes,
  type EncryptionContext,
  EnvelopeError,
  type KmsClient,
  type KmsTrace,
  traced,
  type UnwrapRequest,
  utf8,
  type WrappedKey,
  type WrapRequest,
  type WrapResult,
} from "../core/index.ts"
import { wipe } from "../crypto/index.ts"
import { orAborted } from "./abort.ts"
import { type KmsOperation, kmsCommand } from "./kms-commands.ts"
import { parseKeyArn } from "./kms-identifiers.ts"

/** The provider id of wrapped keys that KMS made. */
export const KMS_PROVIDER_ID = "aws-kms"

/** A wrapping key as it is reached: through which client, under which name, with which grants. */
export interface KmsTarget {
  readonly client: KmsClient
  readonly keyId: string
  readonly grantTokens: readonly string[]
}

/** GenerateDataKey (MSG-4.3). Specification: framework/aws-kms/aws-kms-keyring, "OnEncrypt". */
export async function generateDataKey(target: KmsTarget, request: WrapRequest): Promise<WrapResult> {
  const { dataKeyLength } = request.suite
  const response = await call("GenerateDataKey", target, request, { NumberOfBytes: dataKeyLength })
  const dataKey = takePlaintext("GenerateDataKey", response, dataKeyLength)
  try {
    return { dataKey, wrappedKeys: [wrappedKey("GenerateDataKey", response)] }
  } catch (error) {
    wipe(dataKey)
    throw error
  }
}

/** GenerateDataKeyWithoutPlaintext: the data key stays within KMS until somebody calls Decrypt. */
export async function generateWrappedKey(target: KmsTarget, request: WrapRequest): Promise<WrappedKey> {
  const operation = "GenerateDataKeyWithoutPlaintext"
  return wrappedKey(operation, await call(operation, target, request, { NumberOfBytes: request.suite.dataKeyLength }))
}

/** Encrypt, for a data key that another key generated. */
export async function encryptDataKey(
  target: KmsTarget,
  request: WrapRequest,
  dataKey: Uint8Array,
): Promise<WrappedKey> {
  return wrappedKey("Encrypt", await call("Encrypt", target, request, { Plaintext: dataKey }))
}

/** Decrypt, under an explicit key id that the response must repeat (MSG-4.4). */
export async function decryptDataKey(
  target: KmsTarget,
  request: UnwrapRequest,
  { ciphertext }: WrappedKey,
): Promise<Uint8Array> {
  const response = await call("Decrypt", target, request, { CiphertextBlob: ciphertext })
  const dataKey = takePlaintext("Decrypt", response, request.suite.dataKeyLength)
  if (response.KeyId === target.keyId) return dataKey
  wipe(dataKey)
  throw badResponse("Decrypt", `another key than the one asked for, ${target.keyId}`)
}

/** The members of KMS's responses that are used here. */
export interface KmsResponse {
  readonly KeyId?: string
  /** Of ReEncrypt. */
  readonly SourceKeyId?: string
  readonly Plaintext?: Uint8Array
  readonly CiphertextBlob?: Uint8Array
  readonly KeyMetadata?: { readonly Arn?: string }
  readonly $metadata?: { readonly requestId?: string }
}

/**
 * One request to KMS, traced.
 *
 * @param keyId names the key in trace and error; undefined where the ciphertext does
 * @throws EnvelopeError `KmsError` for what KMS or its client throws, and the signal's reason
 */
export async function callKms(
  operation: KmsOperation,
  client: KmsClient,
  input: object,
  { keyId, signal }: { readonly keyId: string | undefined; readonly signal?: AbortSignal },
): Promise<KmsResponse> {
  signal?.throwIfAborted()
  const command = await kmsCommand(operation, input, client)
  const send = async (trace: Partial<KmsTrace> | undefined): Promise<KmsResponse> => {
    try {
      const sent: Promise<KmsResponse> = Promise.resolve(client.send(command, signal && { abortSignal: signal }))
      const response = await orAborted(sent, signal, (late) => wipe(late?.Plaintext))
      noteRequestId(trace, response)
      return response ?? {}
    } catch (error) {
      if (signal?.aborted) throw signal.reason
      noteRequestId(trace, error)
      throw kmsError(operation, keyId ?? "the key that the ciphertext names", error)
    }
  }
  return traced("kms", () => ({ operation, keyId: keyId ?? "" }), send)
}

/**
 * The plaintext in memory of its own; the client's copy, often a slice of Node's shared pool, is overwritten.
 *
 * @throws EnvelopeError `KmsError` when it is not `length` bytes
 */
export function takePlaintext(operation: KmsOperation, { Plaintext: theirs }: KmsResponse, length: number): Uint8Array {
  if (!(theirs instanceof Uint8Array)) throw badResponse(operation, "no Plaintext")
  const dataKey = copyBytes(theirs)
  wipe(theirs)
  if (dataKey.length !== length) {
    wipe(dataKey)
    throw badResponse(operation, `${dataKey.length} bytes of Plaintext instead of ${length}`)
  }
  // No KMS draws this key: it is a stub's buffer handed out a second time, after the line above overwrote it.
  if (dataKey.every((byte) => byte === 0)) {
    throw badResponse(operation, "an all-zero data key; a stub must return a new Plaintext buffer for each call")
  }
  return dataKey
}

/** The ciphertext in memory of its own. @throws EnvelopeError `KmsError` when there is none */
export function takeCiphertext(operation: KmsOperation, { CiphertextBlob }: KmsResponse): Uint8Array {
  if (CiphertextBlob instanceof Uint8Array && CiphertextBlob.length > 0) return copyBytes(CiphertextBlob)
  throw badResponse(operation, "no CiphertextBlob")
}

export const badResponse = (operation: KmsOperation, what: string): EnvelopeError =>
  new EnvelopeError("KmsError", `the KMS client answered ${operation} with ${what}`)

/** The ARN of the key behind an alias. */
export async function describeKey({ client, keyId }: KmsTarget, signal: AbortSignal | undefined): Promise<string> {
  const { KeyMetadata } = await callKms("DescribeKey", client, { KeyId: keyId }, { keyId, ...(signal && { signal }) })
  const arn = KeyMetadata?.Arn ?? ""
  if (parseKeyArn(arn) === undefined) throw badResponse("DescribeKey", "no key ARN")
  return arn
}

// --- internal ---

interface CallRequest {
  readonly encryptionContext: EncryptionContext
  readonly signal?: AbortSignal
}

/** A request about a data key of a message. */
function call(
  operation: KmsOperation,
  { client, keyId, grantTokens }: KmsTarget,
  { encryptionContext, signal }: CallRequest,
  members: object,
): Promise<KmsResponse> {
  const input = {
    KeyId: keyId,
    ...members,
    // A copy, because the caller's may have no prototype, and not every client takes that.
    EncryptionContext: { ...encryptionContext },
    ...(grantTokens.length > 0 && { GrantTokens: [...grantTokens] }),
  }
  return callKms(operation, client, input, { keyId, ...(signal && { signal }) })
}

function noteRequestId(trace: Partial<KmsTrace> | undefined, from: unknown): void {
  const requestId = (from as KmsResponse | undefined)?.$metadata?.requestId
  if (trace !== undefined && requestId !== undefined) trace.requestId = requestId
}

/** The AWS message stays in the cause: it may name principals, and a client that is not AWS's may put anything there. */
function kmsError(operation: KmsOperation, keyId: string, cause: unknown): EnvelopeError {
  const name = cause instanceof Error && /^\w{1,80}$/.test(cause.name) ? cause.name : "Error"
  return new EnvelopeError("KmsError", `KMS ${operation} with ${keyId} failed: ${name}`, { cause, name })
}

function wrappedKey(operation: KmsOperation, response: KmsResponse): WrappedKey {
  const { KeyId } = response
  if (typeof KeyId !== "string" || parseKeyArn(KeyId) === undefined) throw badResponse(operation, "no key ARN")
  return { providerId: KMS_PROVIDER_ID, providerInfo: utf8(KeyId), ciphertext: takeCiphertext(operation, response) }
}
