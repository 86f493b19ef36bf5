import {
  GetObjectCommand,
  ListObjectsV2Command,
  type ListObjectsV2CommandOutput,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3"

/** A delivered file, as the embedded KMS delivers its audit trail. */
interface LogFile {
  readonly body: Uint8Array
  /** Hexadecimal; of digest files. */
  readonly signature?: string
}

/** What `LocalKms.deliverAudit` and `verifyDelivery` take in the place of a folder. */
export interface LogDestination {
  readonly bucket: string
  read(name: string): Promise<LogFile | undefined>
  list(): AsyncIterable<string>
  write(name: string, file: LogFile): Promise<void>
}

export interface LogDestinationOptions {
  /** An `EncryptedS3Client`, so that the log files are encrypted themselves; any `S3Client` will do. */
  readonly client: S3Client
  readonly bucket: string
  /** Stands before the names of all files, for instance `trail/`. Default: nothing. */
  readonly prefix?: string
}

/** As CloudTrail names the metadata of its digest files. */
const SIGNATURE = "signature"
const ALGORITHM = { "signature-algorithm": "SHA256withRSA" }
const ROOT = "AWSLogs/"

/**
 * A bucket as the destination of the embedded KMS's audit trail: log files and digest files under the names that
 * CloudTrail gives them, the signature of a digest file in its metadata.
 *
 * @throws TypeError for a bucket without a name
 */
export function logDestination({ client, bucket, prefix = "" }: LogDestinationOptions): LogDestination {
  if (typeof bucket !== "string" || bucket === "") throw new TypeError("bucket must be the name of a bucket")
  const target = (name: string) => ({ Bucket: bucket, Key: prefix + name })
  return {
    bucket,
    async read(name) {
      try {
        const { Body, Metadata = {} } = await client.send(new GetObjectCommand(target(name)))
        const body = await Body!.transformToByteArray()
        const signature = Metadata[SIGNATURE]
        return { body, ...(signature !== undefined && { signature }) }
      } catch (error) {
        if ((error as Error).name === "NoSuchKey") return undefined
        throw error
      }
    },
    async *list() {
      let ContinuationToken: string | undefined
      do {
        const input = { Bucket: bucket, Prefix: prefix + ROOT, ContinuationToken }
        const page: ListObjectsV2CommandOutput = await client.send(new ListObjectsV2Command(input))
        for (const { Key = "" } of page.Contents ?? []) yield Key.slice(prefix.length)
        ContinuationToken = page.IsTruncated ? page.NextContinuationToken : undefined
      } while (ContinuationToken !== undefined)
    },
    async write(name, { body, signature }) {
      const Metadata = signature === undefined ? {} : { [SIGNATURE]: signature, ...ALGORITHM }
      const ContentType = name.endsWith(".json") ? "application/json" : "application/gzip"
      await client.send(new PutObjectCommand({ ...target(name), Body: body, Metadata, ContentType }))
    },
  }
}
