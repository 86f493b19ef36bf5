import { createHmac } from "node:crypto"
import { allocate, copyBytes, utf8 } from "../core/index.ts"
import type { Suite } from "./suites.ts"
import { wipe } from "./wipe.ts"

export interface MessageKeys {
  /** Seals the header tag and the frames. Overwrite after use. */
  readonly encryptionKey: Uint8Array
  /** 32 public bytes in a version 2 header, else empty. */
  readonly commitment: Uint8Array
}

const COMMIT_INFO = /* @__PURE__ */ utf8("COMMITKEY\u0001")
const DERIVE_INFO = /* @__PURE__ */ utf8("..DERIVEKEY\u0001")
const NO_COMMITMENT = /* @__PURE__ */ allocate(0)
const HASH_LENGTH = { sha256: 32, sha384: 48, sha512: 64 } as const

/**
 * The keys of one message: HKDF (RFC 5869) with the message id as salt (version 2, MSG-5.1) or as info (version 1,
 * MSG-5.2).
 * Every output is at most one hash long, so each expansion is a single HMAC over info and the counter 1.
 * Specification: framework/algorithm-suites, "Commitment Key" and "Encryption Key" derivation.
 */
export function deriveMessageKeys(suite: Suite, dataKey: Uint8Array, messageId: Uint8Array): MessageKeys {
  const hash = suite.hkdfHash
  // MSG-5.3
  if (hash === undefined) return { encryptionKey: copyBytes(dataKey), commitment: NO_COMMITMENT }
  const salt = suite.commitsKey ? messageId : allocate(HASH_LENGTH[hash])
  const pseudorandomKey = createHmac(hash, salt).update(dataKey).digest()
  try {
    const commitment = suite.commitsKey ? expand(hash, pseudorandomKey, COMMIT_INFO, 32) : NO_COMMITMENT
    const info = suite.commitsKey ? deriveInfo(suite) : legacyInfo(suite, messageId)
    return { encryptionKey: expand(hash, pseudorandomKey, info, suite.dataKeyLength), commitment }
  } finally {
    wipe(pseudorandomKey)
  }
}

/** One block of HKDF-Expand. @param info ends with the counter 1 @param length at most one hash */
export function expand(hash: string, pseudorandomKey: Uint8Array, info: Uint8Array, length: number): Uint8Array {
  const block = createHmac(hash, pseudorandomKey).update(info).digest()
  if (block.length === length) return block
  const key = copyBytes(block.subarray(0, length))
  wipe(block)
  return key
}

function deriveInfo(suite: Suite): Uint8Array {
  const info = copyBytes(DERIVE_INFO)
  writeSuiteId(info, suite)
  return info
}

function legacyInfo(suite: Suite, messageId: Uint8Array): Uint8Array {
  const info = allocate(2 + messageId.length + 1)
  writeSuiteId(info, suite)
  info.set(messageId, 2)
  info[info.length - 1] = 1
  return info
}

function writeSuiteId(info: Uint8Array, suite: Suite): void {
  info[0] = suite.id >> 8
  info[1] = suite.id & 0xff
}
