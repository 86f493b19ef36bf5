import { type Case, IAM, KMS } from "../world.ts"

const page = `${IAM}/reference_policies_condition-single-vs-multi-valued-context-keys.html`
const logic = `${IAM}/reference_policies_condition-logic-multiple-context-keys-or-values.html`
const contextKeys = `${KMS}/conditions-kms.html`

/** Operator, the policy's values, the request's values of a multivalued key, whether the condition holds. */
type Row = readonly [operator: string, stated: unknown, actual: readonly string[] | undefined, holds: boolean]

const rows: readonly Row[] = [
  ["ForAllValues:StringEquals", ["a", "b"], ["a", "b"], true],
  ["ForAllValues:StringEquals", ["a", "b"], ["a"], true],
  ["ForAllValues:StringEquals", ["a", "b"], ["a", "c"], false],
  ["ForAllValues:StringEquals", ["a", "b"], ["c"], false],
  ["ForAllValues:StringEquals", ["a", "b"], undefined, true],
  ["ForAllValues:StringEquals", ["a", "b"], [], true],
  ["ForAllValues:StringEquals", ["a", "b"], [""], true],
  ["ForAllValues:StringLike", "a*", ["ab", "ac"], true],
  ["ForAllValues:StringLike", "a*", ["ab", "b"], false],
  ["ForAllValues:StringNotEquals", ["a", "b"], ["c", "d"], true],
  ["ForAllValues:StringNotEquals", ["a", "b"], ["a", "d"], false],
  ["ForAllValues:StringNotEquals", ["a", "b"], undefined, true],
  ["ForAllValues:StringEqualsIgnoreCase", ["A"], ["a"], true],
  ["ForAllValues:NumericLessThan", "5", ["1", "2"], true],
  ["ForAllValues:NumericLessThan", "5", ["1", "9"], false],
  ["ForAllValues:ArnLike", "arn:aws:iam::*:role/*", ["arn:aws:iam::111122223333:role/A"], true],
  ["ForAnyValue:StringEquals", ["a", "b"], ["a", "c"], true],
  ["ForAnyValue:StringEquals", ["a", "b"], ["c", "d"], false],
  ["ForAnyValue:StringEquals", ["a", "b"], undefined, false],
  ["ForAnyValue:StringEquals", ["a", "b"], [], false],
  ["ForAnyValue:StringEquals", ["a", "b", ""], [""], false],
  ["ForAnyValue:StringLike", "a*", ["x", "ab"], true],
  ["ForAnyValue:StringNotEquals", ["a", "b"], ["a", "c"], true],
  ["ForAnyValue:StringNotEquals", ["a", "b"], ["a", "b"], false],
  ["ForAnyValue:StringNotEquals", ["a", "b"], undefined, false],
  ["ForAnyValue:StringEqualsIfExists", "a", undefined, true],
  ["ForAnyValue:StringEqualsIfExists", "a", ["b"], false],
  ["ForAllValues:StringEqualsIfExists", "a", undefined, true],
  ["ForAllValues:StringEqualsIfExists", "a", ["b"], false],
  ["ForAnyValue:IpAddress", "10.0.0.0/8", ["8.8.8.8", "10.1.1.1"], true],
  ["ForAllValues:IpAddress", "10.0.0.0/8", ["8.8.8.8", "10.1.1.1"], false],
  ["StringEquals", "a", ["a", "b"], true],
  ["StringEquals", "a", ["b", "c"], false],
  ["StringNotEquals", "a", ["a", "b"], false],
  ["StringNotEquals", "a", ["b", "c"], true],
]

const allow = (Condition: object) => ({ Effect: "Allow", Principal: "*", Action: "kms:*", Resource: "*", Condition })

const combined: readonly [name: string, condition: object, conditions: Record<string, string>, holds: boolean][] = [
  [
    "two operators must both hold",
    { StringEquals: { "t:a": "1" }, NumericLessThan: { "t:b": "5" } },
    { "t:a": "1", "t:b": "4" },
    true,
  ],
  [
    "one of two operators is not enough",
    { StringEquals: { "t:a": "1" }, NumericLessThan: { "t:b": "5" } },
    { "t:a": "1", "t:b": "6" },
    false,
  ],
  [
    "two keys of one operator must both match",
    { StringEquals: { "t:a": "1", "t:b": "2" } },
    { "t:a": "1", "t:b": "2" },
    true,
  ],
  ["one of two keys is not enough", { StringEquals: { "t:a": "1", "t:b": "2" } }, { "t:a": "1" }, false],
  ["one of several values is enough", { StringEquals: { "t:a": ["1", "2", "3"] } }, { "t:a": "3" }, true],
  ["of a negated operator no value may match", { StringNotEquals: { "t:a": ["1", "2"] } }, { "t:a": "2" }, false],
  [
    "the same key under two operators",
    { StringLike: { "t:a": "x*" }, StringNotEquals: { "t:a": "xy" } },
    { "t:a": "xz" },
    true,
  ],
  [
    "the same key under two operators, one failing",
    { StringLike: { "t:a": "x*" }, StringNotEquals: { "t:a": "xy" } },
    { "t:a": "xy" },
    false,
  ],
  ["an empty condition holds", {}, {}, true],
  ["key names ignore case", { StringEquals: { "T:Some-Key": "1" } }, { "t:some-key": "1" }, true],
  [
    "ForAllValues and Null together require the key",
    { "ForAllValues:StringEquals": { "t:a": "1" }, Null: { "t:a": "false" } },
    {},
    false,
  ],
  [
    "a range of numbers",
    { NumericGreaterThanEquals: { "t:a": "90" }, NumericLessThanEquals: { "t:a": "365" } },
    { "t:a": "180" },
    true,
  ],
  [
    "a number outside the range",
    { NumericGreaterThanEquals: { "t:a": "90" }, NumericLessThanEquals: { "t:a": "365" } },
    { "t:a": "400" },
    false,
  ],
  [
    "a period of time",
    {
      DateGreaterThan: { "aws:CurrentTime": "2026-02-01T00:00:00Z" },
      DateLessThan: { "aws:CurrentTime": "2026-04-01T00:00:00Z" },
    },
    {},
    true,
  ],
  ["a period that is over", { DateLessThan: { "aws:CurrentTime": "2026-02-01T00:00:00Z" } }, {}, false],
]

const contexts: readonly [name: string, condition: object, context: Record<string, string>, holds: boolean][] = [
  [
    "all context keys are among those named",
    { "ForAllValues:StringEquals": { "kms:EncryptionContextKeys": ["tenant", "app"] } },
    { tenant: "1" },
    true,
  ],
  [
    "a context key that is not named",
    { "ForAllValues:StringEquals": { "kms:EncryptionContextKeys": ["tenant", "app"] } },
    { tenant: "1", x: "2" },
    false,
  ],
  [
    "no context at all passes ForAllValues",
    { "ForAllValues:StringEquals": { "kms:EncryptionContextKeys": ["tenant"] } },
    {},
    true,
  ],
  ["a context is required by Null", { Null: { "kms:EncryptionContextKeys": false } }, {}, false],
  ["some context satisfies Null", { Null: { "kms:EncryptionContextKeys": false } }, { a: "b" }, true],
  [
    "one context key is required",
    { "ForAnyValue:StringEquals": { "kms:EncryptionContextKeys": "tenant" } },
    { tenant: "1", x: "2" },
    true,
  ],
  [
    "context keys in the condition's value keep their case",
    { "ForAnyValue:StringEquals": { "kms:EncryptionContextKeys": "Tenant" } },
    { tenant: "1" },
    false,
  ],
  [
    "context keys compared without case",
    { "ForAnyValue:StringEqualsIgnoreCase": { "kms:EncryptionContextKeys": "Tenant" } },
    { tenant: "1" },
    true,
  ],
]

export const setCases: readonly Case[] = [
  ...rows.map(
    ([operator, stated, actual, holds]): Case => ({
      page,
      name: `${operator} ${JSON.stringify(stated)} and ${actual === undefined ? "no value" : JSON.stringify(actual)}`,
      key: [allow({ [operator]: { "test:values": stated } })],
      request: actual === undefined ? {} : { conditions: { "test:values": actual } },
      verdict: holds ? "keyPolicy" : "no keyPolicy",
    }),
  ),
  ...combined.map(
    ([name, condition, conditions, holds]): Case => ({
      page: logic,
      name,
      key: [allow(condition)],
      request: { conditions },
      verdict: holds ? "keyPolicy" : "no keyPolicy",
    }),
  ),
  ...contexts.map(
    ([name, condition, encryptionContext, holds]): Case => ({
      page: contextKeys,
      name,
      key: [allow(condition)],
      request: { encryptionContext },
      verdict: holds ? "keyPolicy" : "no keyPolicy",
    }),
  ),
]
