import {
  ListMultipartUploadsCommand,
  type ListMultipartUploadsCommandOutput,
  ListObjectsV2Command,
  type ListObjectsV2CommandOutput,
  ListObjectVersionsCommand,
  type ListObjectVersionsCommandOutput,
  ListPartsCommand,
  type ListPartsCommandOutput,
  type S3Client,
} from "@aws-sdk/client-s3"
import { compareBytes, utf8 } from "../../core/index.ts"
import type { AuditedUpload, ServerSideEncryption } from "./entry.ts"

/** An object as a listing or an inventory names it. */
export interface Listed {
  readonly bucket: string
  readonly key: string
  readonly versionId?: string
  readonly isLatest: boolean
  /** Bytes; undefined where an inventory leaves it out. */
  readonly size?: number
  /** With quotes. */
  readonly etag?: string
  readonly lastModified?: Date
  readonly storageClass?: string
  readonly serverSide?: ServerSideEncryption
}

export interface ListingOptions {
  readonly client: S3Client
  readonly bucket: string
  readonly prefix: string
  /** Begin after this key. */
  readonly startAfter?: string | undefined
  readonly signal?: AbortSignal | undefined
}

const abortOf = (signal: AbortSignal | undefined) => (signal === undefined ? {} : { abortSignal: signal })

/** The objects of a bucket in the order of their keys. */
export async function* listObjects(options: ListingOptions): AsyncGenerator<Listed> {
  const { client, bucket, prefix, startAfter, signal } = options
  let ContinuationToken: string | undefined
  do {
    const input = { Bucket: bucket, Prefix: prefix, StartAfter: startAfter, ContinuationToken }
    const page: ListObjectsV2CommandOutput = await client.send(new ListObjectsV2Command(input), abortOf(signal))
    for (const entry of page.Contents ?? []) yield { bucket, isLatest: true, ...common(entry) }
    ContinuationToken = page.IsTruncated ? page.NextContinuationToken : undefined
  } while (ContinuationToken !== undefined)
}

/** Every version, noncurrent ones too, without delete markers: keys in order, each with its newest version first. */
export async function* listVersions(options: ListingOptions): AsyncGenerator<Listed> {
  const { client, bucket, prefix, startAfter, signal } = options
  let marker: { KeyMarker?: string | undefined; VersionIdMarker?: string | undefined } | undefined = {
    KeyMarker: startAfter,
  }
  while (marker !== undefined) {
    const input: object = { Bucket: bucket, Prefix: prefix, ...marker }
    const page: ListObjectVersionsCommandOutput = await client.send(
      new ListObjectVersionsCommand(input as { Bucket: string }),
      abortOf(signal),
    )
    for (const entry of page.Versions ?? []) {
      const { Key = "", VersionId, IsLatest = true } = entry
      // A key marker alone excludes its key with some servers, and with others it does not.
      if (startAfter !== undefined && compareBytes(utf8(Key), utf8(startAfter)) <= 0) continue
      yield { bucket, isLatest: IsLatest, ...common(entry), ...(VersionId !== undefined && { versionId: VersionId }) }
    }
    marker = page.IsTruncated ? { KeyMarker: page.NextKeyMarker, VersionIdMarker: page.NextVersionIdMarker } : undefined
  }
}

export async function* listUploads(options: ListingOptions): AsyncGenerator<AuditedUpload> {
  const { client, bucket, prefix, signal } = options
  let marker: { KeyMarker?: string | undefined; UploadIdMarker?: string | undefined } | undefined = {}
  while (marker !== undefined) {
    const input: object = { Bucket: bucket, Prefix: prefix, ...marker }
    const page: ListMultipartUploadsCommandOutput = await client.send(
      new ListMultipartUploadsCommand(input as { Bucket: string }),
      abortOf(signal),
    )
    for (const { Key, UploadId, Initiated } of page.Uploads ?? []) {
      if (Key === undefined || UploadId === undefined) continue
      const { parts, size } = await partsOf(options, Key, UploadId)
      const initiated = Initiated === undefined ? {} : { initiated: Initiated }
      yield { kind: "upload", bucket, key: Key, uploadId: UploadId, ...initiated, parts, size }
    }
    marker = page.IsTruncated ? { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker } : undefined
  }
}

// --- internal ---

interface ListedFields {
  readonly Key?: string | undefined
  readonly Size?: number | undefined
  readonly ETag?: string | undefined
  readonly LastModified?: Date | undefined
  readonly StorageClass?: string | undefined
}

const common = ({ Key = "", Size, ETag, LastModified, StorageClass }: ListedFields) => ({
  key: Key,
  ...(Size !== undefined && { size: Size }),
  ...(ETag !== undefined && { etag: ETag }),
  ...(LastModified !== undefined && { lastModified: LastModified }),
  ...(StorageClass !== undefined && { storageClass: StorageClass }),
})

/** An upload may be completed or aborted while it is looked at: then it has no parts. */
async function partsOf({ client, bucket, signal }: ListingOptions, Key: string, UploadId: string) {
  const total = { parts: 0, size: 0 }
  let PartNumberMarker: string | undefined
  try {
    do {
      const input = { Bucket: bucket, Key, UploadId, PartNumberMarker }
      const page: ListPartsCommandOutput = await client.send(new ListPartsCommand(input), abortOf(signal))
      for (const { Size = 0 } of page.Parts ?? []) {
        total.parts++
        total.size += Size
      }
      PartNumberMarker = page.IsTruncated ? page.NextPartNumberMarker : undefined
    } while (PartNumberMarker !== undefined)
  } catch (error) {
    if ((error as Error).name !== "NoSuchUpload") throw error
  }
  return total
}
