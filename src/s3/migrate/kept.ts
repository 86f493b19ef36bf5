import {
  GetObjectTaggingCommand,
  HeadObjectCommand,
  type HeadObjectCommandOutput,
  type PutObjectCommandInput,
  type S3Client,
} from "@aws-sdk/client-s3"
import { HEADERS } from "../copy.ts"

/** OBJ-11.3: what an object keeps when it is written again in its place. */
export type Kept = Pick<
  PutObjectCommandInput,
  | (typeof HEADERS)[number]
  | "Expires"
  | "StorageClass"
  | "ServerSideEncryption"
  | "SSEKMSKeyId"
  | "BucketKeyEnabled"
  | "ObjectLockMode"
  | "ObjectLockRetainUntilDate"
  | "ObjectLockLegalHoldStatus"
  | "ChecksumAlgorithm"
>

/** One object as it stood when it was looked at. */
export interface Described {
  readonly kept: Kept
  readonly metadata: Readonly<Record<string, string>>
  readonly tagCount: number
  /** With quotes. OBJ-11.1: every write is on the condition that the object still has it. */
  readonly etag: string
  readonly versionId: string | undefined
  /** Bytes as stored. */
  readonly size: number
}

interface Place {
  readonly bucket: string
  readonly key: string
}

/** @param place with the ETag that the object must still have @throws S3's 412 when it has another one */
export async function describeObject(
  client: S3Client,
  { bucket, key, etag }: Place & { readonly etag?: string | undefined },
  signal: AbortSignal | undefined,
): Promise<Described> {
  const condition = etag === undefined ? {} : { IfMatch: etag }
  const command = new HeadObjectCommand({ Bucket: bucket, Key: key, ...condition, ChecksumMode: "ENABLED" })
  const head = await client.send(command, signal && { abortSignal: signal })
  return {
    kept: keptOf(head),
    metadata: head.Metadata ?? {},
    tagCount: head.TagCount ?? 0,
    etag: head.ETag ?? "",
    versionId: head.VersionId,
    size: head.ContentLength ?? 0,
  }
}

/** The tags of an object as `Tagging` takes them; undefined without any. */
export async function tagsOf(
  client: S3Client,
  { bucket, key }: Place,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  const command = new GetObjectTaggingCommand({ Bucket: bucket, Key: key })
  const { TagSet = [] } = await client.send(command, signal && { abortSignal: signal })
  if (TagSet.length === 0) return undefined
  return new URLSearchParams(TagSet.map(({ Key = "", Value = "" }): [string, string] => [Key, Value])).toString()
}

// --- internal ---

const AS_IT_IS = [
  ...HEADERS,
  "StorageClass",
  "ServerSideEncryption",
  "SSEKMSKeyId",
  "BucketKeyEnabled",
  "ObjectLockMode",
  "ObjectLockRetainUntilDate",
  "ObjectLockLegalHoldStatus",
] as const satisfies readonly (keyof Kept & keyof HeadObjectCommandOutput)[]

const CHECKSUMS = { ChecksumCRC32C: "CRC32C", ChecksumSHA1: "SHA1", ChecksumSHA256: "SHA256" } as const

function keptOf(head: HeadObjectCommandOutput): Kept {
  const kept: Record<string, unknown> = {}
  for (const name of AS_IT_IS) if (head[name] !== undefined) kept[name] = head[name]
  const expires = new Date(head.ExpiresString ?? "")
  if (!Number.isNaN(expires.getTime())) kept.Expires = expires
  for (const [name, algorithm] of Object.entries(CHECKSUMS)) {
    if (head[name as keyof typeof CHECKSUMS] !== undefined) kept.ChecksumAlgorithm = algorithm
  }
  return kept
}
