import { setImmediate } from "node:timers/promises"

const SLICE_LENGTH = 1024 * 1024

/** Feeds a signer or verifier a slice at a time, about two milliseconds each, letting others run between them. */
export async function updateInSlices(
  sink: { update(bytes: Uint8Array): void },
  bytes: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<void> {
  for (let at = 0; at < bytes.length; at += SLICE_LENGTH) {
    if (at > 0) await setImmediate()
    signal?.throwIfAborted()
    sink.update(bytes.subarray(at, at + SLICE_LENGTH))
  }
}
