import { type EncryptionContext, fromUtf8, type WrappedKey } from "../core/index.ts"
import type { Header } from "../format/index.ts"

/** A message header as callers see it. */
export interface MessageHeader {
  /**
   * Whether the header tag verified. False only in what `inspect` returns: nothing in it can be relied on then.
   */
  readonly authenticated: boolean
  readonly formatVersion: 1 | 2
  /** The algorithm suite, for instance 0x0478. */
  readonly suiteId: number
  readonly signed: boolean
  /** Whether the suite commits to its key (version 2). */
  readonly committed: boolean
  /** 16 (version 1) or 32 (version 2) bytes. */
  readonly messageId: Uint8Array
  /** The pairs that the header stores, with `aws-crypto-public-key` in signed messages. */
  readonly encryptionContext: EncryptionContext
  readonly wrappedKeys: readonly MessageWrappedKey[]
  readonly contentType: "framed" | "non-framed"
  /** Bytes of plaintext in a regular frame; 0 when non-framed. */
  readonly frameLength: number
  /** Bytes of the header, tag included. */
  readonly headerLength: number
}

export interface MessageWrappedKey extends WrappedKey {
  /** For provider `aws-kms`: the ARN of the KMS key. */
  readonly keyArn?: string
}

export function toMessageHeader(header: Header, authenticated: boolean): MessageHeader {
  const { suite } = header
  return {
    authenticated,
    formatVersion: suite.formatVersion,
    suiteId: suite.id,
    signed: suite.signed,
    committed: suite.commitsKey,
    messageId: header.messageId,
    encryptionContext: header.encryptionContext,
    wrappedKeys: header.wrappedKeys.map(withKeyArn),
    contentType: header.contentType,
    frameLength: header.frameLength,
    headerLength: header.length,
  }
}

function withKeyArn(key: WrappedKey): MessageWrappedKey {
  if (key.providerId !== "aws-kms") return key
  const keyArn = fromUtf8(key.providerInfo)
  return keyArn === undefined ? key : { ...key, keyArn }
}
