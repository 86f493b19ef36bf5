import { AT_ONCE, takeTurn } from "../framing/index.ts"

/** Feeds a signer or verifier a slice at a time, about two milliseconds each, letting others run between them. */
export async function updateInSlices(
  sink: { update(bytes: Uint8Array): void },
  bytes: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<void> {
  for (let at = 0; at < bytes.length; at += AT_ONCE) {
    await takeTurn(AT_ONCE)
    signal?.throwIfAborted()
    sink.update(bytes.subarray(at, at + AT_ONCE))
  }
}
