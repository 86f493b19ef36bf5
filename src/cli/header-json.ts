import type { MessageHeader, MessageWrappedKey } from "../message/index.ts"
import { wrappedBy } from "./provenance.ts"

/** A header as `--json` shows it: bytes in hexadecimal, suites as the specification writes them. */
export const jsonHeader = (header: MessageHeader): Record<string, unknown> => ({
  authenticated: header.authenticated,
  formatVersion: header.formatVersion,
  suite: suiteText(header.suiteId),
  signed: header.signed,
  committed: header.committed,
  messageId: hex(header.messageId),
  encryptionContext: header.encryptionContext,
  wrappedKeys: header.wrappedKeys.map(jsonWrappedKey),
  contentType: header.contentType,
  frameLength: header.frameLength,
  headerLength: header.headerLength,
})

export const jsonWrappedKey = (key: MessageWrappedKey): object => ({
  providerId: key.providerId,
  ...(key.keyArn === undefined ? { providerInfo: hex(key.providerInfo) } : { keyArn: key.keyArn }),
  wrappedBy: wrappedBy(key),
  length: key.ciphertext.length,
})

export const suiteText = (suiteId: number): string => `0x${suiteId.toString(16).padStart(4, "0")}`

export const hex = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("hex")
