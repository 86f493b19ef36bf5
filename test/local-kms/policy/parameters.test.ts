import { describe, expect, test } from "vitest"
import { aliasCondition, parameterConditions } from "../../../src/local-kms/policy/index.ts"

describe("condition keys from request parameters (POL-5.8)", () => {
  test("an action has its own keys only, with the defaults that AWS takes", () => {
    expect(parameterConditions("kms:Encrypt", { rotationPeriodInDays: 90, macAlgorithm: "x" })).toEqual({
      "kms:EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
    })
    expect(parameterConditions("kms:ScheduleKeyDeletion", {})).toEqual({
      "kms:ScheduleKeyDeletionPendingWindowInDays": "30",
    })
    expect(parameterConditions("kms:DescribeKey", {})).toEqual({})
    expect(parameterConditions("kms:NoSuchAction", { keySpec: "x" })).toEqual({})
  })

  test("CreateKey is about the key that is to be made", () => {
    expect(
      parameterConditions("kms:CreateKey", { origin: "EXTERNAL", tags: [{ tagKey: "a", tagValue: "b" }] }),
    ).toEqual({
      "kms:KeySpec": "SYMMETRIC_DEFAULT",
      "kms:KeyUsage": "ENCRYPT_DECRYPT",
      "kms:KeyOrigin": "EXTERNAL",
      "kms:MultiRegion": "false",
      "aws:TagKeys": ["a"],
      "aws:RequestTag/a": "b",
    })
  })

  test.each([
    ["alias/app", { "kms:RequestAlias": "alias/app" }],
    ["arn:aws:kms:us-west-2:111122223333:alias/app/1", { "kms:RequestAlias": "alias/app/1" }],
    ["1234abcd-12ab-34cd-56ef-1234567890ab", {}],
    ["arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab", {}],
    [undefined, {}],
  ])("the alias that %s names", (reference, conditions) => {
    expect(aliasCondition(reference)).toEqual(conditions)
  })
})
