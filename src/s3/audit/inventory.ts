import { createHash } from "node:crypto"
import { Readable, Transform } from "node:stream"
import { createGunzip } from "node:zlib"
import { GetObjectCommand, type S3Client } from "@aws-sdk/client-s3"
import { EnvelopeError, malformed } from "../../core/index.ts"
import { csvRows } from "./csv.ts"
import type { ServerSideEncryption } from "./entry.ts"
import type { Listed } from "./listed.ts"

/** Where S3 Inventory put the manifest of a report. */
export interface InventoryPlace {
  readonly bucket: string
  /** The key of a `manifest.json`. */
  readonly manifestKey: string
}

interface Manifest {
  readonly sourceBucket: string
  readonly columns: readonly string[]
  readonly files: readonly { readonly key: string; readonly MD5checksum?: string }[]
}

/**
 * OBJ-10.5: the objects of an S3 Inventory report (CSV, gzip), delete markers left out, in the report's order.
 *
 * @throws EnvelopeError `UnsupportedFormat` for ORC and Parquet, `MalformedMessage` for what is no report, `TamperedMessage`
 * for a file without the MD5 of the manifest
 */
export async function* readInventory(
  client: S3Client,
  place: InventoryPlace,
  signal?: AbortSignal,
): AsyncGenerator<Listed> {
  const { sourceBucket, columns, files } = await readManifest(client, place, signal)
  for (const file of files) {
    const chunks = await fetchChunks(client, place.bucket, file.key, signal)
    try {
      for await (const row of csvRows(unzipped(chunks, file))) {
        const listed = toListed(sourceBucket, columns, row)
        if (listed !== undefined) yield listed
      }
    } catch (error) {
      if (error instanceof SyntaxError || isZlibError(error)) throw malformed(`${file.key} is no gzipped CSV file`)
      throw error
    }
  }
}

// --- internal ---

async function readManifest(client: S3Client, place: InventoryPlace, signal?: AbortSignal): Promise<Manifest> {
  const { bucket, manifestKey } = place
  let text = ""
  for await (const chunk of Readable.from(await fetchChunks(client, bucket, manifestKey, signal))) text += chunk
  let json: Record<string, unknown>
  try {
    json = JSON.parse(text) as Record<string, unknown>
  } catch {
    throw malformed(`${manifestKey} is no manifest of an S3 Inventory`)
  }
  const { sourceBucket, fileFormat, fileSchema, files } = json
  if (typeof sourceBucket !== "string" || typeof fileSchema !== "string" || !Array.isArray(files)) {
    throw malformed(`${manifestKey} is no manifest of an S3 Inventory`)
  }
  if (fileFormat !== "CSV") {
    throw new EnvelopeError("UnsupportedFormat", `the inventory is in ${fileFormat}: only CSV is read here`)
  }
  return { sourceBucket, columns: fileSchema.split(",").map((name) => name.trim()), files }
}

async function fetchChunks(client: S3Client, Bucket: string, Key: string, signal?: AbortSignal): Promise<Readable> {
  const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }), signal && { abortSignal: signal })
  return Body as Readable
}

/** Text of a gzipped file, its MD5 checked at its end. */
function unzipped(chunks: Readable, file: Manifest["files"][number]): AsyncIterable<string> {
  const hash = createHash("md5")
  const hashed = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk)
      done(null, chunk)
    },
    flush(done) {
      const isSame = file.MD5checksum === undefined || hash.digest("hex") === file.MD5checksum
      done(isSame ? null : new EnvelopeError("TamperedMessage", `${file.key} has not the MD5 that the manifest names`))
    },
  })
  const unzip = createGunzip()
  const fail = (error: Error) => unzip.destroy(error)
  chunks.on("error", fail).pipe(hashed).on("error", fail).pipe(unzip)
  return unzip.setEncoding("utf8")
}

const isZlibError = (error: unknown): boolean => String((error as NodeJS.ErrnoException).code).startsWith("Z_")

const SERVER_SIDE: Readonly<Record<string, ServerSideEncryption>> = {
  "SSE-S3": "SSE-S3",
  "SSE-KMS": "SSE-KMS",
  "DSSE-KMS": "DSSE-KMS",
  "SSE-C": "SSE-C",
  "NOT-SSE": "none",
}

function toListed(bucket: string, columns: readonly string[], row: readonly string[]): Listed | undefined {
  if (row.length !== columns.length)
    throw malformed(`the inventory has a row of ${row.length} fields, not ${columns.length}`)
  const field = (name: string): string | undefined => {
    const value = row[columns.indexOf(name)]
    return value === "" ? undefined : value
  }
  if (field("IsDeleteMarker") === "true") return undefined
  const key = field("Key")
  if (key === undefined) throw malformed("the inventory has a row without a key")
  const [size, time, etag] = [field("Size"), field("LastModifiedDate"), field("ETag")]
  const [versionId, storageClass, status] = [field("VersionId"), field("StorageClass"), field("EncryptionStatus")]
  return {
    bucket: field("Bucket") ?? bucket,
    key: decodeKey(key),
    isLatest: field("IsLatest") !== "false",
    ...(size !== undefined && { size: Number(size) }),
    ...(time !== undefined && { lastModified: new Date(time) }),
    ...(etag !== undefined && { etag: `"${etag}"` }),
    ...(versionId !== undefined && { versionId }),
    ...(storageClass !== undefined && { storageClass }),
    ...(status !== undefined && { serverSide: SERVER_SIDE[status] ?? "unknown" }),
  }
}

/** Keys are encoded as in forms, where a space is a plus sign. */
function decodeKey(key: string): string {
  try {
    return decodeURIComponent(key.replaceAll("+", " "))
  } catch {
    throw malformed("the inventory has a key that is not URL-encoded")
  }
}
