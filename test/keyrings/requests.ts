import type { EncryptionContext, SuiteInfo, UnwrapRequest, WrappedKey, WrapRequest } from "../../src/core/index.ts"
import { findSuite } from "../../src/crypto/index.ts"

export const suite = (id: number): SuiteInfo => findSuite(id)!

/** The default suite, and one for each other length of data key. */
export const COMMITTING = suite(0x0478)
export const SIGNED = suite(0x0578)
export const SUITES = [COMMITTING, suite(0x0146), suite(0x0114)]

export const CONTEXT: EncryptionContext = Object.freeze({ tenant: "42", größe: "∞", purpose: "test" })

export const wrapRequest = (more: Partial<WrapRequest> = {}): WrapRequest => ({
  suite: COMMITTING,
  encryptionContext: CONTEXT,
  ...more,
})

export const unwrapRequest = (
  wrappedKeys: readonly WrappedKey[],
  more: Partial<UnwrapRequest> = {},
): UnwrapRequest => ({
  suite: COMMITTING,
  encryptionContext: CONTEXT,
  wrappedKeys,
  ...more,
})

export const isZero = (bytes: Uint8Array): boolean => bytes.every((byte) => byte === 0)

export function flipBit(bytes: Uint8Array, at: number): Uint8Array {
  const copy = new Uint8Array(bytes)
  copy[at]! ^= 1
  return copy
}

/** What `work` throws or rejects with. */
export async function failureOf(work: () => unknown): Promise<Error & { code?: string }> {
  try {
    await work()
  } catch (error) {
    return error as Error
  }
  throw new Error("expected a failure")
}
