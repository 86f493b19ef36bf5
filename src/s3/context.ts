import type { EncryptionContext } from "../core/index.ts"

/** The pair that binds an object to its place, under the name that S3 itself uses for SSE-KMS. */
export const ARN_KEY = "aws:s3:arn"

/** Where an object is, or was when it was written. */
export interface ObjectPlace {
  readonly bucket: string
  readonly key: string
}

/**
 * What the encryption context of an object says about its place: its ARN under `aws:s3:arn`, nothing, or pairs of the
 * caller's making.
 */
export type ObjectContext = "arn" | "none" | ((bucket: string, key: string) => EncryptionContext)

/** The ARN of an object. @param partition `aws`, `aws-cn`, ... */
export const objectArn = ({ bucket, key }: ObjectPlace, partition = "aws"): string =>
  `arn:${partition}:s3:::${bucket}/${key}`

/** The ARN of a bucket, which stands in the encryption context of bucket keys. */
export const bucketArn = (bucket: string, partition = "aws"): string => `arn:${partition}:s3:::${bucket}`

/**
 * OBJ-3.1: the pairs that bind an object to its place.
 *
 * @throws TypeError for an access point where the ARN is asked for: the object has another ARN by the bucket's own name
 */
export function placePairs(context: ObjectContext, place: ObjectPlace, partition: string): EncryptionContext {
  if (context === "none") return {}
  if (typeof context === "function") return context(place.bucket, place.key)
  if (place.bucket.startsWith("arn:") || place.bucket.endsWith("-s3alias")) {
    throw new TypeError(
      `${place.bucket} is an access point, through which an object's ARN cannot be told: give boundTo with the bucket's own name, or another objectContext`,
    )
  }
  return { [ARN_KEY]: objectArn(place, partition) }
}

/** @throws TypeError */
export function checkObjectContext(context: ObjectContext = "arn"): ObjectContext {
  if (context === "arn" || context === "none" || typeof context === "function") return context
  throw new TypeError('objectContext must be "arn", "none" or a function of bucket and key')
}
