import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  type S3Client,
  UploadPartCopyCommand,
} from "@aws-sdk/client-s3"
import { inOrder } from "../in-order.ts"
import { type Described, tagsOf } from "./kept.ts"

/** Bytes of the largest object that CopyObject takes: 5 GiB, which S3's documentation calls 5 GB. */
export const MAX_COPY = 5 * 1024 ** 3
/** Bytes that one request copies of a larger object; more where 10,000 parts would not do. */
const PART = 512 * 1024 * 1024
const MAX_PARTS = 10_000
const AT_A_TIME = 8

export interface CopyInPlace {
  readonly client: S3Client
  readonly bucket: string
  readonly key: string
  readonly described: Described
  /** What takes the place of the user metadata. */
  readonly metadata: Readonly<Record<string, string>>
  /** Bytes of the largest object that is copied by one request. */
  readonly maxCopy: number
  readonly signal: AbortSignal | undefined
}

/**
 * OBJ-11.4: gives an object other user metadata: a copy onto itself within S3, so that no byte of it travels. It happens on the
 * condition that the object is still the one that was looked at, at the source and, by servers that know it, at the
 * destination.
 */
export const copyInPlace = (job: CopyInPlace): Promise<void> =>
  job.described.size <= job.maxCopy ? copyAtOnce(job) : copyParts(job)

// --- internal ---

const abortOf = ({ signal }: CopyInPlace) => (signal === undefined ? {} : { abortSignal: signal })

const sourceOf = ({ bucket, key, described }: CopyInPlace) => ({
  CopySource: `${bucket}/${key.split("/").map(encodeURIComponent).join("/")}`,
  CopySourceIfMatch: described.etag,
})

async function copyAtOnce(job: CopyInPlace): Promise<void> {
  const { client, bucket, key, described, metadata } = job
  const command = new CopyObjectCommand({
    Bucket: bucket,
    Key: key,
    ...sourceOf(job),
    IfMatch: described.etag,
    MetadataDirective: "REPLACE",
    Metadata: { ...metadata },
    TaggingDirective: "COPY",
    ...described.kept,
  })
  await client.send(command, abortOf(job))
}

async function copyParts(job: CopyInPlace): Promise<void> {
  const { client, bucket, key, described, metadata, signal } = job
  const Tagging = described.tagCount > 0 ? await tagsOf(client, job, signal) : undefined
  const target = { Bucket: bucket, Key: key }
  const { UploadId } = await client.send(
    new CreateMultipartUploadCommand({
      ...target,
      Metadata: { ...metadata },
      ...described.kept,
      ...(Tagging !== undefined && { Tagging }),
    }),
    abortOf(job),
  )
  const upload = { ...target, UploadId }
  try {
    const Parts: CompletedPart[] = []
    for await (const part of inOrder(ranges(job), AT_A_TIME, (range) => copyPart(job, upload, range))) Parts.push(part)
    await client.send(
      new CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts }, IfMatch: described.etag }),
      abortOf(job),
    )
  } catch (error) {
    // Without the caller's signal, since parts that stay cost money; what fails here must not hide the reason.
    await client.send(new AbortMultipartUploadCommand(upload)).catch(() => {})
    throw error
  }
}

interface PartRange {
  readonly PartNumber: number
  readonly start: number
  /** Exclusive. */
  readonly end: number
}

async function* ranges({ described: { size }, maxCopy }: CopyInPlace): AsyncGenerator<PartRange> {
  const length = Math.max(Math.min(PART, maxCopy), Math.ceil(size / MAX_PARTS))
  for (let start = 0, PartNumber = 1; start < size; start += length, PartNumber++) {
    yield { PartNumber, start, end: Math.min(start + length, size) }
  }
}

async function copyPart(
  job: CopyInPlace,
  upload: { Bucket: string; Key: string; UploadId: string | undefined },
  { PartNumber, start, end }: PartRange,
): Promise<CompletedPart> {
  const command = new UploadPartCopyCommand({
    ...upload,
    ...sourceOf(job),
    PartNumber,
    CopySourceRange: `bytes=${start}-${end - 1}`,
  })
  const { CopyPartResult = {} } = await job.client.send(command, abortOf(job))
  const { ETag, ChecksumCRC32C, ChecksumSHA1, ChecksumSHA256 } = CopyPartResult
  return { PartNumber, ETag, ChecksumCRC32C, ChecksumSHA1, ChecksumSHA256 }
}
