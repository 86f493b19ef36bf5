import { fromUtf8, limitExceeded, type MaybePromise, malformed } from "../../core/index.ts"
import { type ObjectEnvelope, parseEnvelope } from "./envelope.ts"
import { isEnvelopeName, isReservedName, isV3Name, V3_ON_OBJECT } from "./names.ts"
import { fromJson } from "./text.ts"

/** User metadata as the AWS SDK has it: names without `x-amz-meta-`. */
export type ObjectMetadata = Readonly<Record<string, string>>

/** Fetches the instruction file of an object. @returns undefined when there is none */
export type FetchInstructionFile = () => MaybePromise<Uint8Array | undefined>

/** Bytes. Metadata itself is 2 KB at most; the largest encryption context of KMS is 8 KB. */
export const MAX_INSTRUCTION_FILE_LENGTH = 64 * 1024

/** Characters. S3 stores 2 KB of metadata, some servers more. */
const MAX_VALUE_LENGTH = 64 * 1024

/** Where an object's metadata says its envelope is. */
export type EnvelopePlace = "metadata" | "v3-instruction-file" | "not-in-metadata"

/** CSE-1.3. Costs nothing: reads names only. @throws EnvelopeError `MalformedMessage` for a name given twice */
export function envelopePlace(metadata: ObjectMetadata | undefined): EnvelopePlace {
  const names = [...fieldsOf(metadata ?? {}).keys()].filter(isEnvelopeName)
  if (names.length === 0) return "not-in-metadata"
  const onObject = names.length === V3_ON_OBJECT.length && names.every((name) => V3_ON_OBJECT.includes(name))
  return onObject ? "v3-instruction-file" : "metadata"
}

/**
 * The envelope of an object, from its metadata and, where that has none or not all of it, from its instruction file.
 *
 * @returns undefined when there is none: the object is not one of the S3 Encryption Client
 * @throws EnvelopeError `MalformedMessage`, `UnsupportedFormat`, `LimitExceeded`, and what `fetch` throws
 */
export async function findEnvelope(
  metadata: ObjectMetadata | undefined,
  fetch?: FetchInstructionFile,
): Promise<ObjectEnvelope | undefined> {
  const place = envelopePlace(metadata)
  const fields = fieldsOf(metadata ?? {})
  if (place === "metadata") return parseEnvelope({ fields, location: "metadata" })
  const file = await fetch?.()
  if (file !== undefined) {
    const fromFile = parseInstructionFile(file, place)
    return parseEnvelope({ fields: new Map([...fields, ...fromFile]), location: "instruction-file" })
  }
  if (place === "not-in-metadata") return undefined
  throw malformed("the object's wrapped key is in an instruction file, and there is none")
}

/** CSE-3.7 */
export function parseInstructionFile(body: Uint8Array, place: EnvelopePlace): Map<string, string> {
  if (body.length > MAX_INSTRUCTION_FILE_LENGTH) {
    throw limitExceeded("the instruction file, in bytes,", body.length, MAX_INSTRUCTION_FILE_LENGTH, "none")
  }
  const text = fromUtf8(body)
  if (text === undefined) throw malformed("the instruction file is not UTF-8")
  const fields = new Map(Object.entries(fromJson(text, "the instruction file")))
  for (const name of fields.keys()) {
    if (!isReservedName(name)) throw malformed("the instruction file holds a name that does not belong there")
    // What ciphertext and wrapped key have to agree on stays out of reach of whoever writes instruction files only.
    if (V3_ON_OBJECT.includes(name)) throw malformed(`the instruction file holds ${name}, which belongs on the object`)
    if (place === "not-in-metadata" && isV3Name(name)) {
      throw malformed(`the instruction file holds ${name}, and the object has no envelope of format V3`)
    }
  }
  if (![...fields.keys()].some(isEnvelopeName)) throw malformed("the instruction file holds no wrapped key")
  return fields
}

/** CSE-1.2: S3 lower-cases names, some writers and servers do not. */
function fieldsOf(metadata: ObjectMetadata): Map<string, string> {
  const fields = new Map<string, string>()
  for (const [given, value] of Object.entries(metadata)) {
    const name = given.toLowerCase()
    if (!isReservedName(name)) continue
    if (fields.has(name)) throw malformed(`the object's metadata has ${name} twice`)
    if (typeof value !== "string") throw malformed(`the object's metadata has no text under ${name}`)
    if (value.length > MAX_VALUE_LENGTH) {
      throw limitExceeded(`the length of ${name}`, value.length, MAX_VALUE_LENGTH, "none")
    }
    fields.set(name, value)
  }
  return fields
}
