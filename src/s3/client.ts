import { S3Client, type ServiceInputTypes, type ServiceOutputTypes } from "@aws-sdk/client-s3"
import { EnvelopeError } from "../core/index.ts"
import type { AnyCommand, Call, HttpOptions, Session } from "./call.ts"
import { copyObject, uploadPartCopy } from "./copy.ts"
import { getObject } from "./get.ts"
import { headObject } from "./head.ts"
import { deleteObject, deleteObjects } from "./instruction.ts"
import { createKeys } from "./keys.ts"
import { abortUpload, completeUpload, createUpload, listParts, uploadPart } from "./multipart.ts"
import { type EncryptedS3ClientOptions, type EncryptionSendOptions, resolveSettings, splitOptions } from "./options.ts"
import { guardedStack } from "./presigned.ts"
import { putObject } from "./put.ts"
import { readCache } from "./read-cache.ts"
import { closeUpload } from "./upload-state.ts"

/** A command of the SDK, as far as `send` looks at it. */
export interface SdkCommand<I, O> extends AnyCommand<I> {
  // biome-ignore-start lint/suspicious/noExplicitAny: any client's configuration.
  resolveMiddleware(stack: any, configuration: any, options: any): (arguments_: any) => Promise<{ output: O }>
  // biome-ignore-end lint/suspicious/noExplicitAny: any client's configuration.
}

/** Options of `send`: the SDK's own, and this library's. */
export type SendOptions = HttpOptions & EncryptionSendOptions

type Callback<O> = (error: unknown, output?: O) => void

// biome-ignore lint/suspicious/noExplicitAny: each takes the input of its own command.
const operations: Readonly<Record<string, (call: Call<any>) => Promise<object>>> = {
  PutObject: putObject,
  GetObject: getObject,
  HeadObject: headObject,
  CopyObject: copyObject,
  CreateMultipartUpload: createUpload,
  UploadPart: uploadPart,
  UploadPartCopy: uploadPartCopy,
  CompleteMultipartUpload: completeUpload,
  AbortMultipartUpload: abortUpload,
  ListParts: listParts,
  DeleteObject: deleteObject,
  DeleteObjects: deleteObjects,
}

/**
 * The SDK's `S3Client` with objects encrypted on their way out and decrypted on their way in. Takes the SDK's own commands
 * and gives their outputs: PutObject, GetObject with every Range, HeadObject, CopyObject and multipart uploads are
 * encrypted, all other commands pass through. It is an `S3Client` for `Upload` of lib-storage, paginators and waiters.
 *
 * Lengths are the plaintext's; ETag and checksums are the ciphertext's. Object data is encrypted, metadata, tags and
 * keys are not. The middleware stack is the one of `client`, which sends every request.
 *
 * `close()`, or `await using`, overwrites bucket keys, cached keys and those of unfinished uploads, and leaves `client`
 * open; `destroy()` closes both.
 *
 * @throws TypeError, RangeError for options that contradict one another or cannot work
 */
export class EncryptedS3Client extends S3Client {
  /** The client that was handed in: sees ciphertext, for presigned URLs and for looking at what is stored. */
  readonly ciphertext: S3Client
  readonly #session: Session
  #closed = false

  constructor(options: EncryptedS3ClientOptions) {
    const settings = resolveSettings(options)
    // Never used: what it would need is looked up when a request is sent.
    super({ region: "us-east-1" })
    const inner = settings.client
    this.ciphertext = inner
    Object.assign(this, { config: inner.config, middlewareStack: guardedStack(inner.middlewareStack) })
    this.#session = {
      inner,
      settings,
      keys: createKeys(settings),
      uploads: new Map(),
      cache: settings.readCache && readCache(settings.readCache),
    }
  }

  /**
   * Sends a command of the SDK.
   *
   * @throws what S3 and the SDK throw; EnvelopeError `ContextMismatch`, `TamperedMessage`, `TruncatedMessage`,
   *   `NotEncrypted`, `UnsupportedFormat`, `NoMatchingKey`, `KmsError`, `UploadState`, `ObjectChanged`, `Closed`, and
   *   what `encrypt` and `decrypt` throw; TypeError, RangeError for what cannot be done. Bodies fail with the same errors.
   */
  override send<I extends ServiceInputTypes, O extends ServiceOutputTypes>(
    command: SdkCommand<I, O>,
    callback: Callback<O>,
  ): void
  override send<I extends ServiceInputTypes, O extends ServiceOutputTypes>(
    command: SdkCommand<I, O>,
    options?: SendOptions,
  ): Promise<O>
  override send<I extends ServiceInputTypes, O extends ServiceOutputTypes>(
    command: SdkCommand<I, O>,
    options: SendOptions,
    callback: Callback<O>,
  ): void
  override send<I extends ServiceInputTypes, O extends ServiceOutputTypes>(
    command: SdkCommand<I, O>,
    optionsOrCallback?: SendOptions | Callback<O>,
    callback?: Callback<O>,
  ): Promise<O> | undefined {
    const options = typeof optionsOrCallback === "function" ? undefined : optionsOrCallback
    const answer = typeof optionsOrCallback === "function" ? optionsOrCallback : callback
    const sent = this.#send(command, options) as Promise<O>
    if (answer === undefined) return sent
    sent.then(
      (output) => answer(undefined, output),
      (error) => answer(error),
    )
    return undefined
  }

  async #send(command: AnyCommand, options: SendOptions | undefined): Promise<object> {
    if (this.#closed) throw new EnvelopeError("Closed", "the client is closed")
    const { own, http } = splitOptions<HttpOptions & object>(options)
    const signal = http?.abortSignal as AbortSignal | undefined
    signal?.throwIfAborted()
    const call: Call = { session: this.#session, command, input: command.input, own, http, signal }
    const operation = operations[operationName(command)]
    if (operation !== undefined) return operation(call)
    if (Object.keys(own).length > 0) {
      throw new TypeError(
        `${operationName(command)} passes through, and takes no option ${Object.keys(own).join(", ")}`,
      )
    }
    return this.#session.inner.send(command as never, http as never) as unknown as Promise<object>
  }

  /** Overwrites every key that is held. Calls that are under way may fail. */
  close(): void {
    this.#closed = true
    const { keys, uploads, cache } = this.#session
    keys.close()
    cache?.close()
    for (const upload of uploads.values()) closeUpload(upload)
    uploads.clear()
  }

  /** `close()`, and the same for the SDK's client. */
  override destroy(): void {
    this.close()
    this.ciphertext.destroy()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close()
  }
}

/** By name rather than by class: a program may hold two copies of the SDK. */
function operationName(command: object): string {
  const { name } = command.constructor
  if (name.endsWith("Command")) return name.slice(0, -"Command".length)
  // A minifier renames classes; the SDK's schema keeps the operation's name.
  const { schema } = command as { schema?: unknown }
  return Array.isArray(schema) && typeof schema[2] === "string" ? schema[2] : name
}
