import { readFile } from "node:fs/promises"
import type {
  AuditEvent,
  DeliveryReport,
  DeliverySink,
  DeliverySource,
  EventQuery,
  LocalKms,
  SignedDigest,
} from "../../local-kms/index.ts"
import { contextOptions } from "../context.ts"
import { CliError, ioError, isErrno, usageError } from "../failures.ts"
import { print } from "../fd.ts"
import { keyArn } from "../keys.ts"
import { openKms } from "../kms.ts"
import { openStore, storeFolder, withStore } from "../local-store.ts"
import { note, noteMore } from "../messages.ts"
import type { CommonOptions } from "../options.ts"
import { isMissingPackage, missingPackage } from "../packages.ts"
import type { LogBucketOptions } from "../s3-logs.ts"
import { isS3Place } from "../s3-place.ts"
import { formatTable, printable, toJson } from "../text.ts"

export interface AuditListOptions extends CommonOptions {
  readonly key?: string
  readonly event?: string
  readonly principal?: string
  readonly error?: string
  readonly resource?: string
  readonly context?: string[]
  readonly since?: Date
  readonly until?: Date
  readonly last?: number
  readonly follow?: boolean
}

const DEFAULT_LAST = 100
const HEADINGS = ["TIME", "EVENT", "CALLER", "ABOUT", "ERROR"]

export async function auditListCommand(options: AuditListOptions): Promise<void> {
  const query = await readQuery(options)
  await withStore(options.kms, {}, async (kms) => {
    if (options.follow) return follow(kms, query, options)
    const isWhole = options.since !== undefined || options.until !== undefined
    const last = options.last ?? (isWhole ? undefined : DEFAULT_LAST)
    const events = await kms.events({ ...query, ...(last !== undefined && { last }) })
    if (options.json) return print(toJson(events))
    if (events.length === 0) return note("no such events")
    await print(formatTable(HEADINGS, events.map(row)))
    if (options.last === undefined && events.length === last) note(`the newest ${last}: --last shows more`)
  })
}

export const auditVerifyCommand = (options: CommonOptions & { readonly digest?: string }): Promise<void> =>
  withStore(options.kms, {}, async (kms) => {
    const digest = options.digest === undefined ? undefined : await readDigest(options.digest)
    const report = await kms.verifyAudit(digest === undefined ? {} : { digest })
    const { valid, first, last, signedUpTo, problems, problemCount } = report
    if (options.json) await print(toJson(report))
    else if (valid && last < first) note("the trail has no events yet")
    else if (valid) {
      note(`the trail is as it was written: events ${first} to ${last}`)
      noteMore(
        signedUpTo === 0 ? "no digest has been signed yet: envelope audit digest" : `signed up to event ${signedUpTo}`,
      )
    } else {
      await print(
        formatTable(
          ["EVENT", "PROBLEM"],
          problems.map((problem) => [range(problem), problem.text]),
        ),
      )
    }
    if (!valid) throw changed(`the audit trail was changed: ${count(problemCount, "problem")}`)
  })

export const auditDigestCommand = (options: CommonOptions): Promise<void> =>
  withStore(options.kms, {}, async (kms) => {
    const signed = await kms.signAudit()
    if (signed === undefined) throw new CliError("usage", "the trail has no events yet: there is nothing to sign")
    await print(toJson(signed))
  })

export const auditPublicKeyCommand = (options: CommonOptions): Promise<void> =>
  withStore(options.kms, {}, async (kms) => {
    const publicKey = await kms.auditPublicKey()
    await print(options.json ? toJson({ publicKey }) : publicKey)
  })

export const auditDeliverCommand = (place: string, options: LogBucketOptions): Promise<void> =>
  withStore(options.kms, {}, async (kms) => {
    const delivery = isS3Place(place)
      ? await inBucket(kms, place, options, (bucket) => kms.deliverAudit(bucket))
      : await kms.deliverAudit(place).catch((error: unknown) => {
          throw isErrno(error) ? ioError(`cannot deliver to ${place}`, error) : error
        })
    if (options.json) return print(toJson({ folder: place, ...delivery }))
    const { events, logFiles } = delivery
    note(
      events === 0
        ? `${place} has everything already`
        : `delivered ${count(events, "event")} in ${count(logFiles, "log file")} to ${place}`,
    )
  })

export async function auditVerifyDeliveryCommand(
  folder: string,
  options: LogBucketOptions & { readonly publicKey?: string },
): Promise<void> {
  const publicKey = await readPublicKey(options)
  const { verifyDelivery } = await import("../../local-kms/index.ts")
  let report: DeliveryReport
  if (isS3Place(folder)) {
    const verify = (bucket: DeliverySource) => verifyDelivery(bucket, publicKey)
    const kms = await openStore(storeFolder(options.kms))
    report = await inBucket(kms, folder, options, verify).finally(() => kms.close())
  } else {
    report = await verifyDelivery(folder, publicKey).catch((error: unknown) => {
      throw isErrno(error) ? ioError(`cannot read ${folder}`, error) : error
    })
  }
  const { valid, events, logFiles, endTime, problems } = report
  if (options.json) await print(toJson(report))
  else if (!valid)
    await print(
      formatTable(
        ["FILE", "PROBLEM"],
        problems.map(({ file, text }) => [file, text]),
      ),
    )
  else if (endTime === undefined) note(`nothing has been delivered to ${folder}`)
  else note(`as they were delivered: ${count(events, "event")} in ${count(logFiles, "log file")}, up to ${endTime}`)
  if (!valid) throw changed(`the delivered files were changed: ${count(problems.length, "problem")}`)
}

// --- internal ---

/** Its code, and with it the AWS SDK, is loaded when it is needed. */
async function inBucket<T>(
  kms: LocalKms,
  place: string,
  options: LogBucketOptions,
  work: (bucket: DeliverySink) => Promise<T>,
): Promise<T> {
  const { withLogBucket } = await import("../s3-logs.ts").catch((error: unknown) => {
    throw isMissingPackage(error) ? missingPackage("S3", "@aws-sdk/client-s3", error, "s3Unreachable") : error
  })
  return withLogBucket(kms, place, options, work)
}

async function readQuery(options: AuditListOptions): Promise<EventQuery> {
  const { event, principal, error, resource, since, until } = options
  const { encryptionContext } = contextOptions(options.context)
  return {
    ...(options.key !== undefined && { keyArn: await findKey(options.key, options.kms) }),
    ...(event !== undefined && { eventName: event }),
    ...(principal !== undefined && { principal }),
    ...(error !== undefined && { errorCode: error === "none" ? null : error }),
    ...(resource !== undefined && { resource }),
    ...(encryptionContext !== undefined && { encryptionContext }),
    ...(since !== undefined && { since }),
    ...(until !== undefined && { until }),
  }
}

/** An ARN is taken as it is, so that what a deleted key did is found as well. */
async function findKey(key: string, where: string | undefined): Promise<string> {
  if (/^arn:[^:]+:kms:[^:]+:[^:]+:key\//.test(key)) return key
  const { kmsAddress } = await import("../kms-address.ts")
  const kms = await openKms(kmsAddress(where))
  try {
    return await keyArn(kms, key)
  } finally {
    await kms.close()
  }
}

async function follow(kms: LocalKms, query: EventQuery, { last = 10, json, since }: AuditListOptions): Promise<void> {
  const begin = since === undefined ? { last } : {}
  if (!json) await print(formatLine(HEADINGS))
  for await (const event of kms.streamEvents(query, { ...begin, follow: true }))
    await print(json ? `${JSON.stringify(event)}\n` : formatLine(row(event)))
}

const WIDTHS = [20, 26, 44, 44, 0]

const formatLine = (cells: readonly string[]): string =>
  `${cells
    .map((cell, i) => printable(cell).padEnd(WIDTHS[i]!))
    .join("  ")
    .trimEnd()}\n`

function row(event: AuditEvent): string[] {
  const { arn, invokedBy } = event.userIdentity
  return [
    event.eventTime,
    event.eventName,
    shortArn(String(arn ?? invokedBy ?? "-")),
    about(event),
    event.errorCode ?? "",
  ]
}

/** `user/Alice`, `assumed-role/AppA/session`. */
const shortArn = (arn: string): string => arn.replace(/^arn:[^:]*:(?:iam|sts)::(\d+):/, "$1:")

function about({ resources = [], requestParameters }: AuditEvent): string {
  const arn = resources[0]?.ARN ?? requestParameters?.keyId
  return typeof arn === "string" ? arn.replace(/^arn:[^:]*:kms:[^:]*:\d+:(?:key\/)?/, "") : "-"
}

const range = ({ first, last }: { readonly first: number; readonly last: number }): string =>
  first === last ? String(first) : `${first}-${last}`

const count = (n: number, what: string): string => `${n.toLocaleString("en-US")} ${what}${n === 1 ? "" : "s"}`

const changed = (message: string): CliError => new CliError("auditChanged", message)

async function readDigest(file: string): Promise<SignedDigest> {
  const text = await readFile(file, "utf8").catch((error: unknown) => {
    throw ioError(`cannot read ${file}`, error)
  })
  try {
    const signed = JSON.parse(text) as SignedDigest
    if (typeof signed.digest === "object" && typeof signed.signature === "string") return signed
  } catch {}
  throw usageError(`${file} is no digest`, "envelope audit digest makes one")
}

async function readPublicKey({ publicKey, kms }: CommonOptions & { readonly publicKey?: string }): Promise<string> {
  if (publicKey !== undefined) {
    const text = await readFile(publicKey, "utf8").catch((error: unknown) => {
      throw ioError(`cannot read ${publicKey}`, error)
    })
    if (text.includes("-----BEGIN PUBLIC KEY-----")) return text
    throw usageError(`${publicKey} is no public key`, "envelope audit public-key prints it")
  }
  let pem = ""
  await withStore(kms, {}, async (store) => {
    pem = await store.auditPublicKey()
  })
  return pem
}
