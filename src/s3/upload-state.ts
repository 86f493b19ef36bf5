import type { CompletedPart } from "@aws-sdk/client-s3"
import { copyBytes, EnvelopeError } from "../core/index.ts"
import { type Fingerprints, fingerprints, wipe } from "../crypto/index.ts"
import type { ObjectWriter } from "./writer.ts"

/** What the server knows about a part that was sent. */
export interface SentPart {
  readonly completed: CompletedPart
  /** Bytes of plaintext. */
  readonly length: number
}

/** One multipart upload of the caller's, of which this process knows the keys. */
export interface EncryptedUpload {
  readonly writer: ObjectWriter
  readonly prints: Fingerprints
  /** Bytes of plaintext of every part but the last; known with the first part that cannot be the last. */
  partSize: number | undefined
  /** The highest part so far, which may be the last, by its plaintext. */
  held: { readonly partNumber: number; readonly plaintext: Uint8Array; readonly tag: string } | undefined
  /** Sealed parts: their digests, so that they are sent again with the same plaintext only; and their bytes until sent. */
  readonly sealed: Map<number, SealedPart>
  /** Once Complete sealed the last part, which is then sealed for good. */
  lastPart: number | undefined
}

export interface SealedPart {
  readonly print: Uint8Array
  readonly length: number
  /** What the caller was told in the place of an ETag while the part was held. */
  readonly tag: string | undefined
  /** Until the server has them. */
  bytes: Uint8Array | undefined
  sending: Promise<void> | undefined
  sent: SentPart | undefined
}

/** Uploads by their id; `"off"` for those that are not encrypted. */
export type Uploads = Map<string, EncryptedUpload | "off">

export const newUpload = (writer: ObjectWriter): EncryptedUpload => ({
  writer,
  prints: fingerprints(),
  partSize: undefined,
  held: undefined,
  sealed: new Map(),
  lastPart: undefined,
})

/** Overwrites keys and the plaintext that is held. */
export function closeUpload(upload: EncryptedUpload | "off" | undefined): void {
  if (upload === undefined || upload === "off") return
  upload.writer.close()
  upload.prints.close()
  wipe(upload.held?.plaintext)
  upload.held = undefined
}

const refused = (what: string): EnvelopeError => new EnvelopeError("UploadState", what)

/** OBJ-4.4. @throws EnvelopeError `UploadState` for an upload of another process, or one that is over */
export function uploadOf(uploads: Uploads, uploadId: string | undefined): EncryptedUpload | "off" {
  const upload = uploads.get(uploadId ?? "")
  if (upload !== undefined) return upload
  throw refused(
    "this client did not begin the upload, or it is over: the keys of an upload live in one process and cannot be resumed elsewhere",
  )
}

/**
 * OBJ-4.2: takes a part's plaintext. The highest part so far is held, since it may be the last; the one that it displaces
 * is sealed, as is every lower one.
 *
 * @returns what the caller is told in the place of an ETag, when the part is held
 * @throws EnvelopeError `UploadState`, RangeError for a part size that the message does not allow
 */
export async function takePart(
  upload: EncryptedUpload,
  partNumber: number,
  plaintext: Uint8Array,
): Promise<string | undefined> {
  const { held, sealed } = upload
  if (sealed.has(partNumber)) {
    checkSame(upload, partNumber, plaintext)
    return undefined
  }
  if (upload.lastPart !== undefined && partNumber > upload.lastPart) {
    throw refused(`part ${upload.lastPart} was sealed as the last one: part ${partNumber} cannot follow`)
  }
  if (held !== undefined && partNumber < held.partNumber) {
    await sealRegular(upload, partNumber, plaintext, undefined)
    return undefined
  }
  if (held !== undefined && partNumber > held.partNumber) checkRegular(upload, held.partNumber, held.plaintext.length)
  const tag = heldTag(upload, partNumber, plaintext)
  upload.held = { partNumber, plaintext: copyBytes(plaintext), tag }
  if (held !== undefined && partNumber > held.partNumber) {
    await sealRegular(upload, held.partNumber, held.plaintext, held.tag)
    wipe(held.plaintext)
  } else wipe(held?.plaintext)
  return tag
}

/** Told for the same plaintext again, and never the ETag of anything. */
const heldTag = ({ prints }: EncryptedUpload, partNumber: number, plaintext: Uint8Array): string =>
  `"held-${partNumber}-${Buffer.from(prints.of(plaintext)).toString("hex").slice(0, 32)}"`

function checkSame(upload: EncryptedUpload, partNumber: number, plaintext: Uint8Array): void {
  const { prints, sealed } = upload
  if (prints.same(prints.of(plaintext), sealed.get(partNumber)!.print)) return
  // Other plaintext under the same key and ivs would give both away.
  throw refused(`part ${partNumber} was sealed with other bytes: it can only be sent again as it was`)
}

function checkRegular(upload: EncryptedUpload, partNumber: number, length: number): void {
  const { frameLength } = upload.writer
  if (length === 0 || length % frameLength !== 0) {
    throw new RangeError(
      `part ${partNumber} has ${length} bytes: every part but the last must be a multiple of the frame length, ${frameLength} bytes`,
    )
  }
  if (upload.partSize !== undefined && upload.partSize !== length) {
    throw new RangeError(
      `part ${partNumber} has ${length} bytes: every part but the last must be as long as the others, ${upload.partSize} bytes`,
    )
  }
}

async function sealRegular(
  upload: EncryptedUpload,
  partNumber: number,
  plaintext: Uint8Array,
  tag: string | undefined,
): Promise<void> {
  checkRegular(upload, partNumber, plaintext.length)
  upload.partSize = plaintext.length
  await sealAs(upload, partNumber, plaintext, tag, false)
}

/** Seals a part once and for all: what is entered here first is never sealed again. */
async function sealAs(
  upload: EncryptedUpload,
  partNumber: number,
  plaintext: Uint8Array,
  tag: string | undefined,
  final: boolean,
): Promise<void> {
  const { writer, prints, sealed } = upload
  const print = prints.of(plaintext)
  const part: SealedPart = {
    print,
    length: plaintext.length,
    tag,
    bytes: undefined,
    sending: undefined,
    sent: undefined,
  }
  sealed.set(partNumber, part)
  const start = (partNumber - 1) * (upload.partSize ?? 0)
  const seal = async () => {
    try {
      part.bytes = await writer.seal(start, plaintext, final)
    } catch (error) {
      // Nothing of it left this process.
      sealed.delete(partNumber)
      throw error
    } finally {
      part.sending = undefined
    }
  }
  part.sending = seal()
  await part.sending
}

/**
 * OBJ-4.3: seals the part that is held with the final frame.
 *
 * @param listed the part numbers that the caller completes
 * @throws EnvelopeError `UploadState`, RangeError
 */
export async function sealLast(upload: EncryptedUpload, listed: readonly CompletedPart[]): Promise<void> {
  const { held, partSize, sealed } = upload
  const last = held?.partNumber ?? upload.lastPart ?? 0
  if (listed.length !== last || listed.some(({ PartNumber }, i) => PartNumber !== i + 1)) {
    throw refused(`the upload has parts 1 to ${last}, each of which must be completed, in order and without gaps`)
  }
  for (let partNumber = 1; partNumber < last; partNumber++) {
    if (!sealed.has(partNumber)) throw refused(`part ${partNumber} was not uploaded`)
  }
  checkTags(upload, listed)
  if (held === undefined) return
  if (partSize !== undefined && held.plaintext.length > partSize) {
    throw new RangeError(`the last part has ${held.plaintext.length} bytes, more than the others, ${partSize} bytes`)
  }
  upload.lastPart = last
  upload.held = undefined
  await sealAs(upload, last, held.plaintext, held.tag, true)
  wipe(held.plaintext)
}

function checkTags({ held, sealed }: EncryptedUpload, listed: readonly CompletedPart[]): void {
  for (const { PartNumber, ETag } of listed) {
    const part = sealed.get(PartNumber!)
    const known = held?.partNumber === PartNumber ? [held!.tag] : [part?.tag, part?.sent?.completed.ETag]
    const unquoted = known.map((tag) => tag?.replaceAll('"', ""))
    if (ETag !== undefined && unquoted.includes(ETag.replaceAll('"', ""))) continue
    throw refused(`part ${PartNumber} has another ETag than the one given to Complete`)
  }
}
