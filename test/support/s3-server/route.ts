import type { IncomingMessage } from "node:http"

export interface Route {
  readonly operation: string
  readonly bucketName: string
  readonly key: string
  readonly query: URLSearchParams
}

/** Path-style addresses only. */
export function route({ method = "GET", url = "/", headers }: IncomingMessage): Route {
  const { pathname, searchParams: query } = new URL(url, "http://localhost")
  const path = pathname.slice(1)
  const slash = path.indexOf("/")
  const bucketName = decodeURIComponent(slash < 0 ? path : path.slice(0, slash))
  const key = slash < 0 ? "" : decodeURIComponent(path.slice(slash + 1))
  const copy = headers["x-amz-copy-source"] !== undefined
  const operation = key === "" ? bucketOperation(method, bucketName, query) : objectOperation(method, query, copy)
  return { operation, bucketName, key, query }
}

function bucketOperation(method: string, bucketName: string, query: URLSearchParams): string {
  if (bucketName === "") return method === "GET" ? "ListBuckets" : "Unknown"
  if (query.has("versioning")) return method === "PUT" ? "PutBucketVersioning" : "GetBucketVersioning"
  if (method === "GET" && query.has("versions")) return "ListObjectVersions"
  if (method === "GET" && query.has("uploads")) return "ListMultipartUploads"
  if (method === "GET") return query.get("list-type") === "2" ? "ListObjectsV2" : "Unknown"
  if (method === "POST") return query.has("delete") ? "DeleteObjects" : "Unknown"
  return { PUT: "CreateBucket", HEAD: "HeadBucket", DELETE: "DeleteBucket" }[method] ?? "Unknown"
}

function objectOperation(method: string, query: URLSearchParams, copy: boolean): string {
  if (query.has("tagging")) {
    return { GET: "GetObjectTagging", PUT: "PutObjectTagging", DELETE: "DeleteObjectTagging" }[method] ?? "Unknown"
  }
  if (query.has("uploads")) return method === "POST" ? "CreateMultipartUpload" : "Unknown"
  if (query.has("uploadId")) {
    const put = copy ? "UploadPartCopy" : "UploadPart"
    const byMethod = { GET: "ListParts", PUT: put, POST: "CompleteMultipartUpload", DELETE: "AbortMultipartUpload" }
    return byMethod[method as keyof typeof byMethod] ?? "Unknown"
  }
  if (["acl", "attributes", "retention", "legal-hold", "torrent"].some((name) => query.has(name))) return "Unknown"
  const put = copy ? "CopyObject" : "PutObject"
  const byMethod = { GET: "GetObject", HEAD: "HeadObject", PUT: put, DELETE: "DeleteObject" }
  return byMethod[method as keyof typeof byMethod] ?? "Unknown"
}
