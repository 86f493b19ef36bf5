import { receive } from "./body.ts"
import { checkRead, checkWrite, parseRange } from "./conditions.ts"
import {
  type Answer,
  attributesOf,
  bodyText,
  checkCustomerKey,
  copySourceOf,
  type Exchange,
  encryptionHeaders,
  header,
  type Operation,
} from "./exchange.ts"
import { invalidRequest, S3Fault } from "./fault.ts"
import { addVersion, bucketOf, currentOf, deleteVersion, type Version, versionOf } from "./store.ts"
import { document, elements, text } from "./xml.ts"

const MAX_PUT = 5 * 1024 ** 3

const versionIdOf = (exchange: Exchange): string | undefined => exchange.query.get("versionId") ?? undefined

const versionHeader = (exchange: Exchange, { versionId }: Version): Record<string, string> =>
  exchange.bucket.versioning === "Off" ? {} : { "x-amz-version-id": versionId }

const putObject: Operation = async (exchange) => {
  const { bucket, key, headers } = exchange
  const attributes = attributesOf(exchange)
  checkWrite(currentOf(bucket, key), headers)
  const { content, md5, checksums } = await receive(exchange.request, exchange.keep)
  if (content.size > MAX_PUT) throw new S3Fault(400, "EntityTooLarge", "Your upload exceeds the maximum size.")
  // Again, now that the body is there: another write may have been faster.
  checkWrite(currentOf(bucket, key), headers)
  const version = addVersion(bucket, {
    ...attributes,
    key,
    lastModified: new Date(),
    etag: `"${md5}"`,
    checksums,
    deleteMarker: false,
    content,
  })
  const answer = {
    ETag: version.etag,
    ...checksums,
    ...encryptionHeaders(version),
    ...versionHeader(exchange, version),
  }
  return { headers: answer }
}

function objectHeaders(exchange: Exchange, version: Version): Record<string, string | number> {
  const tagCount = Object.keys(version.tags).length
  return {
    ...version.headers,
    ...Object.fromEntries(Object.entries(version.metadata).map(([name, value]) => [`x-amz-meta-${name}`, value])),
    ...versionHeader(exchange, version),
    ...(tagCount > 0 && { "x-amz-tagging-count": tagCount }),
    "accept-ranges": "bytes",
    ETag: version.etag,
    "last-modified": version.lastModified.toUTCString(),
  }
}

function readable(exchange: Exchange): Version {
  const version = versionOf(exchange.bucket, exchange.key, versionIdOf(exchange))
  checkCustomerKey(exchange, version)
  const [match, noneMatch] = [header(exchange, "if-match"), header(exchange, "if-none-match")]
  const [modifiedSince, unmodifiedSince] = [
    header(exchange, "if-modified-since"),
    header(exchange, "if-unmodified-since"),
  ]
  checkRead(
    version,
    {
      ...(match !== undefined && { match }),
      ...(noneMatch !== undefined && { noneMatch }),
      ...(modifiedSince !== undefined && { modifiedSince }),
      ...(unmodifiedSince !== undefined && { unmodifiedSince }),
    },
    "not-modified",
  )
  return version
}

const getObject: Operation = (exchange) => {
  if (exchange.query.has("partNumber")) throw new S3Fault(501, "NotImplemented", "No partNumber here.")
  const version = readable(exchange)
  if (["GLACIER", "DEEP_ARCHIVE"].includes(version.headers["x-amz-storage-class"] ?? "")) {
    throw new S3Fault(403, "InvalidObjectState", "The operation is not valid for the object's storage class")
  }
  const { size } = version.content
  const range = parseRange(header(exchange, "range"), size)
  const { start, end } = range ?? { start: 0, end: size }
  const wholeOnly = range === undefined && header(exchange, "x-amz-checksum-mode") === "ENABLED"
  return {
    status: range === undefined ? 200 : 206,
    headers: {
      ...objectHeaders(exchange, version),
      ...(wholeOnly && version.checksums),
      ...(range && { "content-range": `bytes ${start}-${end - 1}/${size}` }),
      ...responseOverrides(exchange),
      "content-length": end - start,
    },
    body: version.content.stream(start, end),
  }
}

const responseOverrides = ({ query }: Exchange): Record<string, string> =>
  Object.fromEntries(
    [...query].filter(([name]) => name.startsWith("response-")).map(([name, value]) => [name.slice(9), value]),
  )

const headObject: Operation = (exchange) => {
  const version = readable(exchange)
  const { size } = version.content
  const range = parseRange(header(exchange, "range"), size)
  const { start, end } = range ?? { start: 0, end: size }
  return {
    status: range === undefined ? 200 : 206,
    headers: {
      ...objectHeaders(exchange, version),
      ...(range && { "content-range": `bytes ${start}-${end - 1}/${size}` }),
      "content-length": end - start,
    },
  }
}

/** The source of a copy, its conditions checked. */
export function copySource(exchange: Exchange): { version: Version; headers: Record<string, string> } {
  const { bucketName, key, versionId } = copySourceOf(exchange)
  const bucket = bucketOf(exchange.buckets, bucketName)
  const version = versionOf(bucket, key, versionId)
  checkCustomerKey(exchange, version, "x-amz-copy-source-")
  const condition = (name: string) => header(exchange, `x-amz-copy-source-if-${name}`)
  const [match, noneMatch] = [condition("match"), condition("none-match")]
  checkRead(
    version,
    { ...(match !== undefined && { match }), ...(noneMatch !== undefined && { noneMatch }) },
    "precondition",
  )
  return {
    version,
    headers: bucket.versioning === "Off" ? {} : { "x-amz-copy-source-version-id": version.versionId },
  }
}

const copyObject: Operation = async (exchange) => {
  const { bucket, key, headers } = exchange
  const { version: source, headers: sourceHeaders } = copySource(exchange)
  if (source.content.size > MAX_PUT) throw invalidRequest("The specified copy source is larger than 5 GB.")
  checkWrite(currentOf(bucket, key), headers)
  const replace = header(exchange, "x-amz-metadata-directive") === "REPLACE"
  const own = attributesOf(exchange)
  const { bucketName, key: sourceKey } = copySourceOf(exchange)
  const changes = replace || header(exchange, "x-amz-storage-class") || header(exchange, "x-amz-server-side-encryption")
  if (bucketName === bucket.name && sourceKey === key && !changes) {
    throw invalidRequest("This copy request is illegal because it copies an object to itself without changing it.")
  }
  const version = addVersion(bucket, {
    key,
    lastModified: new Date(),
    etag: source.etag,
    checksums: source.checksums,
    deleteMarker: false,
    content: source.content,
    headers: replace ? own.headers : { ...source.headers, ...encryptionHeaders(own) },
    metadata: replace ? own.metadata : source.metadata,
    tags: header(exchange, "x-amz-tagging-directive") === "REPLACE" ? own.tags : source.tags,
  })
  const result = { ETag: version.etag, LastModified: version.lastModified.toISOString() }
  return {
    headers: { ...sourceHeaders, ...versionHeader(exchange, version), ...encryptionHeaders(version) },
    body: document("CopyObjectResult", result),
  }
}

function deletedHeaders(deleted: { versionId?: string; deleteMarker?: boolean }): Record<string, string> {
  return {
    ...(deleted.versionId !== undefined && { "x-amz-version-id": deleted.versionId }),
    ...(deleted.deleteMarker && { "x-amz-delete-marker": "true" }),
  }
}

const deleteObject: Operation = (exchange) => {
  const { bucket, key, headers } = exchange
  if (headers["if-match"] !== undefined) checkWrite(currentOf(bucket, key), { "if-match": headers["if-match"] })
  return { status: 204, headers: deletedHeaders(deleteVersion(bucket, key, versionIdOf(exchange))) }
}

const deleteObjects: Operation = async (exchange) => {
  const { bucket, headers } = exchange
  const hasDigest = Object.keys(headers).some((name) => name === "content-md5" || name.startsWith("x-amz-checksum-"))
  if (!hasDigest) throw invalidRequest("Missing required header for this request: Content-MD5")
  const xml = await bodyText(exchange)
  const objects = elements(xml, "Object")
  if (objects.length === 0 || objects.length > 1000) {
    throw new S3Fault(400, "MalformedXML", "The XML you provided was not well-formed.")
  }
  const deleted = objects.map((object) => {
    const key = text(object, "Key")!
    const asked = text(object, "VersionId")
    const { versionId, deleteMarker } = deleteVersion(bucket, key, asked)
    const marker = deleteMarker && { DeleteMarker: true, DeleteMarkerVersionId: versionId! }
    return { Key: key, ...(asked !== undefined && { VersionId: asked }), ...marker }
  })
  const quiet = text(xml, "Quiet") === "true"
  return { body: document("DeleteResult", { Deleted: quiet ? [] : deleted }) }
}

const tagsAnswer = (tags: Readonly<Record<string, string>>): Answer => ({
  body: document("Tagging", {
    TagSet: { Tag: Object.entries(tags).map(([Key, Value]) => ({ Key, Value })) },
  }),
})

const getObjectTagging: Operation = (exchange) =>
  tagsAnswer(versionOf(exchange.bucket, exchange.key, versionIdOf(exchange)).tags)

const putObjectTagging: Operation = async (exchange) => {
  const version = versionOf(exchange.bucket, exchange.key, versionIdOf(exchange)) as { tags: Record<string, string> }
  const tags = elements(await bodyText(exchange), "Tag")
  version.tags = Object.fromEntries(tags.map((tag) => [text(tag, "Key")!, text(tag, "Value")!]))
  return {}
}

const deleteObjectTagging: Operation = (exchange) => {
  const version = versionOf(exchange.bucket, exchange.key, versionIdOf(exchange)) as { tags: Record<string, string> }
  version.tags = {}
  return { status: 204 }
}

export const objectOperations: Readonly<Record<string, Operation>> = {
  PutObject: putObject,
  GetObject: getObject,
  HeadObject: headObject,
  CopyObject: copyObject,
  DeleteObject: deleteObject,
  DeleteObjects: deleteObjects,
  GetObjectTagging: getObjectTagging,
  PutObjectTagging: putObjectTagging,
  DeleteObjectTagging: deleteObjectTagging,
}
