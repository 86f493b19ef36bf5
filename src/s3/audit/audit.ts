import type { S3Client } from "@aws-sdk/client-s3"
import { checkConcurrency, inOrder } from "../in-order.ts"
import type { AuditEntry } from "./entry.ts"
import { type InventoryPlace, readInventory } from "./inventory.ts"
import { type Listed, listObjects, listUploads, listVersions } from "./listed.ts"
import { look } from "./look.ts"
import { type UnderKeyOptions, underKeyTeller } from "./under-key.ts"

export interface AuditOptions {
  /** Needs s3:ListBucket, s3:GetObject and s3:ListBucketMultipartUploads; no KMS key. */
  readonly client: S3Client
  readonly bucket: string
  /** Only keys that begin so. Default: all. */
  readonly prefix?: string
  /** Noncurrent versions too. Default: false. */
  readonly versions?: boolean
  /** Takes the objects from this S3 Inventory (CSV) instead of listing the bucket, which must be its source. */
  readonly inventory?: InventoryPlace
  /** Unfinished multipart uploads too, after the objects. Default: true. */
  readonly uploads?: boolean
  /** Tells for each object whether it needs this key. */
  readonly underKey?: UnderKeyOptions
  /** Objects that are looked at at a time; 1 to 1000, default 16. */
  readonly concurrency?: number
  readonly signal?: AbortSignal
}

/**
 * Looks at every object of a bucket or prefix, without any key, and tells how each is encrypted, in the order of the
 * keys; then at the unfinished multipart uploads. One GET of the first 16 KiB for an object, so that it costs what a
 * HEAD costs and goes by the object itself and not by its metadata; a second GET for what looks like plaintext, to see
 * whether there is an instruction file.
 *
 * What an object says of itself is not authenticated: whoever may write it may write a header. That its data can be
 * decrypted is proved by reading it.
 *
 * @throws TypeError, RangeError for options that make no sense; errors of S3 about the bucket, while those about one
 * object become its `problem`; what `readInventory` throws
 */
export async function* auditObjects(options: AuditOptions): AsyncGenerator<AuditEntry> {
  const { client, bucket, prefix = "", uploads = true, underKey, concurrency = 16, signal } = options
  checkConcurrency(concurrency)
  const tellKey = underKey && underKeyTeller(underKey)
  const looked = inOrder(listed(options), concurrency, async (one): Promise<AuditEntry | undefined> => {
    const seen = await look(one, { client, signal })
    if (seen === undefined || tellKey === undefined) return seen?.object
    return { ...seen.object, underKey: await tellKey(seen) }
  })
  for await (const entry of looked) if (entry !== undefined) yield entry
  if (uploads) yield* listUploads({ client, bucket, prefix, signal })
}

// --- internal ---

async function* listed(options: AuditOptions): AsyncGenerator<Listed> {
  const { client, bucket, prefix = "", versions = false, inventory, signal } = options
  if (inventory === undefined) {
    yield* (versions ? listVersions : listObjects)({ client, bucket, prefix, signal })
    return
  }
  for await (const one of readInventory(client, inventory, signal)) {
    if (one.bucket !== bucket) throw new TypeError(`the inventory is of the bucket ${one.bucket}, not of ${bucket}`)
    if (one.key.startsWith(prefix) && (versions || one.isLatest)) yield one
  }
}
