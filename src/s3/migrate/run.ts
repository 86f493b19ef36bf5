import { type Listed, listObjects, listVersions } from "../audit/index.ts"
import type { EncryptedS3Client } from "../client.ts"
import { checkConcurrency, inOrder } from "../in-order.ts"
import { type Journal, type MigrationJob, openJournal } from "./journal.ts"
import type { MigratedObject } from "./outcome.ts"

/** What both migrations take. */
export interface MigrationOptions {
  /** Writes the objects. What it sends ciphertext with reads them. */
  readonly client: EncryptedS3Client
  readonly bucket: string
  /** Only keys that begin so. Default: all. */
  readonly prefix?: string
  /** Say what would be done, and write nothing. Default: false. */
  readonly dryRun?: boolean
  /**
   * A file that keeps how far the migration is: given the same file again, it goes on from there and tries again what
   * failed. Default: none. A dry run has none.
   */
  readonly journal?: string
  /** List noncurrent versions, which need s3:ListBucketVersions. They are named and left alone. Default: true. */
  readonly versions?: boolean
  /** Objects at a time; 1 to 1000, default 8. */
  readonly concurrency?: number
  /** Told how many more bytes of objects were read. */
  readonly onBytes?: (bytes: number) => void
  readonly signal?: AbortSignal
}

/** What is done about one current object. */
export type MigrateOne = (listed: Listed) => Promise<MigratedObject | undefined>

/** Lines of the journal are written every so many objects. */
const EVERY = 50

/**
 * Takes the objects in the order of their keys, several at a time, those first that failed before. One that fails does
 * not end the migration.
 */
export async function* migrate(
  options: MigrationOptions,
  job: MigrationJob,
  one: MigrateOne,
): AsyncGenerator<MigratedObject> {
  const { concurrency = 8, dryRun = false, signal } = options
  checkConcurrency(concurrency)
  const journal = options.journal === undefined || dryRun ? undefined : await openJournal(options.journal, job)
  try {
    const again = (journal?.failed ?? []).map((key) => ({ bucket: options.bucket, key, isLatest: true }))
    for await (const { outcome, listed } of outcomes(fromArray(again), concurrency, one, options)) {
      signal?.throwIfAborted()
      if (outcome?.action !== "failed") await journal?.mend(listed.key)
      if (outcome !== undefined) yield outcome
    }
    yield* goOn(options, journal, outcomes(listing(options, journal?.startAfter), concurrency, one, options))
  } finally {
    await journal?.close()
  }
}

// --- internal ---

interface Done {
  readonly listed: Listed
  readonly outcome: MigratedObject | undefined
}

async function* goOn(
  { signal }: MigrationOptions,
  journal: Journal | undefined,
  done: AsyncIterable<Done>,
): AsyncGenerator<MigratedObject> {
  let current: string | undefined
  let count = 0
  for await (const { listed, outcome } of done) {
    // Only what was done counts: an abort makes the rest fail.
    signal?.throwIfAborted()
    const { key } = listed
    // A key has come to its end when another one begins: it may have noncurrent versions.
    if (current !== undefined && key !== current && ++count % EVERY === 0) await journal?.through(current)
    current = key
    if (outcome?.action === "failed") await journal?.fail(key)
    if (outcome !== undefined) yield outcome
  }
  if (current !== undefined) await journal?.through(current)
}

const outcomes = (
  items: AsyncIterable<Listed>,
  concurrency: number,
  one: MigrateOne,
  { dryRun, signal }: MigrationOptions,
): AsyncGenerator<Done> =>
  inOrder(items, concurrency, async (listed) => {
    if (!listed.isLatest) return { listed, outcome: noncurrent(listed) }
    signal?.throwIfAborted()
    const outcome = await tryOne(listed, one)
    return { listed, outcome: outcome && dryRun ? { ...outcome, dryRun: true } : outcome }
  })

/** OBJ-11.2: an object that was written meanwhile is looked at once more. */
async function tryOne(listed: Listed, one: MigrateOne): Promise<MigratedObject | undefined> {
  const { bucket, key, size = 0 } = listed
  for (let attempt = 1; ; attempt++) {
    try {
      return await one(listed)
    } catch (error) {
      if (!isChanged(error)) return { bucket, key, size, action: "failed", error: error as Error }
      if (attempt === 2) return { bucket, key, size, action: "changed", reason: "somebody else wrote it meanwhile" }
    }
  }
}

/** S3 refuses a write on a condition: with 412, with 409 while another write is under way, with 404 after a delete. */
function isChanged(error: unknown): boolean {
  const { name, $metadata } = (error ?? {}) as { name?: unknown; $metadata?: { httpStatusCode?: unknown } }
  return (
    name === "PreconditionFailed" ||
    name === "ConditionalRequestConflict" ||
    name === "NoSuchKey" ||
    name === "NotFound" ||
    $metadata?.httpStatusCode === 412
  )
}

const noncurrent = ({ bucket, key, versionId, size = 0 }: Listed): MigratedObject => ({
  bucket,
  key,
  size,
  action: "noncurrent",
  ...(versionId !== undefined && { versionId }),
})

const listing = (options: MigrationOptions, startAfter: string | undefined): AsyncGenerator<Listed> => {
  const { client, bucket, prefix = "", versions = true, signal } = options
  return (versions ? listVersions : listObjects)({ client: client.ciphertext, bucket, prefix, startAfter, signal })
}

async function* fromArray<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items
}
