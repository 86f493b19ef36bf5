import { hash } from "node:crypto"
import type { DecryptionMaterialsRequest, EncryptionContext, MaterialsRequest, WrappedKey } from "../core/index.ts"
import { encodeContext, writeU32 } from "../format/index.ts"

/**
 * What data keys for encrypting are looked up by: everything that decides whether two messages may share one. Exact
 * text rather than a digest, as it is made for each message. Each part of free length follows its length.
 */
export function encryptionId(partition: string, request: MaterialsRequest): string {
  const { suite, commitmentPolicy, encryptionContext } = request
  return `encrypt ${suite.id} ${commitmentPolicy} ${prefixed(partition)}${contextText(encryptionContext)}`
}

function contextText(context: EncryptionContext): string {
  const keys = Object.keys(context)
  if (keys.length > 1) keys.sort()
  let text = ""
  for (const key of keys) text += prefixed(key) + prefixed(context[key]!)
  return text
}

const prefixed = (text: string): string => `${text.length}:${text}`

/**
 * What data keys for decrypting are looked up by: a SHA-512 digest over the policy, suite, partition, all wrapped keys,
 * and the full context with the pairs that the message does not store. Each part follows its length in bytes.
 */
export function decryptionId(partition: string, request: DecryptionMaterialsRequest): string {
  const { suite, commitmentPolicy, wrappedKeys } = request
  const scope = `${commitmentPolicy} ${suite.id} ${partition}`
  const context = encodeContext(request.encryptionContext)
  const bytes = scratchFor(scope, context, wrappedKeys)
  let at = putText(bytes, 0, scope)
  at = putBytes(bytes, at, context)
  for (const { providerId, providerInfo, ciphertext } of wrappedKeys) {
    at = putText(bytes, at, providerId)
    at = putBytes(bytes, at, providerInfo)
    at = putBytes(bytes, at, ciphertext)
  }
  return `decrypt ${hash("sha512", bytes.subarray(0, at), "binary")}`
}

/** Nothing secret is written here. */
let scratch: Buffer | undefined

function scratchFor(scope: string, context: Uint8Array, wrappedKeys: readonly WrappedKey[]): Buffer {
  let most = 8 + MOST_BYTES * scope.length + context.length
  for (const { providerId, providerInfo, ciphertext } of wrappedKeys) {
    most += 12 + MOST_BYTES * providerId.length + providerInfo.length + ciphertext.length
  }
  if (scratch !== undefined && scratch.length >= most) return scratch
  const larger = Buffer.allocUnsafeSlow(Math.max(most, 4096))
  if (most <= MOST_KEPT) scratch = larger
  return larger
}

/** Bytes of UTF-8 for one UTF-16 unit. */
const MOST_BYTES = 3
const MOST_KEPT = 64 * 1024

function putText(bytes: Buffer, at: number, text: string): number {
  const length = bytes.write(text, at + 4)
  writeU32(bytes, at, length)
  return at + 4 + length
}

function putBytes(bytes: Buffer, at: number, part: Uint8Array): number {
  writeU32(bytes, at, part.length)
  bytes.set(part, at + 4)
  return at + 4 + part.length
}
