import { randomUUID } from "node:crypto"
import type { Content } from "./content.ts"
import { noSuchBucket, noSuchKey, noSuchUpload, noSuchVersion, S3Fault } from "./fault.ts"

/** What the server keeps of a request's headers, and gives back. */
export interface Attributes {
  /** `content-type`, `cache-control`, `x-amz-storage-class`, SSE headers and so on. */
  readonly headers: Readonly<Record<string, string>>
  /** User metadata without `x-amz-meta-`. */
  readonly metadata: Readonly<Record<string, string>>
  readonly tags: Readonly<Record<string, string>>
}

export interface Version extends Attributes {
  readonly key: string
  readonly versionId: string
  readonly lastModified: Date
  /** With quotes. */
  readonly etag: string
  readonly checksums: Readonly<Record<string, string>>
  readonly deleteMarker: boolean
  content: Content
}

export interface Part {
  readonly partNumber: number
  readonly etag: string
  readonly md5: string
  readonly content: Content
  readonly checksums: Readonly<Record<string, string>>
  readonly lastModified: Date
}

export interface Upload extends Attributes {
  readonly uploadId: string
  readonly key: string
  readonly initiated: Date
  readonly parts: Map<number, Part>
}

export interface Bucket {
  readonly name: string
  versioning: "Off" | "Enabled" | "Suspended"
  /** Newest version first. */
  readonly objects: Map<string, Version[]>
  readonly uploads: Map<string, Upload>
}

export type Buckets = Map<string, Bucket>

export function createBucket(buckets: Buckets, name: string): Bucket {
  if (buckets.has(name)) throw new S3Fault(409, "BucketAlreadyOwnedByYou", "You already own this bucket.")
  const bucket: Bucket = { name, versioning: "Off", objects: new Map(), uploads: new Map() }
  buckets.set(name, bucket)
  return bucket
}

export function bucketOf(buckets: Buckets, name: string): Bucket {
  const bucket = buckets.get(name)
  if (bucket === undefined) throw noSuchBucket()
  return bucket
}

export function uploadOf(bucket: Bucket, uploadId: string | null, key: string): Upload {
  const upload = bucket.uploads.get(uploadId ?? "")
  if (upload === undefined || upload.key !== key) throw noSuchUpload()
  return upload
}

/** @throws S3Fault `NoSuchKey`, `NoSuchVersion`, `MethodNotAllowed` for a delete marker by its id */
export function versionOf(bucket: Bucket, key: string, versionId?: string): Version {
  const versions = bucket.objects.get(key) ?? []
  if (versionId === undefined) {
    const [newest] = versions
    if (newest === undefined || newest.deleteMarker) throw noSuchKey()
    return newest
  }
  const version = versions.find((one) => one.versionId === versionId)
  if (version === undefined) throw noSuchVersion()
  if (version.deleteMarker) throw new S3Fault(405, "MethodNotAllowed", "The version is a delete marker.")
  return version
}

/** The current version, or undefined where there is none. */
export function currentOf(bucket: Bucket, key: string): Version | undefined {
  const [newest] = bucket.objects.get(key) ?? []
  return newest === undefined || newest.deleteMarker ? undefined : newest
}

/** Adds a version, which takes the place of an unversioned one. */
export function addVersion(bucket: Bucket, version: Omit<Version, "versionId">): Version {
  const versionId = bucket.versioning === "Enabled" ? randomUUID().replaceAll("-", "") : "null"
  const older = bucket.objects.get(version.key) ?? []
  const kept = versionId === "null" ? older.filter((one) => one.versionId !== "null") : older
  const added = { ...version, versionId }
  bucket.objects.set(version.key, [added, ...kept])
  return added
}

/** @returns what DeleteObject says about it */
export function deleteVersion(
  bucket: Bucket,
  key: string,
  versionId: string | undefined,
): { versionId?: string; deleteMarker?: boolean } {
  const versions = bucket.objects.get(key) ?? []
  if (versionId !== undefined) {
    const gone = versions.find((one) => one.versionId === versionId)
    setVersions(
      bucket,
      key,
      versions.filter((one) => one !== gone),
    )
    return { versionId, ...(gone?.deleteMarker && { deleteMarker: true }) }
  }
  if (bucket.versioning === "Off") {
    bucket.objects.delete(key)
    return {}
  }
  const marker = addVersion(bucket, {
    key,
    lastModified: new Date(),
    etag: "",
    checksums: {},
    deleteMarker: true,
    headers: {},
    metadata: {},
    tags: {},
    content: undefined as never,
  })
  return { versionId: marker.versionId, deleteMarker: true }
}

function setVersions(bucket: Bucket, key: string, versions: Version[]): void {
  if (versions.length === 0) bucket.objects.delete(key)
  else bucket.objects.set(key, versions)
}
