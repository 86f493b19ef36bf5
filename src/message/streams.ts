import { Transform, type TransformCallback } from "node:stream"
import type { Transformer, TransformStreamDefaultController } from "node:stream/web"
import { type BytesLike, viewBytes } from "../core/index.ts"
import type { MessageHeader } from "./header-info.ts"
import { planRead } from "./open.ts"
import type { DecryptOptions, EncryptOptions } from "./options.ts"
import type { Processor } from "./processor.ts"
import { reencryptor } from "./reencryptor.ts"
import { tracedDecryptor, tracedEncryptor } from "./traced.ts"
import { planWrite } from "./write.ts"

export interface EncryptStreamOptions extends EncryptOptions {
  /** Bytes of plaintext, where known: the stream fails when there are more or fewer, and a bounded cache can count them. */
  readonly plaintextLength?: number
}

export interface DecryptStreamOptions extends DecryptOptions {
  /**
   * Signed messages leave a stream before their signature is checked. `refuse` (default) fails with `SignedMessage`
   * before any plaintext. `verify-at-end` releases frames as they verify, holds the final one until the signature
   * verified, and fails otherwise: discard what came out when the stream fails.
   */
  readonly signed?: "refuse" | "verify-at-end"
}

/** A Node stream over one message, with the header as an event (`"header"`) and as a promise. */
export interface MessageStream extends Transform {
  /** The header once its tag verified; rejects when the stream fails before. */
  readonly header: Promise<MessageHeader>
}

/** A Web stream over one message. */
export interface MessageTransformStream extends TransformStream<BytesLike, Uint8Array> {
  /** The header once its tag verified; rejects when the stream fails before. */
  readonly header: Promise<MessageHeader>
}

/**
 * Encrypts a stream of bytes into one message. Memory is bounded by a few frames whatever the size. A stream that fails
 * or is destroyed never ends with a final frame, so what it wrote cannot pass for a message.
 *
 * @throws what `encrypt` throws for its options; later errors destroy the stream
 */
export function encryptStream(options: EncryptStreamOptions): MessageStream {
  return nodeStream(makeEncryptor(options), options.signal)
}

/**
 * Decrypts one message, releasing each frame after its tag verified. The input must be one whole message: the stream
 * fails with `TruncatedMessage` at an early end and with `MalformedMessage` when bytes follow.
 *
 * @throws what `decrypt` throws for its options; later errors destroy the stream
 */
export function decryptStream(options: DecryptStreamOptions): MessageStream {
  return nodeStream(makeDecryptor(options), options.signal)
}

/** `encryptStream` as a Web `TransformStream`. */
export function encryptTransform(options: EncryptStreamOptions): MessageTransformStream {
  return webStream(makeEncryptor(options), options.signal)
}

/** `decryptStream` as a Web `TransformStream`. */
export function decryptTransform(options: DecryptStreamOptions): MessageTransformStream {
  return webStream(makeDecryptor(options), options.signal)
}

export interface ReencryptOptions {
  /** How to read the message that comes in. */
  readonly from: DecryptStreamOptions
  /**
   * How to write the message that goes out. Encryption context, required keys and signature are taken over from the
   * message that comes in where they are not given.
   */
  readonly to: EncryptOptions
}

/**
 * Re-encrypts one message for other keyrings as a stream: new data key, new message id. There is no rewrap in place:
 * writing a second header tag under one key and nonce would let whoever sees both forge frames
 * (docs/adr/0001-no-rewrap-in-place.md).
 *
 * @throws what `decrypt` and `encrypt` throw for their options; later errors destroy the stream
 */
export function reencrypt(options: ReencryptOptions): MessageStream {
  return nodeStream(makeReencryptor(options), eitherSignal(options))
}

/** `reencrypt` as a Web `TransformStream`. */
export function reencryptTransform(options: ReencryptOptions): MessageTransformStream {
  return webStream(makeReencryptor(options), eitherSignal(options))
}

function makeReencryptor({ from, to }: ReencryptOptions): Processor {
  // Planned once here for its errors; again with what the source's header brings.
  planWrite(to.encryptionContext === undefined ? { ...to, requiredContextKeys: [] } : to)
  return reencryptor({ plan: planRead(from), signed: checkSigned(from.signed) }, to)
}

function eitherSignal({ from, to }: ReencryptOptions): AbortSignal | undefined {
  const signals = [from.signal, to.signal].filter((signal) => signal !== undefined)
  return signals.length > 1 ? AbortSignal.any(signals) : signals[0]
}

function makeEncryptor(options: EncryptStreamOptions): Processor {
  const { plaintextLength } = options
  if (plaintextLength !== undefined && !(Number.isSafeInteger(plaintextLength) && plaintextLength >= 0)) {
    throw new RangeError("plaintextLength must be a whole number, 0 or more")
  }
  const plan = planWrite(options)
  return tracedEncryptor("encryptStream", plan, plaintextLength)
}

const makeDecryptor = (options: DecryptStreamOptions): Processor =>
  tracedDecryptor("decryptStream", planRead(options), checkSigned(options.signed))

function checkSigned(signed: DecryptStreamOptions["signed"] = "refuse"): "refuse" | "verify-at-end" {
  if (signed !== "refuse" && signed !== "verify-at-end") {
    throw new TypeError('signed must be "refuse" or "verify-at-end"')
  }
  return signed
}

class ProcessorStream extends Transform implements MessageStream {
  readonly header: Promise<MessageHeader>
  readonly #processor: Processor
  #resume: (() => void) | undefined

  constructor(processor: Processor, signal: AbortSignal | undefined) {
    super({ decodeStrings: true, ...(signal && { signal }) })
    this.#processor = processor
    this.header = processor.header
    // Listening for the event costs nobody an unhandled rejection: the promise counts as handled.
    processor.header.then(
      (header) => this.emit("header", header),
      () => {},
    )
  }

  override _transform(chunk: Uint8Array, _encoding: BufferEncoding, callback: TransformCallback): void {
    this.#pump(this.#processor.write(chunk)).then(() => callback(), callback)
  }

  override _flush(callback: TransformCallback): void {
    this.#pump(this.#processor.end()).then(() => callback(), callback)
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#processor.close(error ?? undefined)
    this.#wake()
    callback(error)
  }

  override _read(size: number): void {
    if (this.#resume === undefined) super._read(size)
    else this.#wake()
  }

  #wake(): void {
    const resume = this.#resume
    this.#resume = undefined
    resume?.()
  }

  /** Transform alone would take everything one chunk yields at once; a large chunk must not fill the memory. */
  async #pump(pieces: AsyncGenerator<Uint8Array>): Promise<void> {
    for await (const piece of pieces) {
      if (this.destroyed) return
      if (this.push(piece)) continue
      await new Promise<void>((resolve) => {
        this.#resume = resolve
      })
    }
  }
}

const nodeStream = (processor: Processor, signal: AbortSignal | undefined): MessageStream =>
  new ProcessorStream(processor, signal)

function webStream(processor: Processor, signal: AbortSignal | undefined): MessageTransformStream {
  const onAbort = () => fail(signal?.reason)
  const settle = (error?: Error) => {
    signal?.removeEventListener("abort", onAbort)
    processor.close(error)
  }
  let fail: (reason: unknown) => void = () => {}
  const pump = async (pieces: AsyncGenerator<Uint8Array>, controller: TransformStreamDefaultController<Uint8Array>) => {
    try {
      for await (const piece of pieces) controller.enqueue(piece)
    } catch (error) {
      settle(error as Error)
      throw error
    }
  }
  const transformer: Transformer<BytesLike, Uint8Array> & { cancel(reason: unknown): void } = {
    start(controller) {
      fail = (reason) => {
        settle(reason as Error)
        controller.error(reason)
      }
      signal?.addEventListener("abort", onAbort, { once: true })
    },
    transform: (chunk, controller) => pump(writeChunk(processor, chunk), controller),
    async flush(controller) {
      await pump(processor.end(), controller)
      settle()
    },
    cancel: (reason) => settle(reason as Error),
  }
  return Object.assign(new TransformStream<BytesLike, Uint8Array>(transformer), { header: processor.header })
}

/** Inside the generator a chunk that is no bytes fails as other errors do, which closes the processor. */
async function* writeChunk(processor: Processor, chunk: BytesLike): AsyncGenerator<Uint8Array> {
  yield* processor.write(viewBytes(chunk, "chunk"))
}
