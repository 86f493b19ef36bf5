import { bucketArn } from "./context.ts"

export interface BucketPolicyOptions {
  /** Name of the bucket. */
  readonly bucket: string
  /** Only these keys, for instance `invoices/`. Default: the whole bucket. */
  readonly prefix?: string
  /** `aws`, the default, `aws-cn` or `aws-us-gov`. */
  readonly partition?: string
  /**
   * Demands SSE-KMS under this key, as the outer layer beneath what the client encrypts: the ARN of a KMS key. S3 compares
   * the text, so that alias and key id do not do.
   */
  readonly outerKeyArn?: string
}

interface PolicyStatement {
  readonly Sid: string
  readonly Effect: "Deny"
  readonly Principal: "*"
  readonly Action: string
  readonly Resource: string | readonly string[]
  readonly Condition: Readonly<Record<string, Readonly<Record<string, string>>>>
}

export interface BucketPolicy {
  readonly Version: "2012-10-17"
  readonly Statement: readonly PolicyStatement[]
}

const KEY_ARN = /^arn:[^:]+:kms:[^:]+:\d{12}:key\/[\w-]+$/

/**
 * A bucket policy, for PutBucketPolicy, that refuses requests without TLS and, with `outerKeyArn`, objects that S3 does
 * not itself encrypt with SSE-KMS under that key. Writes without SSE headers pass where the bucket's default encryption
 * is that key; those that name another algorithm, another key or SSE-C do not.
 *
 * No policy can demand client-side encryption: S3 does not look into objects. `auditObjects` does, and proves it.
 *
 * @throws TypeError for a bucket without a name or an ARN that is not of a KMS key
 */
export function bucketPolicy(options: BucketPolicyOptions): BucketPolicy {
  const { bucket, prefix = "", partition = "aws", outerKeyArn } = options
  if (typeof bucket !== "string" || bucket === "" || /[/*?:]/.test(bucket)) {
    throw new TypeError("bucket must be the name of a bucket")
  }
  if (outerKeyArn !== undefined && !KEY_ARN.test(outerKeyArn)) {
    throw new TypeError("outerKeyArn must be the ARN of a KMS key: S3 compares it as text")
  }
  const arn = bucketArn(bucket, partition)
  const objects = `${arn}/${literal(prefix)}*`
  const deny = (Sid: string, Action: string, Resource: string | string[], Condition: PolicyStatement["Condition"]) =>
    ({ Sid, Effect: "Deny", Principal: "*", Action, Resource, Condition }) as const
  const tls = deny("DenyWithoutTls", "s3:*", prefix === "" ? [arn, objects] : [objects], {
    Bool: { "aws:SecureTransport": "false" },
  })
  if (outerKeyArn === undefined) return { Version: "2012-10-17", Statement: [tls] }
  const denyPut = (Sid: string, Condition: PolicyStatement["Condition"]) =>
    deny(Sid, "s3:PutObject", objects, Condition)
  return {
    Version: "2012-10-17",
    Statement: [
      tls,
      denyPut("DenyOtherServerSideEncryption", {
        StringNotEqualsIfExists: { "s3:x-amz-server-side-encryption": "aws:kms" },
      }),
      denyPut("DenyOtherOuterKey", {
        StringNotEqualsIfExists: { "s3:x-amz-server-side-encryption-aws-kms-key-id": outerKeyArn },
      }),
      // SSE-KMS without a key id would mean the AWS managed key alias/aws/s3, not the bucket's default.
      denyPut("DenyManagedOuterKey", {
        StringEquals: { "s3:x-amz-server-side-encryption": "aws:kms" },
        Null: { "s3:x-amz-server-side-encryption-aws-kms-key-id": "true" },
      }),
      denyPut("DenyCustomerProvidedOuterKey", {
        Null: { "s3:x-amz-server-side-encryption-customer-algorithm": "false" },
      }),
    ],
  }
}

/** What stands for itself in the resource of a policy, where `*`, `?` and `${` do not. */
const literal = (text: string): string => text.replace(/[*?$]/g, (character) => `\${${character}}`)
