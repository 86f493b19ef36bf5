import { constants, generateKeyPairSync, privateDecrypt, publicEncrypt } from "node:crypto"
import { EncryptCommand } from "@aws-sdk/client-kms"
import type { KmsClient } from "../../../src/core/index.ts"
import {
  findEnvelope,
  type ObjectEnvelope,
  openObject,
  planS3ec,
  rewrapDataKey,
  type S3ecCallOptions,
  type S3ecKey,
  type S3ecOptions,
  s3ecAesKey,
  s3ecKmsKey,
  s3ecRsaKey,
  sealObject,
  withRewrappedKey,
} from "../../../src/s3/s3ec/index.ts"
import { createWorld, type Recorder, recorder } from "../../keyrings/kms-world.ts"
import { counting } from "../../support/keys.ts"
import type { ReferenceKmsEncrypt, WrittenReference } from "./reference.ts"

export const WRAPPING_KEY = counting(32, 1)
export const pair = generateKeyPairSync("rsa", { modulusLength: 2048 })
export const otherPair = generateKeyPairSync("rsa", { modulusLength: 2048 })

export const world = await createWorld()
const kmsClient: Recorder = recorder(world.home)

/** Reads everything there is. */
export const ALL = {
  commitmentPolicy: "RequireEncryptAllowDecrypt",
  legacyWrapping: true,
  unauthenticatedCbc: true,
  unauthenticatedRanges: true,
} as const

export const aesKey = (materialDescription = {}, wrappingKey: Uint8Array = WRAPPING_KEY): S3ecKey =>
  s3ecAesKey({ wrappingKey, materialDescription })
export const rsaKey = (materialDescription = {}): S3ecKey => s3ecRsaKey({ ...pair, materialDescription })
export const kmsKey = (client: KmsClient = kmsClient, keyId = world.keyArn): S3ecKey => s3ecKmsKey({ client, keyId })

/** One of each kind. */
export const keys: readonly (readonly [name: string, make: () => S3ecKey])[] = [
  ["KMS", () => kmsKey()],
  ["AES", () => aesKey()],
  ["RSA", () => rsaKey()],
]

export const kmsEncrypt =
  (keyId = world.keyArn): ReferenceKmsEncrypt =>
  async (Plaintext, EncryptionContext) =>
    (await world.home.send(new EncryptCommand({ KeyId: keyId, Plaintext, EncryptionContext }))).CiphertextBlob!

export interface StoredObject {
  readonly metadata: Record<string, string>
  readonly instructionFile?: string
  readonly body: Uint8Array
}

export async function envelopeOf(object: StoredObject): Promise<ObjectEnvelope> {
  const { metadata, instructionFile } = object
  const envelope = await findEnvelope(metadata, () =>
    instructionFile === undefined ? undefined : text(instructionFile),
  )
  if (envelope === undefined) throw new Error("no envelope")
  return envelope
}

/** What a client does: find the envelope, then open the body. */
export const read = async (
  object: StoredObject | WrittenReference,
  options: S3ecOptions,
  call: S3ecCallOptions = {},
): Promise<Uint8Array> => openObject(planS3ec(options), await envelopeOf(object), object.body, call)

export const write = (plaintext: Uint8Array, options: S3ecOptions, call: S3ecCallOptions = {}): Promise<StoredObject> =>
  sealObject(planS3ec(options), plaintext, call)

export const text = (value: string): Uint8Array => new TextEncoder().encode(value)

/** An object under another KMS key. */
export const rewrapEnvelope = async (envelope: ObjectEnvelope, options: Parameters<typeof rewrapDataKey>[1]) =>
  withRewrappedKey(envelope, await rewrapDataKey(envelope, options))

/** Metadata with names set, or taken out where the value is undefined. */
export function changed(
  metadata: Record<string, string>,
  changes: Record<string, string | undefined>,
): Record<string, string> {
  const all = Object.entries({ ...metadata, ...changes })
  return Object.fromEntries(all.filter((entry): entry is [string, string] => entry[1] !== undefined))
}

export function flipped(bytes: Uint8Array, at: number): Uint8Array {
  const copy = new Uint8Array(bytes)
  copy.set([copy.at(at)! ^ 1], at < 0 ? copy.length + at : at)
  return copy
}

/** Chunks as a stream gives them. */
export async function* streamOf(bytes: Uint8Array, size = 1000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

export async function collect(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Uint8Array[] = []
  for await (const piece of stream) pieces.push(piece)
  return Buffer.concat(pieces)
}

/** Whether this Node.js does no RSA PKCS #1 v1.5 decryption at all, as before OpenSSL 3.2. */
export const refusesPkcs1 = ((): boolean => {
  const padding = constants.RSA_PKCS1_PADDING
  const wrapped = publicEncrypt({ key: pair.publicKey, padding }, Buffer.alloc(32))
  try {
    privateDecrypt({ key: pair.privateKey, padding }, wrapped)
    return false
  } catch {
    return true
  }
})()
