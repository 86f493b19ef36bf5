import { timingSafeEqual } from "node:crypto"

/** Overwrites key buffers we own. Copies inside OpenSSL and the AWS SDK are beyond reach (SECURITY.md). */
export function wipe(...buffers: readonly (Uint8Array | undefined)[]): void {
  for (const buffer of buffers) buffer?.fill(0)
}

/** Compares without a timing that depends on the contents; lengths are public. */
export const constantTimeEqual = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && timingSafeEqual(a, b)
