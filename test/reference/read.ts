import { createPublicKey, createVerify, ECDH } from "node:crypto"
import { gcmOpen, referenceKeys, signatureHash, u32, u64 } from "./crypto.ts"
import { hex4, type ReferenceSuite, referenceSuites } from "./suites.ts"
import { canonicalPairs, type RawAesKey } from "./write.ts"

export interface ReferenceRead {
  readonly plaintext: Buffer
  readonly context: [string, string][]
}

/** Reads bytes in order and complains about an early end. */
class Reader {
  at = 0
  readonly bytes: Buffer
  constructor(bytes: Buffer) {
    this.bytes = bytes
  }
  take(length: number): Buffer {
    if (this.at + length > this.bytes.length) throw new Error("truncated")
    this.at += length
    return this.bytes.subarray(this.at - length, this.at)
  }
  u8 = () => this.take(1)[0]!
  u16 = () => this.take(2).readUInt16BE()
  u32 = () => this.take(4).readUInt32BE()
  u64 = () => Number(this.take(8).readBigUInt64BE())
  field = () => this.take(this.u16())
}

const check = (condition: boolean, what: string): void => {
  if (!condition) throw new Error(what)
}

/**
 * Decrypts a message under raw AES keys, as the format says and no faster than it must. All suites; no limits.
 *
 * @param unstored pairs that the header does not store
 * @throws for whatever is wrong
 */
export function readReference(
  message: Uint8Array,
  keys: readonly RawAesKey[],
  unstored: readonly (readonly [string, string])[] = [],
): ReferenceRead {
  const bytes = Buffer.from(message.buffer, message.byteOffset, message.byteLength)
  const reader = new Reader(bytes)
  const version = reader.u8()
  if (version === 1) check(reader.u8() === 0x80, "type")
  const suiteId = reader.u16()
  const suite = referenceSuites.find((row) => row.id === suiteId && row.version === version)
  if (suite === undefined) throw new Error(`suite ${hex4(suiteId)} of version ${version}`)
  const messageId = reader.take(version === 1 ? 16 : 32)
  const context = readPairs(reader.field())
  const wrapped = Array.from({ length: reader.u16() }, () => [reader.field(), reader.field(), reader.field()] as const)
  for (const [providerId] of wrapped) utf8(providerId)
  check(wrapped.length > 0, "no wrapped key")
  const contentType = reader.u8()
  check(contentType === 1 || contentType === 2, "content type")
  if (version === 1) check(reader.u32() === 0 && reader.u8() === 12, "reserved bytes")
  const frameLength = reader.u32()
  check((contentType === 1) === (frameLength === 0), "frame length")
  const commitment = reader.take(version === 1 ? 0 : 32)
  const headerBody = bytes.subarray(0, reader.at)
  const headerIv = version === 1 ? reader.take(12) : Buffer.alloc(12)
  const headerTag = reader.take(16)

  const publicKey = context.find(([key]) => key === "aws-crypto-public-key")?.[1]
  check((publicKey !== undefined) === (suite.curve !== undefined), "public key")
  const dataKey = unwrap(wrapped, keys, canonicalPairs([...context, ...unstored]), suite)
  const derived = referenceKeys(suite, dataKey, messageId)
  check(derived.commitment.equals(commitment), "commitment")
  gcmOpen(derived.key, headerIv, Buffer.concat([headerBody, canonicalPairs(unstored)]), headerTag)
  const plaintext = readBody(reader, derived.key, messageId, frameLength)
  if (suite.curve !== undefined) {
    const signed = bytes.subarray(0, reader.at)
    const verifier = createVerify(signatureHash(suite.curve)).update(signed)
    check(verifier.verify(publicKeyObject(suite.curve, publicKey!), reader.field()), "signature")
  }
  check(reader.at === bytes.length, "trailing bytes")
  return { plaintext, context }
}

const utf8 = (bytes: Uint8Array): string => new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes)

function readPairs(bytes: Buffer): [string, string][] {
  if (bytes.length === 0) return []
  const reader = new Reader(bytes)
  const text = () => utf8(reader.field())
  const pairs = Array.from({ length: reader.u16() }, (): [string, string] => [text(), text()])
  check(pairs.length > 0 && reader.at === bytes.length, "context")
  check(new Set(pairs.map(([key]) => key)).size === pairs.length, "duplicate key")
  return pairs
}

function unwrap(
  wrapped: readonly (readonly [Buffer, Buffer, Buffer])[],
  keys: readonly RawAesKey[],
  aad: Buffer,
  suite: ReferenceSuite,
): Buffer {
  for (const [providerId, providerInfo, ciphertext] of wrapped) {
    for (const { namespace, name, key } of keys) {
      const prefix = Buffer.concat([Buffer.from(name), u32(128), u32(12)])
      const mine =
        providerId.equals(Buffer.from(namespace)) &&
        providerInfo.length === prefix.length + 12 &&
        providerInfo.subarray(0, prefix.length).equals(prefix) &&
        ciphertext.length === suite.keyBits / 8 + 16
      if (!mine) continue
      try {
        return gcmOpen(key, providerInfo.subarray(prefix.length), aad, ciphertext)
      } catch {
        // The next one may open.
      }
    }
  }
  throw new Error("no wrapped key opens")
}

function readBody(reader: Reader, key: Buffer, messageId: Buffer, frameLength: number): Buffer {
  const open = (text: string, sequence: number, iv: Buffer, length: number): Buffer => {
    const aad = Buffer.concat([messageId, Buffer.from(text), u32(sequence), u64(length)])
    return gcmOpen(key, iv, aad, reader.take(length + 16))
  }
  if (frameLength === 0) {
    const iv = reader.take(12)
    return open("AWSKMSEncryptionClient Single Block", 1, iv, reader.u64())
  }
  const pieces: Buffer[] = []
  for (let sequence = 1; ; sequence++) {
    const first = reader.u32()
    if (first !== 0xffffffff) {
      check(first === sequence, "sequence")
      pieces.push(open("AWSKMSEncryptionClient Frame", sequence, reader.take(12), frameLength))
      continue
    }
    check(reader.u32() === sequence, "sequence")
    const iv = reader.take(12)
    const length = reader.u32()
    check(length <= frameLength, "final frame length")
    pieces.push(open("AWSKMSEncryptionClient Final Frame", sequence, iv, length))
    return Buffer.concat(pieces)
  }
}

/** The public key of a compressed point in base64. */
function publicKeyObject(curve: "P-256" | "P-384", compressed: string) {
  const size = curve === "P-256" ? 32 : 48
  const name = curve === "P-256" ? "prime256v1" : "secp384r1"
  const point = ECDH.convertKey(compressed, name, "base64", undefined, "uncompressed") as Buffer
  const jwk = {
    kty: "EC",
    crv: curve,
    x: point.subarray(1, 1 + size).toString("base64url"),
    y: point.subarray(1 + size).toString("base64url"),
  }
  return createPublicKey({ key: jwk, format: "jwk" })
}
