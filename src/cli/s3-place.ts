import { usageError } from "./failures.ts"

/** `s3://bucket/key`; the key may be empty, or the beginning of several. */
export interface S3Place {
  readonly bucket: string
  readonly key: string
}

export const isS3Place = (text: string): boolean => text.startsWith("s3://")

/** @throws CliError `usage` */
export function parseS3Place(text: string): S3Place {
  const [, bucket, key = ""] = /^s3:\/\/([^/]+)(?:\/(.*))?$/s.exec(text) ?? []
  if (bucket !== undefined) return { bucket, key }
  throw usageError(`'${text}' is no place in S3`, "write s3://BUCKET/KEY")
}

/** A place that names an object. @throws CliError `usage` */
export function parseS3Object(text: string): S3Place {
  const place = parseS3Place(text)
  if (place.key !== "") return place
  throw usageError(`'${text}' names a bucket and no object`, "write s3://BUCKET/KEY")
}

/** The place of a new object: below a key that ends with a slash, or in a bucket alone, it gets `name`. */
export function parseS3Target(text: string, name: string | undefined): S3Place {
  const { bucket, key } = parseS3Place(text)
  if (key !== "" && !key.endsWith("/")) return { bucket, key }
  if (name !== undefined) return { bucket, key: key + name }
  throw usageError(`'${text}' names no object`, "standard input has no name: write s3://BUCKET/KEY")
}

export const formatS3Place = ({ bucket, key }: S3Place): string => `s3://${bucket}/${key}`
