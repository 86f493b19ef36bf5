import { type AuditEntry, type AuditSummary, auditCounter, auditObjects, bucketPolicy } from "../../s3/index.ts"
import { CliError, orUsageError, usageError } from "../failures.ts"
import { print } from "../fd.ts"
import { keyArn } from "../keys.ts"
import { openKms } from "../kms.ts"
import { kmsAddress } from "../kms-address.ts"
import { note } from "../messages.ts"
import { formatS3Place, parseS3Object, parseS3Place } from "../s3-place.ts"
import { type S3Options, withS3 } from "../s3-session.ts"
import { formatBytes, formatPairs, formatTable, toJson } from "../text.ts"
import { keyText } from "./s3-look.ts"

const findingNames = ["plaintext", "unknown", "key", "uploads", "uncommitted", "none"] as const
type FindingName = (typeof findingNames)[number]

export interface AuditCommandOptions extends S3Options {
  readonly versions?: boolean
  readonly inventory?: string
  readonly key?: string
  readonly failOn?: string[]
  readonly list?: boolean
  readonly concurrency?: number
}

/** Kept for the report; the summary counts all of them. */
const MOST_SHOWN = 1000

export async function s3AuditCommand(place: string, options: AuditCommandOptions): Promise<void> {
  const { bucket, key: prefix } = parseS3Place(place)
  const failOn = (options.failOn ?? ["plaintext", "unknown", "key"]).map(parseFinding)
  const kms = options.key === undefined ? undefined : await openKms(kmsAddress(options.kms))
  try {
    const underKey = kms && { keyArn: await keyArn(kms, options.key!), kms: kms.client(options.key) }
    const counter = auditCounter()
    const shown: AuditEntry[] = []
    let findings = 0
    await withS3(options, async (s3) => {
      const { versions, inventory, concurrency } = options
      const entries = auditObjects({
        client: s3,
        bucket,
        prefix,
        ...(versions && { versions }),
        ...(inventory !== undefined && { inventory: manifest(inventory) }),
        ...(underKey && { underKey }),
        ...(concurrency !== undefined && { concurrency }),
      })
      for await (const entry of entries) {
        counter.add(entry)
        const isFinding = findingsOf(entry).some((finding) => failOn.includes(finding))
        if (isFinding) findings++
        if ((isFinding || options.list) && shown.length < MOST_SHOWN) shown.push(entry)
      }
    })
    const summary = counter.summary()
    if (options.json) await print(toJson({ bucket, prefix, findings, summary, entries: shown }))
    else await printReport(summary, shown)
    if (findings > shown.length) note(`the first ${MOST_SHOWN} of ${findings} are shown`)
    if (findings > 0) {
      const objects = findings === 1 ? "1 finding" : `${findings.toLocaleString("en-US")} findings`
      throw new CliError("s3Findings", `${objects} in ${formatS3Place({ bucket, key: prefix })}`, {
        hint: "--fail-on says what counts",
      })
    }
  } finally {
    await kms?.close()
  }
}

export interface PolicyCommandOptions {
  readonly outerKey?: string
  readonly partition?: string
}

export async function s3PolicyCommand(place: string, { outerKey, partition }: PolicyCommandOptions): Promise<void> {
  const { bucket, key: prefix } = parseS3Place(place)
  const policy = orUsageError(() =>
    bucketPolicy({
      bucket,
      prefix,
      ...(outerKey !== undefined && { outerKeyArn: outerKey }),
      ...(partition !== undefined && { partition }),
    }),
  )
  await print(toJson(policy))
}

// --- internal ---

function parseFinding(text: string): FindingName {
  const name = findingNames.find((one) => one === text)
  if (name !== undefined) return name
  throw usageError(`'${text}' is nothing to fail on`, `one of ${findingNames.join(", ")}`)
}

function manifest(text: string) {
  const { bucket, key } = parseS3Object(text)
  return { bucket, manifestKey: key }
}

function findingsOf(entry: AuditEntry): FindingName[] {
  if (entry.kind === "upload") return ["uploads"]
  const { format, suite, underKey } = entry
  const found: FindingName[] = []
  if (format === "plaintext") found.push("plaintext")
  if (format === "unknown" || entry.problem !== undefined) found.push("unknown")
  if (underKey === "yes" || underKey === "unknown") found.push("key")
  // Suites of version 2 of the message format, and 0x73, commit to their keys.
  if (entry.encrypted && suite !== undefined && !/^0x0([45]78|073)$/.test(suite)) found.push("uncommitted")
  return found
}

async function printReport(summary: AuditSummary, shown: readonly AuditEntry[]): Promise<void> {
  if (shown.length > 0) {
    const headings = ["OBJECT", "FORMAT", "SUITE", "UNDER", "S3'S LAYER", "REMARK"]
    await print(`${formatTable(headings, shown.map(row))}\n`)
  }
  await print(formatPairs(summaryPairs(summary)))
  const keys = Object.entries(summary.keys).map(([name, one]) => [name, tallyText(one)] as const)
  if (keys.length > 0) await print(`wrapped under\n${formatPairs(keys.map(([name, text]) => [`  ${name}`, text]))}`)
}

function row(entry: AuditEntry): string[] {
  if (entry.kind === "upload") {
    const begun = entry.initiated?.toISOString().slice(0, 10) ?? "some time"
    const remark = `begun ${begun}, ${entry.parts} parts, ${formatBytes(entry.size)}`
    return [entry.key, "upload", "-", "-", "-", remark]
  }
  const { key, versionId, isLatest, format, suite = "-", keys, serverSide, underKey, problem } = entry
  const name = isLatest ? key : `${key} (version ${versionId})`
  const remark = [
    underKey === "yes" ? "needs the key" : underKey === "unknown" ? "may need the key" : "",
    problem ?? "",
  ]
  return [name, format, suite, keys.map(keyText).join(" ") || "-", serverSide, remark.filter(Boolean).join("; ")]
}

interface Tally {
  readonly objects: number
  readonly size: number
}

const tallyText = ({ objects, size }: Tally): string => `${objects.toLocaleString("en-US")}, ${formatBytes(size)}`

function summaryPairs({ objects, size, formats, serverSide, uploads, underKey, problems }: AuditSummary) {
  const tally = (name: string, one: Tally) => [name, tallyText(one)] as const
  return [
    tally("objects", { objects, size }),
    ...Object.entries(formats).map(([name, one]) => tally(`  ${name}`, one)),
    ...Object.entries(serverSide).map(([name, one]) => tally(`  S3's layer ${name}`, one)),
    ...(problems > 0 ? [["  with problems", String(problems)] as const] : []),
    ...(underKey
      ? [["need the key", `${underKey.yes}; perhaps ${underKey.unknown}; not ${underKey.no}`] as const]
      : []),
    ["unfinished uploads", `${uploads.count}, ${formatBytes(uploads.size)}`] as const,
  ]
}
