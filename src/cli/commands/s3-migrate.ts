import {
  encryptObjects,
  type MigratedObject,
  type MigrationSummary,
  migrationCounter,
  rewrapObjects,
} from "../../s3/index.ts"
import { CliError, usageError } from "../failures.ts"
import { print } from "../fd.ts"
import { keyArn } from "../keys.ts"
import { note } from "../messages.ts"
import { startProgress } from "../progress.ts"
import { formatS3Place, parseS3Place, type S3Place } from "../s3-place.ts"
import { type ObjectOptions, withObjects } from "../s3-session.ts"
import { formatBytes, printable, toJson } from "../text.ts"

export interface MigrateOptions extends ObjectOptions {
  readonly dryRun?: boolean
  readonly journal?: string
  readonly concurrency?: number
  readonly versions?: boolean
}

export interface RewrapOptions extends MigrateOptions {
  readonly to?: string
  readonly from?: string
}

export async function s3EncryptCommand(text: string, options: MigrateOptions): Promise<void> {
  const place = parseS3Place(text)
  await withObjects(
    options,
    async () => ({ writes: place }),
    ({ client }) => follow("encrypting", place, options, (common) => encryptObjects({ client, ...common })),
  )
}

export async function s3RewrapCommand(text: string, options: RewrapOptions): Promise<void> {
  const place = parseS3Place(text)
  const { to, from } = options
  if (to === undefined) throw usageError("rewrap to which key?", "--to takes a key ARN, a key id or alias/NAME")
  await withObjects(
    { ...options, ...(from !== undefined && { key: [from] }) },
    async () => ({ reads: from === undefined ? [] : [from] }),
    async ({ client, kms }) => {
      const toKeyId = await keyArn(kms, to)
      const fromKeyArn = from === undefined ? undefined : await keyArn(kms, from)
      await follow("rewrapping", place, options, (common) =>
        rewrapObjects({
          client,
          ...common,
          kms: kms.client(toKeyId),
          toKeyId,
          ...(fromKeyArn !== undefined && { fromKeyArn }),
          ...(options.bucketKey !== undefined && { bucketKey: options.bucketKey }),
        }),
      )
    },
  )
}

// --- internal ---

const MOST_KEPT = 1000

type Begin = (common: {
  readonly bucket: string
  readonly prefix: string
  readonly onBytes: (bytes: number) => void
}) => AsyncIterable<MigratedObject>

async function follow(verb: string, place: S3Place, options: MigrateOptions, begin: Begin): Promise<void> {
  const { json, dryRun, journal, concurrency, versions, quiet } = options
  const { bucket, key: prefix } = place
  const name = formatS3Place(place)
  const counter = migrationCounter()
  const failures: MigratedObject[] = []
  const progress = startProgress(`${verb} ${printable(name)}`, undefined, true)
  try {
    const common = {
      bucket,
      prefix,
      onBytes: (bytes: number) => progress.add(bytes),
      ...(dryRun && { dryRun }),
      ...(journal !== undefined && { journal }),
      ...(concurrency !== undefined && { concurrency }),
      ...(versions !== undefined && { versions }),
    }
    for await (const object of begin(common)) {
      counter.add(object)
      const isFailure = object.action === "failed" || object.action === "changed"
      if (isFailure && failures.length < MOST_KEPT) failures.push(object)
      if (!json && !quiet && object.action !== "skipped") await print(line(object))
    }
  } finally {
    progress.end()
  }
  const summary = counter.summary()
  if (json) await print(toJson({ bucket, prefix, dryRun: dryRun === true, summary, failures: failures.map(asJson) }))
  else for (const text of summaryLines(summary, dryRun === true)) note(text)
  const incomplete = summary.objects.failed + summary.objects.changed
  if (incomplete > 0) {
    const hint = journal === undefined ? "run it again: what is done is skipped" : "run it again with the same journal"
    throw new CliError("s3Incomplete", `${incomplete} of the objects in ${name} are not done`, { hint })
  }
}

const asJson = ({ error, ...object }: MigratedObject): object => ({
  ...object,
  ...(error !== undefined && { error: `${error.name}: ${error.message}` }),
})

function line({ key, action, format, versionId, reason, error, dryRun }: MigratedObject): string {
  const what = dryRun && action !== "failed" ? `would be ${action}` : action
  const detail = [format, versionId && `version ${versionId}`, reason, error && `${error.name}: ${error.message}`]
  return `${what.padEnd(12)}  ${printable(key)}  ${printable(detail.filter(Boolean).join(", "))}`.trimEnd().concat("\n")
}

function summaryLines({ objects, size, noncurrent }: MigrationSummary, dryRun: boolean): string[] {
  const { encrypted, rewrapped, reencrypted, skipped, changed, failed } = objects
  const counts = Object.entries({ encrypted, rewrapped, reencrypted, skipped, changed, failed })
  const done = counts.filter(([, count]) => count > 0).map(([action, count]) => `${count} ${action}`)
  const first = `${done.length === 0 ? "no objects" : done.join(", ")}; ${formatBytes(size)}${dryRun ? " (dry run: nothing was written)" : ""}`
  if (noncurrent === 0) return [first]
  return [first, `${noncurrent} noncurrent versions are as they were: delete them, or let a lifecycle rule do so`]
}
