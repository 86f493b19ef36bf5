import { describe, expect, test } from "vitest"
import { defaultKeyPolicy, type LintRule, lint } from "../../../src/local-kms/policy/index.ts"
import {
  ACCOUNT,
  ALIAS,
  ALICE,
  delegation,
  KEY,
  keyPolicyOf,
  OTHER,
  policyOf,
  policyText,
  ROOT,
  rootOf,
  type StatementJson,
  type Version,
} from "./world.ts"

const use: StatementJson = { Effect: "Allow", Principal: { AWS: ALICE }, Action: "kms:Encrypt", Resource: "*" }
const conditioned = (Condition: object, more: object = {}): StatementJson => ({ ...use, Condition, ...more })

const rulesOf = (statements: readonly StatementJson[], version?: Version): string[] =>
  lint(keyPolicyOf(statements, version), { accountId: ACCOUNT }).map(({ rule, severity, statement }) =>
    [rule, severity, ...(statement === undefined ? [] : [statement.index])].join(" "),
  )

/** Beside the note that everybody's default policy earns. */
const beside = (statements: readonly StatementJson[], version?: Version): string[] =>
  rulesOf([delegation, ...statements], version).filter((rule) => rule !== "manages-and-uses note")

const identityRules = (statement: object): LintRule[] =>
  lint(policyOf("identity", policyText([{ Effect: "Allow", Action: "kms:*", Resource: "*", ...statement }]))).map(
    ({ rule }) => rule,
  )

describe("lint of a key policy (POL-9.1)", () => {
  test("the default policy (POL-6.9) earns a note at most", () => {
    expect(lint(policyOf("key", defaultKeyPolicy({ accountId: ACCOUNT })), { accountId: ACCOUNT })).toEqual([
      expect.objectContaining({ rule: "manages-and-uses", severity: "note" }),
    ])
  })

  test("a use beside the default policy is fine", () => {
    expect(beside([use])).toEqual([])
  })

  test.each<[name: string, statements: StatementJson[], finding: string]>([
    ["one principal manages and uses", [{ ...use, Action: "kms:*" }], "manages-and-uses warning"],
    [
      "one principal manages in one statement and uses in another",
      [use, { ...use, Action: ["kms:PutKeyPolicy"] }],
      "manages-and-uses warning",
    ],
    ["everybody", [{ ...use, Principal: "*" }], "wildcard-principal error 1"],
    [
      "everybody, with a condition that does not tell callers apart",
      [conditioned({ Bool: { "aws:SecureTransport": true } }, { Principal: { AWS: "*" } })],
      "wildcard-principal error 1",
    ],
    [
      "everybody, with a condition that a missing key passes",
      [conditioned({ StringEqualsIfExists: { "aws:PrincipalOrgID": "o-1" } }, { Principal: "*" })],
      "wildcard-principal error 1",
    ],
    ["an unknown action", [{ ...use, Action: ["kms:Encrypt", "kms:Encrpyt"] }], "unknown-action warning 1"],
    ["an action of another service", [{ ...use, Action: ["s3:GetObject"] }], "unknown-action warning 1"],
    ["a pattern that matches no action", [{ ...use, Action: ["kms:Seal*"] }], "unknown-action warning 1"],
    ["an action that no key policy decides", [{ ...use, Action: ["kms:CreateKey"] }], "no-effect note 1"],
    ["RetireGrant", [{ ...use, Action: ["kms:RetireGrant"] }], "no-effect note 1"],
    ["a Deny on RetireGrant", [{ ...use, Effect: "Deny", Action: ["kms:RetireGrant"] }], "no-effect note 1"],
    [
      "NotAction with Allow",
      [{ Effect: "Allow", Principal: { AWS: ALICE }, NotAction: "kms:PutKeyPolicy", Resource: "*" }],
      "not-action-allow warning 1",
    ],
    [
      "NotPrincipal",
      [{ Effect: "Deny", NotPrincipal: { AWS: ALICE }, Action: "kms:Decrypt", Resource: "*" }],
      "not-principal warning 1",
    ],
    ["no Resource", [{ Effect: "Allow", Principal: { AWS: ALICE }, Action: "kms:Encrypt" }], "no-effect error 1"],
    ["no Action", [{ Effect: "Allow", Principal: { AWS: ALICE }, Resource: "*" }], "no-effect error 1"],
    ["a resource that is a key", [{ ...use, Resource: KEY }], "no-effect warning 1"],
    [
      "NotResource with everything",
      [{ Effect: "Allow", Principal: { AWS: ALICE }, Action: "kms:Encrypt", NotResource: "*" }],
      "no-effect warning 1",
    ],
    [
      "a Deny for everybody",
      [{ Effect: "Deny", Principal: "*", Action: "kms:*", Resource: "*" }],
      "deny-everyone error 1",
    ],
    ["another account", [{ ...use, Principal: { AWS: rootOf(OTHER) } }], "external-account note 1"],
    [
      "what another account can never do",
      [{ ...use, Principal: { AWS: rootOf(OTHER) }, Action: "kms:ScheduleKeyDeletion" }],
      "cross-account-action warning 1",
    ],
    ["grants without limit", [{ ...use, Action: ["kms:CreateGrant"] }], "unlimited-grants warning 1"],
    [
      "kms:ResourceAliases in a key policy",
      [conditioned({ "ForAnyValue:StringEquals": { "kms:ResourceAliases": "alias/a" } })],
      "condition-never-matches error 1",
    ],
    [
      "a condition key that KMS does not have",
      [conditioned({ StringEquals: { "kms:Tenant": "a" } })],
      "condition-never-matches error 1",
    ],
    [
      "a condition key that the action does not have",
      [conditioned({ StringEquals: { "kms:EncryptionContext:a": "b" } }, { Action: "kms:DescribeKey" })],
      "condition-never-matches error 1",
    ],
    [
      "a tag in the request of an action without tags",
      [conditioned({ StringEquals: { "aws:RequestTag/a": "b" } })],
      "condition-never-matches error 1",
    ],
    [
      "an account id of eleven digits",
      [conditioned({ StringEquals: { "kms:CallerAccount": "11112222333" } })],
      "condition-never-matches error 1",
    ],
    [
      "a service without its Region",
      [conditioned({ StringEquals: { "kms:ViaService": "s3.amazonaws.com" } })],
      "condition-never-matches error 1",
    ],
    [
      "an alias without its prefix",
      [conditioned({ StringEquals: { "kms:RequestAlias": "app" } })],
      "condition-never-matches error 1",
    ],
    [
      "an ARN that is none",
      [conditioned({ ArnLike: { "aws:PrincipalArn": "role/App" } })],
      "condition-never-matches error 1",
    ],
    [
      "two values at once",
      [
        conditioned({
          StringEquals: { "kms:KeySpec": "SYMMETRIC_DEFAULT" },
          StringEqualsIgnoreCase: { "kms:KeySpec": "RSA_2048" },
        }),
      ],
      "condition-never-matches error 1",
    ],
    [
      "a value and not that value",
      [conditioned({ StringEquals: { "a:b": "1" }, StringNotEquals: { "a:b": "1" } })],
      "condition-never-matches error 1",
    ],
    [
      "a value and a pattern without it",
      [conditioned({ StringEquals: { "a:b": "1" }, StringLike: { "a:b": "2*" } })],
      "condition-never-matches error 1",
    ],
    [
      "bounds that exclude each other",
      [conditioned({ NumericGreaterThan: { "a:b": 9 }, NumericLessThan: { "a:b": 5 } })],
      "condition-never-matches error 1",
    ],
    [
      "a time after it is over",
      [
        conditioned({
          DateGreaterThan: { "aws:CurrentTime": "2026-06-01T00:00:00Z" },
          DateLessThan: { "aws:CurrentTime": "2026-05-01T00:00:00Z" },
        }),
      ],
      "condition-never-matches error 1",
    ],
    [
      "a value of a key that must be missing",
      [conditioned({ StringEquals: { "a:b": "1" }, Null: { "a:b": true } })],
      "condition-never-matches error 1",
    ],
    [
      "a wildcard that is taken literally",
      [conditioned({ StringEquals: { "kms:EncryptionContext:aws:s3:arn": "arn:aws:s3:::bucket/*" } })],
      "literal-wildcard warning 1",
    ],
    [
      "a key of several values without a set operator",
      [conditioned({ StringEquals: { "kms:EncryptionContextKeys": "a" } })],
      "set-operator warning 1",
    ],
    [
      "a set operator on a key of one value",
      [conditioned({ "ForAllValues:StringEquals": { "kms:CallerAccount": ACCOUNT } })],
      "set-operator warning 1",
    ],
  ])("%s", (_name, statements, finding) => {
    expect(beside(statements)).toContain(finding)
  })

  test.each<[name: string, statement: StatementJson]>([
    ["everybody of one account", conditioned({ StringEquals: { "kms:CallerAccount": ACCOUNT } }, { Principal: "*" })],
    [
      "everybody of an organization",
      conditioned({ StringEquals: { "aws:PrincipalOrgID": "o-1" } }, { Principal: { AWS: "*" } }),
    ],
    [
      "a Deny for everybody with a condition",
      conditioned(
        { StringNotEquals: { "kms:ViaService": "s3.us-west-2.amazonaws.com" } },
        { Principal: "*", Effect: "Deny", Action: "kms:*" },
      ),
    ],
    [
      "grants for AWS resources",
      conditioned({ Bool: { "kms:GrantIsForAWSResource": true } }, { Action: "kms:CreateGrant" }),
    ],
    [
      "bounds with a value between them",
      conditioned({ NumericGreaterThan: { "a:b": 5 }, NumericLessThan: { "a:b": 6 } }),
    ],
    [
      "a period of time",
      conditioned({
        DateGreaterThan: { "aws:CurrentTime": "2026-05-01T00:00:00Z" },
        DateLessThan: { "aws:CurrentTime": "2026-06-01T00:00:00Z" },
      }),
    ],
    [
      "a value and a pattern with it",
      conditioned({ StringEquals: { "a:b": ["1", "2x"] }, StringLike: { "a:b": "2*" } }),
    ],
    ["a pattern and an exception to it", conditioned({ StringLike: { "a:b": "2*" }, StringNotLike: { "a:b": "2x*" } })],
    [
      "two address ranges",
      conditioned({ IpAddress: { "aws:SourceIp": "10.0.0.0/8" }, NotIpAddress: { "aws:SourceIp": "10.1.0.0/16" } }),
    ],
    ["a literal asterisk that is written as one", conditioned({ StringEquals: { "a:b": `\${*}` } })],
    [
      "a set operator where it belongs",
      conditioned({ "ForAllValues:StringEquals": { "kms:EncryptionContextKeys": "a" } }),
    ],
    [
      "a missing key that passes",
      conditioned(
        { StringNotEquals: { "kms:ViaService": "s3.us-west-2.amazonaws.com" } },
        { Action: "kms:DescribeKey" },
      ),
    ],
    [
      "a context that a grant asks for",
      conditioned(
        { StringEquals: { "kms:EncryptionContext:a": "b" }, Bool: { "kms:GrantIsForAWSResource": true } },
        { Action: "kms:CreateGrant" },
      ),
    ],
  ])("nothing is wrong with %s", (_name, statement) => {
    expect(beside([statement])).toEqual([])
  })

  test("conditions that trying cannot decide are left alone (POL-9.2)", () => {
    for (const Condition of [
      { StringLike: { "a:b": "x*" }, StringNotEquals: { "a:b": "x" } },
      { StringLike: { "a:b": "x*" }, StringNotLike: { "a:b": "*" } },
      { StringEquals: { "a:b": `\${aws:username}` }, StringNotEquals: { "a:b": `\${aws:username}` } },
      { "ForAnyValue:StringEquals": { "aws:TagKeys": "a" }, "ForAnyValue:StringNotEquals": { "aws:TagKeys": "a" } },
    ])
      expect(beside([conditioned(Condition, { Action: "kms:TagResource" })])).toEqual([])
  })

  test("nobody can administer", () => {
    expect(rulesOf([use])).toContain("nobody-can-administer error")
    expect(rulesOf([{ ...use, Principal: { AWS: rootOf(OTHER) }, Action: "kms:*" }])).toContain(
      "nobody-can-administer error",
    )
    expect(rulesOf([{ ...use, Action: "kms:PutKeyPolicy" }])).not.toContain("nobody-can-administer error")
  })

  test("the account's root is missing", () => {
    expect(rulesOf([{ ...use, Action: "kms:PutKeyPolicy" }])).toContain("missing-account-root warning")
    expect(rulesOf([{ ...use, Principal: { AWS: ROOT }, Action: "kms:PutKeyPolicy" }])).toEqual([])
  })

  test("variables in the older version", () => {
    const statement = conditioned({ StringEquals: { "a:b": `\${aws:username}` } })
    expect(beside([statement], "2008-10-17")).toContain("variables-not-evaluated warning 1")
    expect(beside([statement])).toEqual([])
  })

  test("what another account can never do is no mistake beside a principal who can", () => {
    const mixed = { ...use, Principal: { AWS: [ALICE, rootOf(OTHER)] }, Action: "kms:ScheduleKeyDeletion" }
    expect(beside([mixed])).toEqual(["external-account note 1"])
  })

  test("a condition key that only begins like one is none", () => {
    expect(beside([conditioned({ StringEquals: { "kms:EncryptionContext:": "a" } })])).toEqual([
      "condition-never-matches error 1",
    ])
  })

  test("errors come first, then warnings, then notes", () => {
    const severities = lint(
      keyPolicyOf([{ ...use, Principal: { AWS: rootOf(OTHER) }, Action: ["kms:*", "kms:Nothing"] }]),
      { accountId: ACCOUNT },
    ).map(({ severity }) => severity)
    expect(severities).toEqual(
      [...severities].sort((a, b) => ["error", "warning", "note"].indexOf(a) - ["error", "warning", "note"].indexOf(b)),
    )
    expect(new Set(severities).size).toBe(3)
  })

  test("without an account every account may be the key's", () => {
    expect(lint(keyPolicyOf([{ ...use, Principal: { AWS: rootOf(OTHER) }, Action: "kms:PutKeyPolicy" }]))).toEqual([])
  })
})

describe("lint of an identity policy (POL-9.1)", () => {
  test("an alias as a resource lets nobody use its key", () => {
    expect(identityRules({ Action: "kms:Encrypt", Resource: ALIAS })).toEqual(["alias-as-resource"])
    expect(identityRules({ Action: ["kms:CreateAlias", "kms:DeleteAlias"], Resource: ALIAS })).toEqual([])
  })

  test("actions of other services are none of our business, KMS's are", () => {
    expect(identityRules({ Action: ["s3:GetObject", "kms:Encrypt"] })).toEqual([])
    expect(identityRules({ Action: ["s3:GetObject", "kms:Encrpyt"] })).toEqual(["unknown-action"])
  })

  test("kms:ResourceAliases belongs here", () => {
    expect(identityRules({ Condition: { "ForAnyValue:StringEquals": { "kms:ResourceAliases": "alias/a" } } })).toEqual(
      [],
    )
  })

  test("no key policy's rules apply", () => {
    expect(identityRules({})).toEqual([])
  })
})
