import { bodyText, type Operation } from "./exchange.ts"
import { invalidArgument, S3Fault } from "./fault.ts"
import { createBucket, currentOf, type Version } from "./store.ts"
import { document, text } from "./xml.ts"

const create: Operation = ({ buckets, bucketName }) => {
  createBucket(buckets, bucketName)
  return { headers: { location: `/${bucketName}` } }
}

const remove: Operation = ({ buckets, bucket }) => {
  if (bucket.objects.size > 0) throw new S3Fault(409, "BucketNotEmpty", "The bucket you tried to delete is not empty")
  buckets.delete(bucket.name)
  return { status: 204 }
}

const head: Operation = ({ bucket }) => {
  void bucket
  return {}
}

const putVersioning: Operation = async (exchange) => {
  const status = text(await bodyText(exchange), "Status")
  if (status !== "Enabled" && status !== "Suspended") throw invalidArgument("Status must be Enabled or Suspended")
  exchange.bucket.versioning = status
  return {}
}

const getVersioning: Operation = ({ bucket }) => ({
  body: document("VersioningConfiguration", bucket.versioning === "Off" ? {} : { Status: bucket.versioning }),
})

const listBuckets: Operation = ({ buckets }) => ({
  body: document("ListAllMyBucketsResult", {
    Buckets: { Bucket: [...buckets.keys()].sort().map((Name) => ({ Name })) },
  }),
})

const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b))

const entry = ({ key, etag, lastModified, content, headers }: Version) => ({
  Key: key,
  LastModified: lastModified.toISOString(),
  ETag: etag,
  Size: content.size,
  StorageClass: headers["x-amz-storage-class"] ?? "STANDARD",
})

const list: Operation = ({ bucket, query }) => {
  const prefix = query.get("prefix") ?? ""
  const delimiter = query.get("delimiter") ?? ""
  const most = Math.min(1000, Number(query.get("max-keys") ?? 1000))
  const token = query.get("continuation-token")
  const after = token === null ? (query.get("start-after") ?? "") : Buffer.from(token, "base64url").toString("utf8")
  const encode = query.get("encoding-type") === "url" ? encodeURIComponent : (name: string) => name
  const contents: Version[] = []
  const prefixes = new Set<string>()
  let last: string | undefined
  let truncated = false
  for (const key of [...bucket.objects.keys()].sort(byBytes)) {
    const version = currentOf(bucket, key)
    if (version === undefined || !key.startsWith(prefix) || byBytes(key, after) <= 0) continue
    const cut = delimiter === "" ? -1 : key.indexOf(delimiter, prefix.length)
    const common = cut < 0 ? undefined : key.slice(0, cut + delimiter.length)
    if (common !== undefined && (prefixes.has(common) || after.startsWith(common))) {
      last = key
      continue
    }
    if (contents.length + prefixes.size === most) {
      truncated = true
      break
    }
    last = key
    if (common === undefined) contents.push(version)
    else prefixes.add(common)
  }
  return {
    body: document("ListBucketResult", {
      Name: bucket.name,
      Prefix: encode(prefix),
      KeyCount: contents.length + prefixes.size,
      MaxKeys: most,
      IsTruncated: truncated,
      ...(truncated && { NextContinuationToken: Buffer.from(last!, "utf8").toString("base64url") }),
      ...(query.get("encoding-type") === "url" && { EncodingType: "url" }),
      Contents: contents.map((version) => ({ ...entry(version), Key: encode(version.key) })),
      CommonPrefixes: [...prefixes].map((Prefix) => ({ Prefix: encode(Prefix) })),
    }),
  }
}

/** Begins after the version of both markers; with the key of one alone with that key, as moto and versitygw do. */
const listVersions: Operation = ({ bucket, query }) => {
  const prefix = query.get("prefix") ?? ""
  const most = Math.min(1000, Number(query.get("max-keys") ?? 1000))
  const [keyMarker, versionMarker] = [query.get("key-marker") ?? "", query.get("version-id-marker")]
  const encode = query.get("encoding-type") === "url" ? encodeURIComponent : (name: string) => name
  const keys = [...bucket.objects.keys()].filter((key) => key.startsWith(prefix)).sort(byBytes)
  const all = keys.flatMap((key) => bucket.objects.get(key)!.map((version, i) => ({ version, latest: i === 0 })))
  const isAfter = ({ version: { key } }: (typeof all)[number], i: number): boolean => {
    if (key !== keyMarker || versionMarker === null) return byBytes(key, keyMarker) >= 0
    return all.slice(0, i).some(({ version }) => version.key === key && version.versionId === versionMarker)
  }
  const rest = keyMarker === "" ? all : all.filter(isAfter)
  const page = rest.slice(0, most)
  const last = page.length < rest.length ? page.at(-1)?.version : undefined
  const describe = ({ version, latest }: (typeof all)[number]) => ({
    VersionId: version.versionId,
    IsLatest: latest,
    ...(version.deleteMarker ? { LastModified: version.lastModified.toISOString() } : entry(version)),
    Key: encode(version.key),
  })
  return {
    body: document("ListVersionsResult", {
      Name: bucket.name,
      Prefix: encode(prefix),
      MaxKeys: most,
      IsTruncated: last !== undefined,
      ...(last && { NextKeyMarker: encode(last.key), NextVersionIdMarker: last.versionId }),
      ...(query.get("encoding-type") === "url" && { EncodingType: "url" }),
      Version: page.filter(({ version }) => !version.deleteMarker).map(describe),
      DeleteMarker: page.filter(({ version }) => version.deleteMarker).map(describe),
    }),
  }
}

export const bucketOperations: Readonly<Record<string, Operation>> = {
  CreateBucket: create,
  DeleteBucket: remove,
  HeadBucket: head,
  ListBuckets: listBuckets,
  PutBucketVersioning: putVersioning,
  GetBucketVersioning: getVersioning,
  ListObjectsV2: list,
  ListObjectVersions: listVersions,
}
