import { fromUtf8, type WrappedKey } from "../core/index.ts"
import { layoutOfBody } from "../framing/index.ts"
import { BUCKET_KEY_NAMESPACE } from "../keyrings/index.ts"
import { CUSTOMER_KEY_NAME, CUSTOMER_KEY_NAMESPACE } from "./choices.ts"

/**
 * OBJ-8.1: what an auditor reads without a key, in the user metadata of a `message` object. Nothing of it is trusted:
 * reading goes by the message alone.
 */
const META = {
  format: "envelope-format",
  suite: "envelope-suite",
  key: "envelope-key",
  plaintextLength: "envelope-plaintext-length",
  layout: "envelope-layout",
} as const

type Metadata = Readonly<Record<string, string>>

/** S3's limit for names and values together. */
const MAX_METADATA = 2048
const MAX_KEYS = 512

export interface MessageFacts {
  readonly suiteId: number
  readonly wrappedKeys: readonly WrappedKey[]
  readonly headerLength: number
  readonly frameLength: number
  readonly plaintextLength: number | undefined
}

/** The caller's metadata with ours, or without where both would not fit. */
export function withMessageMetadata(metadata: Metadata | undefined, facts: MessageFacts): Record<string, string> {
  const own: Record<string, string> = {
    [META.format]: "message",
    [META.suite]: suiteText(facts.suiteId),
    [META.key]: [...new Set(facts.wrappedKeys.map(keyText))].join(" ").slice(0, MAX_KEYS),
    [META.layout]: `${facts.headerLength}/${facts.frameLength}`,
    ...(facts.plaintextLength !== undefined && { [META.plaintextLength]: String(facts.plaintextLength) }),
  }
  const both = { ...withoutMessageMetadata(metadata), ...own }
  return sizeOf(both) <= MAX_METADATA ? both : withoutMessageMetadata(metadata)
}

export function withoutMessageMetadata(metadata: Metadata | undefined): Record<string, string> {
  const ours: readonly string[] = Object.values(META)
  return Object.fromEntries(Object.entries(metadata ?? {}).filter(([name]) => !ours.includes(name.toLowerCase())))
}

const sizeOf = (metadata: Metadata): number =>
  Object.entries(metadata).reduce((sum, [name, value]) => sum + Buffer.byteLength(name) + Buffer.byteLength(value), 0)

const suiteText = (id: number): string => `0x${id.toString(16).padStart(4, "0")}`

function keyText({ providerId, providerInfo }: WrappedKey): string {
  if (providerId === CUSTOMER_KEY_NAMESPACE) return CUSTOMER_KEY_NAME
  if (providerId === "aws-kms") return printable(fromUtf8(providerInfo) ?? "")
  // MSG-4.5: tag length, iv length and iv follow the name of a raw AES key.
  const name = fromUtf8(providerInfo.subarray(0, Math.max(0, providerInfo.length - 20))) ?? ""
  if (providerId === BUCKET_KEY_NAMESPACE) return `bucket-key:${printable(name.split("#", 1)[0]!)}`
  return printable(`${providerId}/${name}`)
}

/** Metadata are header fields. */
const printable = (text: string): string => text.replace(/[^\x21-\x7e]/g, "?")

/** What is known about an object beside the SDK's own output. */
export interface ObjectEnvelope {
  readonly format: "message" | "s3ec" | "plaintext" | "unknown"
  /** For instance `0x0478`. */
  readonly suite?: string
  /** Key ARNs and the like, as the object names them. */
  readonly keys?: readonly string[]
  /** Bytes of plaintext of the whole object. */
  readonly plaintextLength?: number
  /** Whether the final frame's tag stands behind `plaintextLength`; never for HEAD. */
  readonly plaintextLengthAuthenticated: boolean
  /** Whether the header's tag verified. False for what stands in metadata alone. */
  readonly authenticated: boolean
}

/** OBJ-8.2: what the metadata say about an object of `size` bytes. @returns undefined for no `message` object */
export function describeMetadata(metadata: Metadata | undefined, size: number): ObjectEnvelope | undefined {
  const entries = Object.fromEntries(Object.entries(metadata ?? {}).map(([name, value]) => [name.toLowerCase(), value]))
  if (entries[META.format] !== "message") return undefined
  const [, headerLength, frameLength] = /^(\d{1,7})\/(\d{1,10})$/.exec(entries[META.layout] ?? "") ?? []
  const plaintextLength = lengthBySize(size, Number(headerLength), Number(frameLength))
  return {
    format: "message",
    ...(entries[META.suite] !== undefined && { suite: entries[META.suite] }),
    ...(entries[META.key] !== undefined && { keys: entries[META.key]!.split(" ") }),
    ...(plaintextLength !== undefined && { plaintextLength }),
    plaintextLengthAuthenticated: false,
    authenticated: false,
  }
}

/** @returns undefined where no layout of frames has this size */
export function lengthBySize(size: number, headerLength: number, frameLength: number): number | undefined {
  if (!(headerLength > 0) || !(frameLength > 0)) return undefined
  const layout = layoutOfBody(size - headerLength, frameLength)
  return layout && layout.regularFrames * frameLength + layout.finalLength
}

const envelopes = new WeakMap<object, ObjectEnvelope>()

/** What this library knows about the object of an output of `GetObject` or `HeadObject`. */
export const envelopeOf = (output: object): ObjectEnvelope | undefined => envelopes.get(output)

export function withEnvelopeInfo<O extends object>(output: O, envelope: ObjectEnvelope): O {
  envelopes.set(output, envelope)
  return output
}

export const suiteName = suiteText
export const keyNames = (wrappedKeys: readonly WrappedKey[]): string[] => [...new Set(wrappedKeys.map(keyText))]
