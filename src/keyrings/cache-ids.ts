import { hash } from "node:crypto"
import {
  allocate,
  concatBytes,
  type DecryptionMaterialsRequest,
  type EncryptionContext,
  type MaterialsRequest,
  utf8,
} from "../core/index.ts"
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
 * What data keys for decrypting are looked up by: a SHA-512 digest over the partition, policy, suite, all wrapped keys,
 * and the full context with the pairs that the message does not store.
 */
export function decryptionId(partition: string, request: DecryptionMaterialsRequest): string {
  const { suite, commitmentPolicy, wrappedKeys, encryptionContext } = request
  const fields = [utf8(partition), utf8(commitmentPolicy), utf8(String(suite.id)), encodeContext(encryptionContext)]
  for (const { providerId, providerInfo, ciphertext } of wrappedKeys) {
    fields.push(utf8(providerId), providerInfo, ciphertext)
  }
  const digest = hash("sha512", concatBytes(fields.flatMap((field) => [lengthOf(field), field])), "base64")
  return `decrypt ${digest}`
}

function lengthOf(field: Uint8Array): Uint8Array {
  const length = allocate(4)
  writeU32(length, 0, field.length)
  return length
}
