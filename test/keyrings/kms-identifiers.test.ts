import { describe, expect, test } from "vitest"
import {
  areReplicas,
  inRegion,
  isMultiRegion,
  parseKeyArn,
  parseKeyIdentifier,
  parseKmsArn,
} from "../../src/keyrings/kms-identifiers.ts"

const KEY = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
const MRK = "arn:aws:kms:us-east-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab"

describe("KMS ARNs", () => {
  test("of keys and aliases are taken apart", () => {
    expect(parseKmsArn(KEY)).toEqual({
      text: KEY,
      partition: "aws",
      region: "us-east-1",
      accountId: "111122223333",
      resourceType: "key",
      resourceId: "1234abcd-12ab-34cd-56ef-1234567890ab",
    })
    expect(parseKmsArn("arn:aws-cn:kms:cn-north-1:1:alias/a/b")).toMatchObject({
      partition: "aws-cn",
      resourceType: "alias",
      resourceId: "a/b",
    })
    expect(parseKeyArn("arn:aws:kms:us-east-1:1:alias/a")).toBeUndefined()
  })

  test.each([
    "",
    "arn",
    KEY.slice(4),
    KEY.replace("arn:", "ARN:"),
    KEY.replace(":aws:", "::"),
    KEY.replace("kms", "sqs"),
    KEY.replace("us-east-1", ""),
    KEY.replace("111122223333", ""),
    KEY.replace("key/", "key:"),
    KEY.replace("key/", "key-"),
    KEY.replace("key/", "grant/"),
    KEY.replace("key/", "/"),
    `${KEY}:more`,
    "arn:aws:kms:us-east-1:111122223333:key/",
    "arn:aws:kms:us-east-1:111122223333:",
    "arn:aws:kms:us-east-1:111122223333",
  ])("%j is none", (text) => {
    expect(parseKmsArn(text)).toBeUndefined()
  })

  test("name replicas of one multi-Region key when all but the Region agree", () => {
    const arn = (text: string) => parseKmsArn(text)!
    const other = MRK.replace("us-east-1", "eu-west-1")
    expect(areReplicas(arn(MRK), arn(other))).toBe(true)
    expect(areReplicas(arn(MRK), arn(other.replace("1111", "2222")))).toBe(false)
    expect(areReplicas(arn(MRK), arn(other.replace("aws:", "aws-cn:")))).toBe(false)
    expect(areReplicas(arn(MRK), arn(`${other}0`))).toBe(false)
    expect(areReplicas(arn(KEY), arn(KEY.replace("us-east-1", "eu-west-1")))).toBe(false)
    expect(inRegion(arn(MRK), "eu-west-1")).toBe(other)
  })

  test("of an alias that begins with mrk- are no multi-Region key", () => {
    expect(isMultiRegion(parseKmsArn(MRK)!)).toBe(true)
    expect(isMultiRegion(parseKmsArn(MRK.replace("key/", "alias/"))!)).toBe(false)
    expect(isMultiRegion(parseKmsArn(KEY)!)).toBe(false)
  })
})

describe("key identifiers", () => {
  test.each([KEY, MRK, KEY.replace("key/", "alias/")])("%s has an ARN", (text) => {
    expect(parseKeyIdentifier(text, "keyId").arn?.text).toBe(text)
  })

  test.each(["alias/orders", "alias/team/orders", "1234abcd-12ab-34cd-56ef-1234567890ab", "mrk-1234"])(
    "%s has none",
    (text) => {
      expect(parseKeyIdentifier(text, "keyId")).toEqual({ text, arn: undefined })
    },
  )

  test.each(["", " ", "alias/", "a/b", "arn:", `${KEY}:`, "key id", undefined, 5, {}])("%j is refused", (value) => {
    expect(() => parseKeyIdentifier(value, "keyId")).toThrow(/^keyId must be a KMS key ARN/)
  })
})
