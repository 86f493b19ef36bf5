import {
  ListBucketsCommand,
  type ListBucketsCommandOutput,
  ListObjectsV2Command,
  type ListObjectsV2CommandOutput,
  type S3Client,
} from "@aws-sdk/client-s3"
import { type AuditedKey, auditObjects, type InspectedObject, inspectObject } from "../../s3/index.ts"
import { print } from "../fd.ts"
import { note } from "../messages.ts"
import { formatS3Place, parseS3Object, parseS3Place, type S3Place } from "../s3-place.ts"
import { noSuchObject, type S3Options, withS3 } from "../s3-session.ts"
import { formatExactBytes, formatPairs, formatTable, printable, toJson } from "../text.ts"

export const s3HeadCommand = (text: string, options: S3Options & { readonly versionId?: string }): Promise<void> =>
  withS3(options, async (s3) => {
    const place = parseS3Object(text)
    const { versionId } = options
    const object = await inspectObject({ client: s3, ...place, ...(versionId !== undefined && { versionId }) })
    if (object === undefined) throw noSuchObject(place)
    await print(options.json ? toJson(object) : asText(place, object))
  })

export interface ListOptions extends S3Options {
  readonly recursive?: boolean
  readonly long?: boolean
}

export const s3ListCommand = (text: string | undefined, options: ListOptions): Promise<void> =>
  withS3(options, async (s3) => {
    if (text === undefined) return listBuckets(s3, options)
    const place = parseS3Place(text)
    return options.long ? listLong(s3, place, options) : listShort(s3, place, options)
  })

// --- internal ---

const FORMATS: Readonly<Record<InspectedObject["format"], string>> = {
  message: "message of the AWS Encryption SDK",
  "s3ec-v1": "S3 Encryption Client, format V1: nothing authenticates it",
  "s3ec-v2": "S3 Encryption Client, format V2: no key commitment",
  "s3ec-v3": "S3 Encryption Client, format V3",
  "instruction-file": "instruction file of the S3 Encryption Client: the wrapped key of another object",
  plaintext: "plaintext: no client encrypted it",
  empty: "empty",
  unknown: "unknown",
}

const WHERE: Readonly<Record<NonNullable<InspectedObject["wrappedKeyIn"]>, string>> = {
  message: "in the header of the message, at the beginning of the object",
  metadata: "in the object's user metadata (x-amz-meta-…)",
  "instruction-file": "in an object of its own, the key with .instruction",
}

export const keyText = ({ keyArn, wrappedBy }: AuditedKey): string => {
  if (wrappedBy === "bucket-key") return `${keyArn ?? "a KMS key that it does not name"}, through a bucket key`
  if (wrappedBy === "kms") return keyArn ?? "a KMS key that the object does not name: its wrapped key does, to KMS"
  return `a raw key, no KMS (${wrappedBy})`
}

function asText(place: S3Place, object: InspectedObject): string {
  const { format, suite, size, plaintextLength, keys, wrappedKeyIn, encryptionContext, problem } = object
  const pairs: [string, string][] = [["format", FORMATS[format]]]
  if (suite !== undefined) pairs.push(["algorithm suite", suite])
  pairs.push(["stored", formatExactBytes(size)])
  if (plaintextLength !== undefined) pairs.push(["plaintext", formatExactBytes(plaintextLength)])
  if (wrappedKeyIn !== undefined) pairs.push(["wrapped key", WHERE[wrappedKeyIn]])
  for (const key of keys) pairs.push(["under", printable(keyText(key))])
  pairs.push(["S3's own layer", object.serverSide + (object.serverSideKeyId ? `, ${object.serverSideKeyId}` : "")])
  pairs.push(["storage class", object.storageClass])
  if (object.versionId !== undefined) pairs.push(["version", object.versionId])
  if (object.etag !== undefined) pairs.push(["ETag (as stored)", object.etag])
  if (problem !== undefined) pairs.push(["problem", printable(problem)])
  const context = Object.entries(encryptionContext ?? {})
  return [
    `${printable(formatS3Place(place))}; nothing shown here is authenticated\n`,
    formatPairs(pairs),
    ...(context.length > 0 ? ["encryption context\n"] : []),
    ...context.map(([name, value]) => `  ${printable(name)} = ${printable(value)}\n`),
  ].join("")
}

async function listBuckets(s3: S3Client, { json }: ListOptions): Promise<void> {
  const names: string[] = []
  let ContinuationToken: string | undefined
  do {
    const page: ListBucketsCommandOutput = await s3.send(new ListBucketsCommand({ ContinuationToken }))
    for (const { Name = "" } of page.Buckets ?? []) names.push(Name)
    ;({ ContinuationToken } = page)
  } while (ContinuationToken)
  await print(json ? toJson(names) : names.map((name) => `s3://${name}\n`).join(""))
}

interface Listed {
  readonly key: string
  readonly size?: number
  readonly lastModified?: Date
}

async function listShort(s3: S3Client, { bucket, key }: S3Place, { recursive, json }: ListOptions): Promise<void> {
  const found: Listed[] = []
  let ContinuationToken: string | undefined
  do {
    const delimiter = recursive ? {} : { Delimiter: "/" }
    const input = { Bucket: bucket, Prefix: key, ...delimiter, ContinuationToken }
    const page: ListObjectsV2CommandOutput = await s3.send(new ListObjectsV2Command(input))
    const folders = (page.CommonPrefixes ?? []).map(({ Prefix = "" }): Listed => ({ key: Prefix }))
    const objects = (page.Contents ?? []).map(
      ({ Key = "", Size = 0, LastModified }): Listed => ({
        key: Key,
        size: Size,
        ...(LastModified && { lastModified: LastModified }),
      }),
    )
    const entries = [...folders, ...objects].sort((a, b) => (a.key < b.key ? -1 : 1))
    if (json) found.push(...entries)
    else await print(entries.map(shortLine).join(""))
    ContinuationToken = page.IsTruncated ? page.NextContinuationToken : undefined
  } while (ContinuationToken !== undefined)
  if (json) await print(toJson(found))
}

const time = (date: Date | undefined): string => date?.toISOString().slice(0, 19).replace("T", " ") ?? ""

const shortLine = ({ key, size, lastModified }: Listed): string =>
  `${time(lastModified).padEnd(19)}  ${String(size ?? "").padStart(14)}  ${printable(key)}\n`

async function listLong(s3: S3Client, { bucket, key }: S3Place, { json }: ListOptions): Promise<void> {
  const entries = []
  for await (const entry of auditObjects({ client: s3, bucket, prefix: key, uploads: false })) {
    if (entry.kind === "object") entries.push(entry)
  }
  if (json) return print(toJson(entries))
  if (entries.length === 0) return note("no such objects")
  const rows = entries.map((entry) => [
    entry.key,
    String(entry.size),
    entry.format,
    entry.suite ?? "-",
    entry.keys.map(keyText).join(" ") || "-",
  ])
  await print(formatTable(["KEY", "STORED", "FORMAT", "SUITE", "UNDER"], rows))
}
