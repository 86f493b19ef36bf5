import { type Listed, look, type Seen } from "../audit/index.ts"
import type { EncryptedS3Client } from "../client.ts"
import type { MigratedObject } from "./outcome.ts"

/** What is told of an object, whatever becomes of it. */
export type Outcome = Omit<MigratedObject, "action">

/** Looks without the listed version: what counts is what stands there now. @returns undefined when nothing does */
export async function lookNow(
  { versionId: _version, ...current }: Listed,
  client: EncryptedS3Client,
  signal: AbortSignal | undefined,
): Promise<{ readonly seen: Seen; readonly outcome: Outcome } | undefined> {
  const seen = await look(current, { client: client.ciphertext, signal })
  if (seen === undefined) return undefined
  const { format, size } = seen.object
  return { seen, outcome: { bucket: current.bucket, key: current.key, size, format } }
}
