import type { IncomingHttpHeaders, IncomingMessage } from "node:http"
import type { Readable } from "node:stream"
import type { Keep } from "./content.ts"
import { noSuchKey, S3Fault } from "./fault.ts"
import type { Attributes, Bucket, Buckets } from "./store.ts"

/** One request, as far as its address and headers say. */
export interface Exchange {
  readonly operation: string
  readonly bucketName: string
  readonly key: string
  readonly query: URLSearchParams
  readonly headers: IncomingHttpHeaders
  readonly request: IncomingMessage
  readonly buckets: Buckets
  readonly keep: Keep
  readonly minPartSize: number
  /** @throws S3Fault `NoSuchBucket` */
  readonly bucket: Bucket
}

export interface Answer {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string | number | undefined>>
  readonly body?: string | Readable
}

export type Operation = (exchange: Exchange) => Answer | Promise<Answer>

export const bodyText = async ({ request }: Exchange): Promise<string> => {
  const chunks: Uint8Array[] = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks).toString("utf8")
}

export const header = ({ headers }: Exchange, name: string): string | undefined => {
  const value = headers[name]
  return Array.isArray(value) ? value.join(",") : value
}

const KEPT = [
  "cache-control",
  "content-disposition",
  "content-encoding",
  "content-language",
  "content-type",
  "expires",
  "x-amz-object-lock-mode",
  "x-amz-object-lock-retain-until-date",
  "x-amz-object-lock-legal-hold",
  "x-amz-server-side-encryption",
  "x-amz-server-side-encryption-aws-kms-key-id",
  "x-amz-server-side-encryption-bucket-key-enabled",
  "x-amz-server-side-encryption-customer-algorithm",
  "x-amz-server-side-encryption-customer-key-md5",
  "x-amz-storage-class",
  "x-amz-website-redirect-location",
]
const MAX_METADATA = 2048

/** What an object keeps of the request that makes it. @throws S3Fault `MetadataTooLarge` */
export function attributesOf(exchange: Exchange): Attributes {
  const kept: Record<string, string> = {}
  for (const name of KEPT) {
    const value = header(exchange, name)
    if (value !== undefined) kept[name] = value
  }
  const encoding = kept["content-encoding"]
    ?.split(",")
    .map((one) => one.trim())
    .filter((one) => one !== "aws-chunked")
  delete kept["content-encoding"]
  if (encoding !== undefined && encoding.length > 0) kept["content-encoding"] = encoding.join(",")
  kept["content-type"] ??= "binary/octet-stream"
  const metadata = metadataOf(exchange)
  const tags = Object.fromEntries(new URLSearchParams(header(exchange, "x-amz-tagging") ?? ""))
  return { headers: kept, metadata, tags }
}

function metadataOf({ headers }: Exchange): Record<string, string> {
  const metadata: Record<string, string> = {}
  let size = 0
  for (const [name, value] of Object.entries(headers)) {
    if (!name.startsWith("x-amz-meta-")) continue
    const short = name.slice("x-amz-meta-".length)
    metadata[short] = String(value)
    size += Buffer.byteLength(short) + Buffer.byteLength(String(value), "latin1")
  }
  if (size > MAX_METADATA) {
    throw new S3Fault(400, "MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size.")
  }
  return metadata
}

/** SSE-C: whoever reads brings the key that was brought to write. @throws S3Fault */
export function checkCustomerKey(exchange: Exchange, stored: Attributes, prefix = "x-amz-"): void {
  const md5 = stored.headers["x-amz-server-side-encryption-customer-key-md5"]
  const given = header(exchange, `${prefix}server-side-encryption-customer-key-md5`)
  if (md5 === undefined && given === undefined) return
  if (md5 === undefined || given === undefined) {
    throw new S3Fault(400, "InvalidRequest", "The object was stored using a form of Server Side Encryption.")
  }
  if (md5 !== given) throw new S3Fault(403, "AccessDenied", "Access Denied")
}

/** Answers to writes repeat these. */
export const encryptionHeaders = ({ headers }: Attributes): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith("x-amz-server-side-encryption")))

/** `x-amz-copy-source`: bucket, key and version. */
export function copySourceOf(exchange: Exchange): { bucketName: string; key: string; versionId?: string } {
  const [, source, versionId] = /^\/?(.*?)(?:\?versionId=(.*))?$/.exec(header(exchange, "x-amz-copy-source")!)!
  const path = decodeURIComponent(source!)
  const slash = path.indexOf("/")
  if (slash < 1) throw noSuchKey()
  return {
    bucketName: path.slice(0, slash),
    key: path.slice(slash + 1),
    ...(versionId !== undefined && { versionId }),
  }
}
