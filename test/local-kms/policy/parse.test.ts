import { describe, expect, test } from "vitest"
import {
  describeProblem,
  evaluate,
  type ParsedPolicy,
  type PolicyKind,
  parseIdentityPolicy,
  parseKeyPolicy,
  readPolicy,
} from "../../../src/local-kms/policy/index.ts"
import { ALICE, policyText, ROOT, requestOf } from "./world.ts"

const statement = { Effect: "Allow", Principal: { AWS: ALICE }, Action: "kms:Encrypt", Resource: "*" }
const without = (name: string): object => Object.fromEntries(Object.entries(statement).filter(([key]) => key !== name))
const withCondition = (Condition: unknown): string => policyText([{ ...statement, Condition }])

const parse = (text: string, kind: PolicyKind): ParsedPolicy =>
  kind === "key" ? parseKeyPolicy(text) : parseIdentityPolicy(text)

const problemsOf = (text: string, kind: PolicyKind = "key"): string[] => {
  const parsed = parse(text, kind)
  return parsed.ok ? [] : parsed.problems.map(describeProblem)
}

const principal = (Principal: unknown): string => policyText([{ ...statement, Principal }])
const INVALID = "Policy contains a statement with one or more invalid principals."

describe("a malformed key policy is refused (POL-1.1, POL-1.4, POL-1.5, POL-1.6, POL-1.8)", () => {
  test.each<[name: string, text: string, problem: string]>([
    ["nothing", "", "characters"],
    ["no JSON", "{", "not valid JSON"],
    ["JSON with a comment", `{"Version":"2012-10-17" /* x */}`, "not valid JSON"],
    ["a number", "7", "JSON object"],
    ["an array", "[]", "JSON object"],
    ["null", "null", "JSON object"],
    ["a character beyond Latin-1", policyText([{ ...statement, Sid: "한" }]), "characters"],
    ["a control character", `${policyText([statement])}\u0000`, "characters"],
    ["an unknown version", `{"Version":"2020-01-01","Statement":[]}`, "Version: Version must be"],
    ["a version that is a number", `{"Version":2012,"Statement":[]}`, "Version: Version must be"],
    ["an id that is no string", `{"Version":"2012-10-17","Id":1,"Statement":[]}`, "Id: Id must be a string"],
    ["an unknown element", `{"Version":"2012-10-17","Statments":[]}`, "Statments: Unknown element Statments"],
    ["an element in another case", `{"version":"2012-10-17","Statement":[]}`, "version: Unknown element version"],
    ["no statement", `{"Version":"2012-10-17"}`, "at least one statement"],
    ["an empty list of statements", policyText([]), "at least one statement"],
    ["a statement that is null", policyText([null]), "Statement[0]: A statement is a JSON object"],
    ["a statement that is a string", policyText("Allow"), "Statement: A statement is a JSON object"],
    [
      "an unknown element of a statement",
      policyText([{ ...statement, Principals: "*" }]),
      "Statement[0].Principals: Unknown element",
    ],
    ["no effect", policyText([without("Effect")]), "Statement[0].Effect: Effect must be Allow or Deny"],
    ["an effect in another case", policyText([{ ...statement, Effect: "allow" }]), "Effect must be Allow or Deny"],
    ["a Sid that is a number", policyText([{ ...statement, Sid: 1 }]), "Sid must be a string"],
    [
      "two statements of one Sid",
      policyText([
        { ...statement, Sid: "a" },
        { ...statement, Sid: "a" },
      ]),
      "Statement[1].Sid",
    ],
    ["no principal", policyText([without("Principal")]), "must have one of Principal and NotPrincipal"],
    [
      "Principal and NotPrincipal",
      policyText([{ ...statement, Effect: "Deny", NotPrincipal: "*" }]),
      "must have one of",
    ],
    [
      "NotPrincipal with Allow",
      policyText([{ ...without("Principal"), NotPrincipal: { AWS: ROOT } }]),
      "NotPrincipal is allowed with Deny only",
    ],
    ["a principal that is null", principal(null), INVALID],
    ["a principal that is an ARN without its type", principal(ALICE), INVALID],
    ["a principal that is a list", principal(["*"]), INVALID],
    ["a principal of no type", principal({}), INVALID],
    ["a principal of an unknown type", principal({ Aws: ALICE }), "Statement[0].Principal.Aws"],
    ["an empty list of principals", principal({ AWS: [] }), INVALID],
    ["a principal that is a number", principal({ AWS: [123] }), "Principal.AWS[0]"],
    ["a group", principal({ AWS: "arn:aws:iam::111122223333:group/Admins" }), "a group is no principal"],
    ["a user with a wildcard", principal({ AWS: "arn:aws:iam::111122223333:user/*" }), "has a wildcard"],
    ["an account with a wildcard", principal({ AWS: "arn:aws:iam::*:root" }), "has a wildcard"],
    ["a session with a wildcard", principal({ AWS: "arn:aws:sts::111122223333:assumed-role/App/*" }), "has a wildcard"],
    ["a user without a name", principal({ AWS: "arn:aws:iam::111122223333:user/" }), INVALID],
    ["an account id of eleven digits", principal({ AWS: "11112222333" }), INVALID],
    ["the ARN of a key", principal({ AWS: "arn:aws:kms:us-west-2:111122223333:key/x" }), INVALID],
    ["a principal with a variable", principal({ AWS: `arn:aws:iam::111122223333:user/\${aws:username}` }), INVALID],
    ["an empty principal", principal({ AWS: "" }), INVALID],
    ["a service without amazonaws.com", principal({ Service: "s3" }), "no service principal"],
    ["every service", principal({ Service: "*" }), "no service principal"],
    ["every identity provider", principal({ Federated: "*" }), "names no provider"],
    ["a canonical user id of no form", principal({ CanonicalUser: "x" }), "no canonical user id"],
    [
      "one bad principal among good ones",
      principal({ AWS: [ALICE, "arn:aws:iam::111122223333:group/x"] }),
      "Principal.AWS[1]",
    ],
    ["Action and NotAction", policyText([{ ...statement, NotAction: "kms:Sign" }]), "both Action and NotAction"],
    ["Resource and NotResource", policyText([{ ...statement, NotResource: "*" }]), "both Resource and NotResource"],
    ["an empty list of actions", policyText([{ ...statement, Action: [] }]), "Action must not be empty"],
    ["an empty NotAction", policyText([{ ...without("Action"), NotAction: [] }]), "NotAction must not be empty"],
    ["an action that is null", policyText([{ ...statement, Action: null }]), "Statement[0].Action"],
    ["an action without its service", policyText([{ ...statement, Action: "Encrypt" }]), `"Encrypt" is not an action`],
    ["an action of any service", policyText([{ ...statement, Action: "*:Encrypt" }]), "is not an action"],
    ["an action that is an object", policyText([{ ...statement, Action: {} }]), "{} is not an action"],
    ["an empty list of resources", policyText([{ ...statement, Resource: [] }]), "Resource must not be empty"],
    [
      "an empty NotResource",
      policyText([{ ...without("Resource"), NotResource: [] }]),
      "NotResource must not be empty",
    ],
    ["a resource that is no ARN", policyText([{ ...statement, Resource: "1234abcd" }]), "is not"],
    ["a condition that is a list", withCondition([]), "must be an object of operators"],
    ["a condition that is null", withCondition(null), "must be an object of operators"],
    [
      "an unknown operator",
      withCondition({ StringMatches: { "a:b": "c" } }),
      "Unknown condition operator StringMatches",
    ],
    ["an operator in another case", withCondition({ stringequals: { "a:b": "c" } }), "Unknown condition operator"],
    [
      "an unknown set operator",
      withCondition({ "ForSomeValues:StringEquals": { "a:b": "c" } }),
      "Unknown condition operator",
    ],
    ["a set operator alone", withCondition({ "ForAnyValue:": { "a:b": "c" } }), "Unknown condition operator"],
    ["IfExists alone", withCondition({ IfExists: { "a:b": "c" } }), "Unknown condition operator"],
    ["Null with IfExists", withCondition({ NullIfExists: { "a:b": true } }), "neither a set operator nor IfExists"],
    [
      "Null with a set operator",
      withCondition({ "ForAllValues:Null": { "a:b": true } }),
      "neither a set operator nor IfExists",
    ],
    ["Null with another value", withCondition({ Null: { "a:b": "maybe" } }), "no boolean"],
    ["an operator without keys", withCondition({ StringEquals: {} }), "object of condition keys"],
    ["an operator that holds a string", withCondition({ StringEquals: "a" }), "object of condition keys"],
    ["a key that is none", withCondition({ StringEquals: { tenant: "42" } }), "no condition key"],
    ["no values", withCondition({ StringNotEquals: { "a:b": [] } }), "at least one value"],
    ["a value that is null", withCondition({ StringEquals: { "a:b": null } }), "strings, numbers or booleans"],
    ["a value that is an object", withCondition({ StringEquals: { "a:b": {} } }), "strings, numbers or booleans"],
    // POL-4.5: of these no value may be a variable.
    ["a number that is a variable", withCondition({ NumericEquals: { "a:b": `\${aws:EpochTime}` } }), "no number"],
    ["a number that is none", withCondition({ NumericLessThan: { "a:b": "many" } }), "no number"],
    ["a number that is empty", withCondition({ NumericNotEquals: { "a:b": "" } }), "no number"],
    ["a date that is none", withCondition({ DateLessThan: { "aws:CurrentTime": "tomorrow" } }), "no date"],
    [
      "a date without its zone",
      withCondition({ DateLessThan: { "aws:CurrentTime": "2026-01-01T00:00:00" } }),
      "no date",
    ],
    ["a boolean that is none", withCondition({ Bool: { "aws:SecureTransport": "yes" } }), "no boolean"],
    ["binary that is no base64", withCondition({ BinaryEquals: { "a:b": "*" } }), "no base64"],
    ["an address that is none", withCondition({ NotIpAddress: { "aws:SourceIp": "home" } }), "no IP address"],
    [
      "a range with too long a prefix",
      withCondition({ IpAddress: { "aws:SourceIp": "10.0.0.0/33" } }),
      "no IP address",
    ],
    ["a range with two prefixes", withCondition({ IpAddress: { "aws:SourceIp": "10.0.0.0/8/8" } }), "no IP address"],
    // POL-1.2
    ["a member twice", `{"Version":"2012-10-17","Version":"2012-10-17","Statement":[]}`, `"Version" occurs twice`],
    ["a member twice in a statement", `{"Statement":[{"Effect":"Deny","Effect":"Allow"}]}`, `"Effect" occurs twice`],
    [
      "a member twice, once escaped",
      `{"Statement":[{"Effect":"Deny","\\u0045ffect":"Allow"}]}`,
      `"Effect" occurs twice`,
    ],
    [
      "a condition key twice",
      `{"Statement":[{"Condition":{"StringEquals":{"a:b":"1","a:b":"2"}}}]}`,
      `"a:b" occurs twice`,
    ],
  ])("%s", (_name, text, problem) => {
    const problems = problemsOf(text)
    expect(problems.join("\n")).toContain(problem)
    expect(readPolicy(text, "key").ok).toBe(false)
  })

  test("every problem is reported, with its place", () => {
    const text = policyText([
      { ...statement, Effect: "Permit" },
      { ...statement, Action: "Encrypt", Sid: 5 },
    ])
    expect(problemsOf(text)).toEqual([
      "Statement[0].Effect: Effect must be Allow or Deny",
      "Statement[1].Sid: Sid must be a string",
      `Statement[1].Action: "Encrypt" is not an action such as kms:Decrypt`,
    ])
  })

  test.each([
    [
      "kms:EncryptionContext:tenant",
      "OverlyPermissiveCondition:EncryptionContext: Using the ForAllValues set operator with a single-valued condition key matches requests without the specified encryption context or with an unspecified encryption context. To fix, remove ForAllValues.",
    ],
    ["KMS:encryptioncontext:Tenant", "OverlyPermissiveCondition:EncryptionContext:"],
    ["aws:RequestTag/Project", "OverlyPermissiveCondition:RequestTag:"],
  ])("ForAllValues with %s is refused in AWS's words (POL-1.9)", (key, text) => {
    expect(problemsOf(withCondition({ "ForAllValues:StringEquals": { [key]: "a" } })).join()).toContain(text)
    expect(problemsOf(withCondition({ "ForAnyValue:StringEquals": { [key]: "a" } }))).toEqual([])
  })

  test("ForAllValues with the keys of a context, which are several, is accepted", () => {
    expect(problemsOf(withCondition({ "ForAllValues:StringEquals": { "kms:EncryptionContextKeys": "a" } }))).toEqual([])
  })
})

describe("the size of a policy (POL-1.3)", () => {
  const filled = (bytes: number, fill = " "): string => {
    const text = policyText([statement])
    return text + fill.repeat(bytes - text.length)
  }

  test("a key policy may have 32,768 bytes", () => {
    expect(problemsOf(filled(32_768))).toEqual([])
    const parsed = parseKeyPolicy(filled(32_769))
    expect(parsed).toMatchObject({ ok: false, problems: [{ code: "LimitExceeded" }] })
  })

  test("bytes count, not characters", () => {
    const text = policyText([{ ...statement, Sid: "é".repeat(16_400) }])
    expect(text.length).toBeLessThan(32_768)
    expect(parseKeyPolicy(text)).toMatchObject({ ok: false, problems: [{ code: "LimitExceeded" }] })
  })

  test("an identity policy may have 10,240 characters beside white space", () => {
    const text = policyText([{ Effect: "Allow", Action: "kms:*", Resource: "*" }])
    expect(problemsOf(text + " ".repeat(20_000), "identity")).toEqual([])
    const long = policyText([
      { Effect: "Allow", Action: "kms:*", Resource: Array(300).fill(`arn:aws:kms:*:*:key/${"x".repeat(30)}`) },
    ])
    expect(parseIdentityPolicy(long)).toMatchObject({ ok: false, problems: [{ code: "LimitExceeded" }] })
  })
})

describe("a malformed identity policy is refused", () => {
  const identity = { Effect: "Allow", Action: "kms:Encrypt", Resource: "*" }

  test.each<[name: string, text: string, problem: string]>([
    ["a principal", policyText([statement]), "Policy document should not specify a principal."],
    [
      "NotPrincipal",
      policyText([{ ...identity, Effect: "Deny", NotPrincipal: "*" }]),
      "should not specify a principal",
    ],
    ["a Sid with spaces", policyText([{ ...identity, Sid: "Use of keys" }]), "letters and digits"],
    ["an unknown element", policyText([{ ...identity, Actions: "*" }]), "Unknown element Actions"],
  ])("%s", (_name, text, problem) => {
    expect(problemsOf(text, "identity").join()).toContain(problem)
  })

  test("it may use ForAllValues where a key policy may not", () => {
    const Condition = { "ForAllValues:StringEquals": { "aws:RequestTag/a": "b" } }
    expect(problemsOf(policyText([{ ...identity, Condition }]), "identity")).toEqual([])
  })
})

describe("what a policy may leave out or say in other ways", () => {
  test.each<[name: string, text: string]>([
    ["one statement without a list", policyText(statement)],
    ["no version", JSON.stringify({ Statement: [statement] })],
    ["the older version", policyText([statement], "2008-10-17")],
    ["an id", JSON.stringify({ Version: "2012-10-17", Id: "key-policy", Statement: [statement] })],
    ["a Sid with spaces", policyText([{ ...statement, Sid: "Enable IAM policies" }])],
    [
      "two empty Sids",
      policyText([
        { ...statement, Sid: "" },
        { ...statement, Sid: "" },
      ]),
    ],
    ["no Resource", policyText([without("Resource")])],
    ["no Action", policyText([without("Action")])],
    ["an action of no service we know", policyText([{ ...statement, Action: "kms:Encrpyt" }])],
    ["an empty condition", withCondition({})],
    ["numbers and booleans as values", withCondition({ NumericLessThan: { "a:b": 5 }, Bool: { "c:d": true } })],
    ["NotPrincipal with Deny", policyText([{ ...without("Principal"), Effect: "Deny", NotPrincipal: { AWS: ROOT } }])],
    [
      "a role with a path",
      principal({
        AWS: "arn:aws:iam::111122223333:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling",
      }),
    ],
    ["a service of China", principal({ Service: "logs.cn-north-1.amazonaws.com.cn" })],
    ["another partition", principal({ AWS: "arn:aws-us-gov:iam::111122223333:root" })],
    [
      "tabs and line ends",
      JSON.stringify({ Version: "2012-10-17", Statement: [statement] }, null, "\t").replaceAll("\n", "\r\n"),
    ],
    ["Latin-1", policyText([{ ...statement, Sid: "Schlüssel" }])],
  ])("%s", (_name, text) => {
    expect(problemsOf(text)).toEqual([])
  })

  test("the same name in different objects is no repetition", () => {
    expect(problemsOf(withCondition({ StringEquals: { "a:b": "1" }, StringLike: { "a:b": "1" } }))).toEqual([])
  })

  test("a policy of the same text is read once", () => {
    const text = policyText([statement])
    expect(readPolicy(text, "key")).toBe(readPolicy(`${text}`, "key"))
    expect(readPolicy(text, "identity").ok).toBe(false)
  })

  test("of many texts the latest thousand are kept", () => {
    const text = (n: number): string => policyText([{ ...statement, Sid: `s${n}` }])
    const [first, second] = [readPolicy(text(0), "key"), readPolicy(text(1), "key")]
    for (let n = 2; n < 1001; n++) {
      readPolicy(text(n), "key")
      expect(readPolicy(text(1), "key")).toBe(second)
    }
    expect(readPolicy(text(0), "key")).not.toBe(first)
    expect(readPolicy(text(0), "key")).toEqual(first)
  })

  test("a policy is not put together from what its prototype has", () => {
    const text = `{"__proto__":{"Statement":[]},"Version":"2012-10-17"}`
    expect(problemsOf(text).join()).toContain("Unknown element __proto__")
  })
})

test("a key without a policy allows nobody anything", () => {
  expect(evaluate(requestOf(), { identityPolicies: [] })).toEqual({
    allowed: false,
    reason: "implicitDeny",
    missing: "keyPolicy",
  })
})
