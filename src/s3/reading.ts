import type { GetObjectCommandInput, GetObjectCommandOutput } from "@aws-sdk/client-s3"
import { EnvelopeError } from "../core/index.ts"
import { findSuite } from "../crypto/index.ts"
import { decodeHeader, type Header, readU16, resolveLimits } from "../format/index.ts"
import type { DecryptOptions } from "../message/index.ts"
import type { Call } from "./call.ts"
import type { ObjectPlace } from "./context.ts"
import { contextOf, type LeasedKeyring } from "./keys.ts"
import { keyNames, type ObjectEnvelope, suiteName } from "./metadata.ts"

export type GetCall = Call<GetObjectCommandInput>

/** What one read of an object needs beside the object. */
export interface Reading {
  readonly options: DecryptOptions
  /** Call when the keys are derived. */
  close(): void
}

/** OBJ-3.2: where the object was written, as far as the caller knows. */
export const boundPlace = ({ input, own }: Pick<GetCall, "input" | "own">): ObjectPlace =>
  own.boundTo ?? { bucket: input.Bucket!, key: input.Key! }

/** Keyring and expected context of one read. @throws TypeError */
export function beginReading(call: GetCall, signal = call.signal): Reading {
  const { session, own } = call
  const { settings } = session
  const place = boundPlace(call)
  const lease: LeasedKeyring = session.keys.forReading(place, own)
  return {
    options: {
      keyring: lease.keyring,
      encryptionContext: contextOf(settings, place, own),
      ...(settings.commitmentPolicy !== undefined && { commitmentPolicy: settings.commitmentPolicy }),
      ...(signal && { signal }),
    },
    close: () => lease.close(),
  }
}

const LIMITS = /* @__PURE__ */ resolveLimits({})

/**
 * The header at the start of an object.
 *
 * @returns how many bytes are needed; or undefined: the object is no message
 * @throws EnvelopeError `MalformedMessage`, `LimitExceeded`
 */
export const headerAt = (bytes: Uint8Array): Header | number | undefined =>
  beginsAsMessage(bytes) ? decodeHeader(bytes, LIMITS) : undefined

/** OBJ-9.3: version and suite, which stand in the first bytes. */
function beginsAsMessage(bytes: Uint8Array): boolean {
  if (bytes.length < 4) return false
  const version = bytes[0]
  const suite = version === 1 && bytes[1] === 0x80 ? findSuite(readU16(bytes, 2)) : findSuite(readU16(bytes, 1))
  return suite !== undefined && suite.formatVersion === version
}

/** OBJ-9.2: @throws EnvelopeError `NotEncrypted` unless plaintext may be read */
export function requirePlaintextAllowed({ session, input }: GetCall): void {
  if (session.settings.readFormats.has("plaintext")) return
  throw new EnvelopeError(
    "NotEncrypted",
    `the object ${input.Bucket}/${input.Key} is not encrypted in a format that this client reads: readFormats "mixed" reads plaintext too`,
  )
}

/** OBJ-9.1 @throws EnvelopeError `UnsupportedFormat` */
export function requireMessagesAllowed({ session }: GetCall): void {
  if (session.settings.readFormats.has("message")) return
  throw new EnvelopeError("UnsupportedFormat", "the object is a message, which readFormats does not name")
}

/** What the header says. */
export const envelopeInfo = (
  header: Pick<Header, "suite" | "wrappedKeys">,
  length: { plaintextLength?: number; authenticated: boolean },
): ObjectEnvelope => ({
  format: "message",
  suite: suiteName(header.suite.id),
  keys: keyNames(header.wrappedKeys),
  ...(length.plaintextLength !== undefined && { plaintextLength: length.plaintextLength }),
  plaintextLengthAuthenticated: length.authenticated,
  authenticated: true,
})

export const plaintextInfo: ObjectEnvelope = {
  format: "plaintext",
  plaintextLengthAuthenticated: false,
  authenticated: false,
}

/** OBJ-2.4: the output of S3 with the plaintext's body and lengths; ETag and checksums stay the ciphertext's. */
export function plainOutput(
  output: GetObjectCommandOutput,
  fields: Pick<GetObjectCommandOutput, "Body" | "ContentLength" | "ContentRange">,
): GetObjectCommandOutput {
  const { Body: _body, ContentLength: _length, ContentRange: _range, ...rest } = output
  const httpStatusCode = fields.ContentRange === undefined ? 200 : 206
  const present = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
  return { ...rest, ...present, $metadata: { ...output.$metadata, httpStatusCode } }
}
