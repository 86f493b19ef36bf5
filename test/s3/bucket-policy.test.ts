import { expect, test } from "vitest"
import { bucketPolicy } from "../../src/s3/index.ts"

const outerKeyArn = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"

test("a bucket policy refuses requests without TLS", () => {
  expect(bucketPolicy({ bucket: "invoices" })).toEqual({
    Version: "2012-10-17",
    Statement: [
      {
        Sid: "DenyWithoutTls",
        Effect: "Deny",
        Principal: "*",
        Action: "s3:*",
        Resource: ["arn:aws:s3:::invoices", "arn:aws:s3:::invoices/*"],
        Condition: { Bool: { "aws:SecureTransport": "false" } },
      },
    ],
  })
})

/** What S3 does with a PutObject of these headers, as IAM evaluates the conditions used here. */
function isDenied(headers: Record<string, string>): boolean {
  const value = (key: string): string | undefined => headers[key.replace(/^s3:/, "")]
  const tests: Record<string, (key: string, expected: string) => boolean> = {
    StringNotEqualsIfExists: (key, expected) => value(key) !== undefined && value(key) !== expected,
    StringEquals: (key, expected) => value(key) === expected,
    Null: (key, expected) => (value(key) === undefined) === (expected === "true"),
    Bool: () => false,
  }
  return bucketPolicy({ bucket: "b", outerKeyArn }).Statement.some(({ Condition }) =>
    Object.entries(Condition).every(([operator, pairs]) =>
      Object.entries(pairs).every(([key, expected]) => tests[operator]!(key, expected)),
    ),
  )
}

test.each([
  ["no SSE headers, so that the bucket's default holds", {}, false],
  ["SSE-KMS under the key", { "": "aws:kms", "-aws-kms-key-id": outerKeyArn }, false],
  ["SSE-KMS under another key", { "": "aws:kms", "-aws-kms-key-id": outerKeyArn.replace("1234", "9999") }, true],
  ["SSE-KMS under the AWS managed key", { "": "aws:kms" }, true],
  ["SSE-S3", { "": "AES256" }, true],
  ["DSSE-KMS under the key", { "": "aws:kms:dsse", "-aws-kms-key-id": outerKeyArn }, true],
  ["SSE-C", { "-customer-algorithm": "AES256" }, true],
])("with an outer key, a write with %s", (_what, headers, denied) => {
  const full = Object.entries(headers).map(([name, value]) => [`x-amz-server-side-encryption${name}`, value])
  expect(isDenied(Object.fromEntries(full))).toBe(denied)
})

test("a bucket policy is for a prefix, for a partition, and takes what it says literally", () => {
  const { Statement } = bucketPolicy({ bucket: "b", prefix: "a*b?$c/", partition: "aws-cn" })
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the policy language's own way to write these characters.
  expect(Statement[0]!.Resource).toEqual(["arn:aws-cn:s3:::b/a${*}b${?}${$}c/*"])
})

test.each([{ bucket: "" }, { bucket: "b/c" }, { bucket: "arn:aws:s3:::b" }, { bucket: "b", outerKeyArn: "alias/x" }])(
  "a bucket policy is refused for %j",
  (options) => {
    expect(() => bucketPolicy(options)).toThrow(TypeError)
  },
)
