import type { CreateMultipartUploadCommandInput, PutObjectCommandInput } from "@aws-sdk/client-s3"
import { EnvelopeError } from "../core/index.ts"
import { encrypt, encryptStream, inspect, type MessageStream } from "../message/index.ts"
import type { Call } from "./call.ts"
import { choiceOf, ruleFor } from "./choices.ts"
import { contextOf } from "./keys.ts"
import { withMessageMetadata } from "./metadata.ts"
import { objectSealer, type S3ecCallOptions, type S3ecPlan, sealObject, withEnvelope } from "./s3ec/index.ts"
import { encryptOptions, type ObjectWriter, openWriter } from "./writer.ts"

/** An object in memory, ready to be sent. */
export interface SealedWhole {
  readonly body: Uint8Array
  /** The caller's and what the format adds. */
  readonly metadata: Record<string, string>
  /** The body of the instruction file, where the wrapped key goes there. */
  readonly instructionFile?: string
}

/** How one object is to be written (OBJ-1.1). */
export interface WriteTarget {
  seal(plaintext: Uint8Array, metadata: Record<string, string> | undefined): Promise<SealedWhole>
  /** For parts. @param plaintextLength where known */
  open(plaintextLength: number | undefined): Promise<ObjectWriter>
  /** For signed messages, which are one stream. */
  readonly stream: ((plaintextLength: number | undefined) => MessageStream) | undefined
  close(): void
}

type WriteCall = Call<PutObjectCommandInput> | Call<CreateMultipartUploadCommandInput>

/** @returns "off" for an object that is not encrypted. @throws TypeError before anything is sent */
export function writeTarget(call: WriteCall): WriteTarget | "off" {
  const { session, input, own, signal } = call
  const { settings } = session
  const place = own.boundTo ?? { bucket: input.Bucket!, key: input.Key! }
  if ((own.format ?? settings.format) === "s3ec") {
    const choice = own.encryption ?? ruleFor(settings.defaultEncryption, place.bucket, place.key)?.encryption
    const name = choice && choiceOf(choice)
    if (name !== undefined && name !== "off") {
      throw new TypeError(
        `encryption ${name} is for the format message: objects of the format s3ec are encrypted under s3ec.key`,
      )
    }
    if (name !== "off") return s3ecTarget(requirePlan(settings.s3ecPlan), s3ecCall(call))
  }
  const lease = session.keys.forWriting(place, own)
  if (lease === "off") return "off"
  const request = { keyring: lease.keyring, encryptionContext: contextOf(settings, place, own), signal }
  return {
    async seal(plaintext, metadata) {
      const body = await encrypt(plaintext, encryptOptions(settings, { ...request, plaintextLength: plaintext.length }))
      const { suiteId, wrappedKeys, headerLength, frameLength } = inspect(body)
      const facts = { suiteId, wrappedKeys, headerLength, frameLength, plaintextLength: plaintext.length }
      return { body, metadata: withMessageMetadata(metadata, facts) }
    },
    open: (plaintextLength) => openWriter(settings, { ...request, plaintextLength }),
    stream: settings.signed
      ? (plaintextLength) => {
          const options = encryptOptions(settings, { ...request, plaintextLength })
          return encryptStream({ ...options, ...(plaintextLength !== undefined && { plaintextLength }) })
        }
      : undefined,
    close: () => lease.close(),
  }
}

function requirePlan(plan: S3ecPlan | undefined): S3ecPlan {
  if (plan !== undefined) return plan
  throw new TypeError("the format s3ec needs the client's option s3ec, with its key")
}

/** Context and signal of one call, as the format s3ec takes them: no place unless asked for, so that others read it. */
export function s3ecCall({
  session,
  own,
  signal,
  input,
}: Pick<Call, "session" | "own" | "signal" | "input">): S3ecCallOptions {
  const { Bucket, Key } = input as { Bucket: string; Key: string }
  const { objectContext = session.settings.s3ecContext } = own
  const encryptionContext = contextOf(session.settings, own.boundTo ?? { bucket: Bucket, key: Key }, {
    ...own,
    objectContext,
  })
  return { encryptionContext, ...(signal && { signal }) }
}

function s3ecTarget(plan: S3ecPlan, options: S3ecCallOptions): WriteTarget {
  return {
    async seal(plaintext, metadata) {
      const { body, ...written } = await sealObject(plan, plaintext, options)
      return { body, ...written, metadata: withEnvelope(metadata, written) }
    },
    async open(plaintextLength) {
      const length = plaintextLength !== undefined && { plaintextLength }
      const sealer = await objectSealer(plan, { ...options, ...length })
      let sealed = 0
      return {
        frameLength: 1,
        ...(sealer.instructionFile !== undefined && { instructionFile: sealer.instructionFile }),
        describe: (metadata) => withEnvelope(metadata, sealer),
        async seal(start, plaintext, final) {
          if (start !== sealed) throw outOfOrder()
          sealed += plaintext.length
          const bytes = sealer.update(plaintext)
          return final ? Buffer.concat([bytes, sealer.finish()]) : bytes
        },
        close: () => sealer.close(),
      }
    },
    stream: undefined,
    close: () => {},
  }
}

const outOfOrder = (): EnvelopeError =>
  new EnvelopeError("UploadState", "an object of the format s3ec is one cipher stream: its parts must come in order")
