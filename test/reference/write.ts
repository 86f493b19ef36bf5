import { createHmac, createPrivateKey, createSign, randomBytes } from "node:crypto"
import { field, gcmSeal, referenceKeys, signatureHash, signingKey, u16, u32, u64 } from "./crypto.ts"
import { referenceSuite } from "./suites.ts"

export interface ReferenceWrappedKey {
  readonly providerId: string
  readonly providerInfo: Uint8Array
  readonly ciphertext: Uint8Array
}

export interface ReferenceMessage {
  readonly suiteId: number
  readonly plaintext: Uint8Array
  /** 0: non-framed. */
  readonly frameLength: number
  /** Stored in the header in this order. */
  readonly context?: readonly (readonly [string, string])[]
  /** Authenticated, not stored. */
  readonly unstored?: readonly (readonly [string, string])[]
  /** One per wrapped key: what `wrapRawAes` needs. */
  readonly wrapUnder: readonly RawAesKey[]
  /** For messages that break the rules: cuts the plaintext into these frames, whatever the frame length is. */
  readonly frames?: readonly { readonly final: boolean; readonly length: number }[]
  /** As the official JavaScript SDK does: an exact multiple of the frame length ends with an empty final frame. */
  readonly emptyFinalFrame?: boolean
  /** Version 1 stores the header iv; random when `true`, zeros otherwise. */
  readonly randomHeaderIv?: boolean
  /** Everything random follows from it; random when absent. */
  readonly seed?: string
  /** Instead of the public key that belongs to the signing key. */
  readonly publicKey?: string | undefined
  /** For messages that break the rules: edits the pairs that are stored. */
  readonly editStored?: (pairs: [string, string][]) => [string, string][]
  /** For messages that break the rules: edits the header before it is tagged and signed. */
  readonly editHeader?: (body: Buffer) => Uint8Array
}

export interface RawAesKey {
  readonly namespace: string
  readonly name: string
  readonly key: Uint8Array
}

const byUtf8 = (a: readonly [string, string], b: readonly [string, string]) =>
  Buffer.compare(Buffer.from(a[0]), Buffer.from(b[0]))

/** Count and pairs, in the order given; nothing for none. */
export function serializePairs(pairs: readonly (readonly [string, string])[]): Buffer {
  if (pairs.length === 0) return Buffer.alloc(0)
  return Buffer.concat([u16(pairs.length), ...pairs.flat().map((text) => field(Buffer.from(text)))])
}

export const canonicalPairs = (pairs: readonly (readonly [string, string])[]): Buffer =>
  serializePairs([...pairs].sort(byUtf8))

function wrapRawAes(
  { namespace, name, key }: RawAesKey,
  dataKey: Uint8Array,
  pairs: readonly (readonly [string, string])[],
  iv: Uint8Array,
): ReferenceWrappedKey {
  return {
    providerId: namespace,
    providerInfo: Buffer.concat([Buffer.from(name), u32(128), u32(12), iv]),
    ciphertext: gcmSeal(key, iv, canonicalPairs(pairs), dataKey),
  }
}

export interface WrittenMessage {
  readonly bytes: Uint8Array
  readonly dataKey: Buffer
  /** Where each part starts: header, frames, footer; the last entry is the length. */
  readonly marks: readonly number[]
}

export function writeReference(message: ReferenceMessage): WrittenMessage {
  const { suiteId, frameLength } = message
  const suite = referenceSuite(suiteId)
  const fresh = (label: string, length: number): Buffer =>
    message.seed === undefined
      ? randomBytes(length)
      : createHmac("sha512", message.seed).update(label).digest().subarray(0, length)
  const dataKey = fresh("data key", suite.keyBits / 8)
  const messageId = fresh("message id", suite.version === 1 ? 16 : 32)
  const signing = suite.curve && signingKey(suite.curve, message.seed ?? fresh("signing", 32).toString("hex"))
  const stored: [string, string][] = (message.context ?? []).map(([key, value]) => [key, value])
  const publicKey = "publicKey" in message ? message.publicKey : signing?.publicKey
  if (publicKey !== undefined) stored.push(["aws-crypto-public-key", publicKey])
  const full = [...stored, ...(message.unstored ?? [])]
  const inHeader = message.editStored?.(stored) ?? (message.context === undefined ? stored : stored.sort(byUtf8))
  const wrapped = message.wrapUnder.map((key, i) => wrapRawAes(key, dataKey, full, fresh(`iv ${i}`, 12)))
  const keys = referenceKeys(suite, dataKey, messageId)

  const plainHeader = Buffer.concat([
    suite.version === 1 ? Buffer.from([1, 0x80]) : Buffer.from([2]),
    u16(suite.id),
    messageId,
    field(serializePairs(inHeader)),
    u16(wrapped.length),
    ...wrapped.flatMap((key) => [field(Buffer.from(key.providerId)), field(key.providerInfo), field(key.ciphertext)]),
    Buffer.from([frameLength === 0 ? 1 : 2]),
    suite.version === 1 ? Buffer.concat([u32(0), Buffer.from([12])]) : Buffer.alloc(0),
    u32(frameLength),
    keys.commitment,
  ])
  const headerBody = message.editHeader?.(plainHeader) ?? plainHeader
  const headerIv = message.randomHeaderIv ? fresh("header iv", 12) : Buffer.alloc(12)
  const headerAad = Buffer.concat([headerBody, canonicalPairs(message.unstored ?? [])])
  const headerTag = gcmSeal(keys.key, suite.version === 1 ? headerIv : Buffer.alloc(12), headerAad, Buffer.alloc(0))
  const header = Buffer.concat([headerBody, suite.version === 1 ? headerIv : Buffer.alloc(0), headerTag])

  const parts = [header, ...bodyFrames(message, keys.key, messageId)]
  if (signing !== undefined) {
    const signer = createSign(signatureHash(suite.curve!)).update(Buffer.concat(parts))
    parts.push(field(signer.sign(createPrivateKey({ key: signing.jwk, format: "jwk" }))))
  }
  const marks = [0]
  for (const part of parts) marks.push(marks[marks.length - 1]! + part.length)
  return { bytes: new Uint8Array(Buffer.concat(parts)), dataKey, marks }
}

function bodyFrames(message: ReferenceMessage, key: Buffer, messageId: Buffer): Buffer[] {
  const { plaintext, frameLength } = message
  const aad = (text: string, sequence: number, length: number) =>
    Buffer.concat([messageId, Buffer.from(text), u32(sequence), u64(length)])
  if (frameLength === 0) {
    const iv = randomBytes(12)
    const sealed = gcmSeal(key, iv, aad("AWSKMSEncryptionClient Single Block", 1, plaintext.length), plaintext)
    return [Buffer.concat([iv, u64(plaintext.length), sealed])]
  }
  let at = 0
  return (message.frames ?? layoutOf(message)).map(({ final, length }, index) => {
    const sequence = index + 1
    const piece = plaintext.subarray(at, at + length)
    at += length
    const iv = Buffer.concat([Buffer.alloc(8), u32(sequence)])
    const text = final ? "AWSKMSEncryptionClient Final Frame" : "AWSKMSEncryptionClient Frame"
    const sealed = gcmSeal(key, iv, aad(text, sequence, piece.length), piece)
    return final
      ? Buffer.concat([u32(0xffffffff), u32(sequence), iv, u32(piece.length), sealed])
      : Buffer.concat([u32(sequence), iv, sealed])
  })
}

/** Regular frames, then a final one that is full where the plaintext fills it, unless it is to be empty. */
function layoutOf({ plaintext, frameLength, emptyFinalFrame }: ReferenceMessage) {
  const full = Math.floor(plaintext.length / frameLength)
  const rest = plaintext.length % frameLength
  const regular = rest > 0 || plaintext.length === 0 || emptyFinalFrame ? full : full - 1
  return [
    ...Array.from({ length: regular }, () => ({ final: false, length: frameLength })),
    { final: true, length: plaintext.length - regular * frameLength },
  ]
}
