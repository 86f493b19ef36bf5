import { createHash, randomUUID } from "node:crypto"
import { receive } from "./body.ts"
import { checkWrite, parseRange } from "./conditions.ts"
import { joined } from "./content.ts"
import { attributesOf, bodyText, type Exchange, encryptionHeaders, header, type Operation } from "./exchange.ts"
import { invalidArgument, invalidPart, S3Fault } from "./fault.ts"
import { copySource } from "./objects.ts"
import { addVersion, currentOf, type Part, type Upload, uploadOf } from "./store.ts"
import { document, elements, text } from "./xml.ts"

const MAX_PARTS = 10_000

const create: Operation = (exchange) => {
  const { bucket, key } = exchange
  const upload: Upload = {
    ...attributesOf(exchange),
    uploadId: randomUUID(),
    key,
    initiated: new Date(),
    parts: new Map(),
  }
  bucket.uploads.set(upload.uploadId, upload)
  const { uploadId } = upload
  return {
    headers: encryptionHeaders(upload),
    body: document("InitiateMultipartUploadResult", { Bucket: bucket.name, Key: key, UploadId: uploadId }),
  }
}

const theUpload = (exchange: Exchange): Upload =>
  uploadOf(exchange.bucket, exchange.query.get("uploadId"), exchange.key)

function partNumberOf({ query }: Exchange): number {
  const number = Number(query.get("partNumber"))
  if (Number.isInteger(number) && number >= 1 && number <= MAX_PARTS) return number
  throw invalidArgument("Part number must be an integer between 1 and 10000, inclusive")
}

const uploadPart: Operation = async (exchange) => {
  const upload = theUpload(exchange)
  const partNumber = partNumberOf(exchange)
  const { content, md5, checksums } = await receive(exchange.request, exchange.keep)
  const etag = `"${md5}"`
  upload.parts.set(partNumber, { partNumber, etag, md5, content, checksums, lastModified: new Date() })
  return { headers: { ETag: etag, ...checksums, ...encryptionHeaders(upload) } }
}

const uploadPartCopy: Operation = async (exchange) => {
  const upload = theUpload(exchange)
  const partNumber = partNumberOf(exchange)
  const { version, headers } = copySource(exchange)
  const { size } = version.content
  const { start, end } = parseRange(header(exchange, "x-amz-copy-source-range"), size) ?? { start: 0, end: size }
  const hash = createHash("md5")
  const content = await exchange.keep(
    (async function* () {
      for await (const chunk of version.content.stream(start, end)) {
        hash.update(chunk)
        yield chunk as Uint8Array
      }
    })(),
  )
  const md5 = hash.digest("hex")
  const lastModified = new Date()
  upload.parts.set(partNumber, { partNumber, etag: `"${md5}"`, md5, content, checksums: {}, lastModified })
  const result = { ETag: `"${md5}"`, LastModified: lastModified.toISOString() }
  return { headers, body: document("CopyPartResult", result) }
}

const complete: Operation = async (exchange) => {
  const { bucket, key, headers } = exchange
  const xml = await bodyText(exchange)
  const upload = theUpload(exchange)
  const listed = elements(xml, "Part")
  if (listed.length === 0) throw new S3Fault(400, "MalformedXML", "You must specify at least one part.")
  const parts = listed.map((part) => partNamed(upload, part))
  if (parts.some((part, i) => i > 0 && part.partNumber <= parts[i - 1]!.partNumber)) {
    throw new S3Fault(400, "InvalidPartOrder", "The list of parts was not in ascending order.")
  }
  if (parts.slice(0, -1).some((part) => part.content.size < exchange.minPartSize)) {
    throw new S3Fault(400, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size")
  }
  const expected = header(exchange, "x-amz-mp-object-size")
  const size = parts.reduce((sum, part) => sum + part.content.size, 0)
  if (expected !== undefined && Number(expected) !== size) {
    throw new S3Fault(400, "InvalidRequest", "The provided 'x-amz-mp-object-size' does not match the object.")
  }
  checkWrite(currentOf(bucket, key), headers)
  const md5s = createHash("md5")
  for (const { md5 } of parts) md5s.update(Buffer.from(md5, "hex"))
  const content = joined(parts.map((part) => part.content))
  const { uploadId, parts: _parts, initiated: _initiated, ...attributes } = upload
  const version = addVersion(bucket, {
    ...attributes,
    lastModified: new Date(),
    etag: `"${md5s.digest("hex")}-${parts.length}"`,
    checksums: {},
    deleteMarker: false,
    content,
  })
  bucket.uploads.delete(uploadId)
  const result = { Location: `/${bucket.name}/${key}`, Bucket: bucket.name, Key: key, ETag: version.etag }
  return {
    headers: {
      ...(bucket.versioning !== "Off" && { "x-amz-version-id": version.versionId }),
      ...encryptionHeaders(version),
    },
    body: document("CompleteMultipartUploadResult", result),
  }
}

function partNamed(upload: Upload, xml: string): Part {
  const part = upload.parts.get(Number(text(xml, "PartNumber")))
  const etag = text(xml, "ETag")
  if (part === undefined || (etag !== part.etag && `"${etag}"` !== part.etag)) throw invalidPart()
  for (const [name, value] of Object.entries(part.checksums)) {
    const given = text(xml, `Checksum${name.slice("x-amz-checksum-".length).toUpperCase()}`)
    if (given !== undefined && given !== value) throw invalidPart()
  }
  return part
}

const abort: Operation = (exchange) => {
  exchange.bucket.uploads.delete(theUpload(exchange).uploadId)
  return { status: 204 }
}

const listParts: Operation = (exchange) => {
  const upload = theUpload(exchange)
  const most = Number(exchange.query.get("max-parts") ?? 1000)
  const after = Number(exchange.query.get("part-number-marker") ?? 0)
  const all = [...upload.parts.values()].sort((a, b) => a.partNumber - b.partNumber)
  const rest = all.filter((part) => part.partNumber > after)
  const page = rest.slice(0, most)
  return {
    body: document("ListPartsResult", {
      Bucket: exchange.bucket.name,
      Key: upload.key,
      UploadId: upload.uploadId,
      PartNumberMarker: after,
      NextPartNumberMarker: page.at(-1)?.partNumber,
      MaxParts: most,
      IsTruncated: page.length < rest.length,
      Part: page.map((part) => ({
        PartNumber: part.partNumber,
        LastModified: part.lastModified.toISOString(),
        ETag: part.etag,
        Size: part.content.size,
      })),
    }),
  }
}

const listUploads: Operation = ({ bucket, query }) => {
  const prefix = query.get("prefix") ?? ""
  const uploads = [...bucket.uploads.values()].filter(({ key }) => key.startsWith(prefix))
  return {
    body: document("ListMultipartUploadsResult", {
      Bucket: bucket.name,
      IsTruncated: false,
      Upload: uploads.map(({ key, uploadId, initiated }) => ({
        Key: key,
        UploadId: uploadId,
        Initiated: initiated.toISOString(),
      })),
    }),
  }
}

export const uploadOperations: Readonly<Record<string, Operation>> = {
  CreateMultipartUpload: create,
  UploadPart: uploadPart,
  UploadPartCopy: uploadPartCopy,
  CompleteMultipartUpload: complete,
  AbortMultipartUpload: abort,
  ListParts: listParts,
  ListMultipartUploads: listUploads,
}
