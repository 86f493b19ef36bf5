import { existsSync, readFileSync } from "node:fs"
import { describe, expect, test } from "vitest"
import { type Caller, evaluate, kmsActions, lint, parseKeyPolicy } from "../../../src/local-kms/policy/index.ts"
import { ACCOUNT, allowAll, identityPoliciesOf, OTHER, policyOf, requestOf, role, root, user } from "./world.ts"

/** AWS's own example of a key policy, read as it is published: four statements, two accounts. */
const path = "../shared/reference/key-policy-example.json"
const text = existsSync(path) ? readFileSync(path, "utf8") : undefined

const everything = identityPoliciesOf([allowAll])
const viaService = { "kms:GrantIsForAWSResource": "true" }
const directly = { "kms:GrantIsForAWSResource": "false" }

const onKey = kmsActions.filter(({ authority }) => authority === "key").map(({ name }) => name.slice(4))

const use = /^(?:Encrypt|Decrypt|ReEncrypt\w*|GenerateDataKey\w*|DescribeKey)$/
const administration =
  /^(?:(?:Create|Describe|Enable|List|Put|Update|Revoke|Disable|Get|Delete)\w*|TagResource|UntagResource|ScheduleKeyDeletion|CancelKeyDeletion)$/
const grants = /^(?:CreateGrant|ListGrants|RevokeGrant)$/

describe.skipIf(text === undefined)(`the published key policy (${path})`, () => {
  // Without the file nothing here runs.
  const policy = text === undefined ? (undefined as never) : policyOf("key", text)

  const allowedTo = (caller: Caller, { identity = false, service = false } = {}): string[] =>
    onKey.filter(
      (name) =>
        evaluate(requestOf({ caller, action: `kms:${name}`, conditions: service ? viaService : directly }), {
          keyPolicy: policy,
          identityPolicies: identity ? everything : [],
        }).allowed,
    )
  const matching = (...patterns: RegExp[]): string[] =>
    onKey.filter((name) => patterns.some((pattern) => pattern.test(name)))

  test("is read as it stands: four statements, one with a condition", () => {
    const parsed = parseKeyPolicy(text!)
    expect(parsed.ok).toBe(true)
    expect(policy.id).toBe("key-consolepolicy-2")
    expect(policy.statements.map(({ conditions }) => conditions.length)).toEqual([0, 0, 0, 1])
  })

  test("the account's root may do everything", () => {
    expect(allowedTo(root())).toEqual(onKey)
  })

  test("a user of the account may do everything that an identity policy allows, and nothing without one", () => {
    expect(allowedTo(user("Somebody"), { identity: true })).toEqual(onKey)
    expect(allowedTo(user("Somebody"))).toEqual([])
  })

  test.each([
    ["the administrator, a user", user("KMSAdminUser")],
    ["the administrator, a role", role("KMSAdminRole")],
  ])("%s manages the key and does not use it", (_who, caller) => {
    const allowed = allowedTo(caller)
    expect(allowed).toEqual(matching(administration))
    for (const name of ["Encrypt", "Decrypt", "GenerateDataKey", "ReEncryptFrom", "ImportKeyMaterial", "ReplicateKey"])
      expect(allowed).not.toContain(name)
  })

  test.each([
    ["the user of the key", user("ExampleUser")],
    ["the role that uses the key", role("ExampleRole")],
  ])("%s uses it, and grants only for AWS resources", (_who, caller) => {
    expect(allowedTo(caller)).toEqual(matching(use))
    expect(allowedTo(caller, { service: true })).toEqual(matching(use, grants))
  })

  test("the other account's root uses the key, and grants only for AWS resources", () => {
    expect(allowedTo(root(OTHER))).toEqual(matching(use))
    expect(allowedTo(root(OTHER), { service: true })).toEqual(matching(use, grants))
  })

  test("a user of the other account needs an identity policy there", () => {
    expect(allowedTo(user("Carol", OTHER))).toEqual([])
    expect(allowedTo(user("Carol", OTHER), { identity: true })).toEqual(matching(use))
    expect(allowedTo(user("Carol", OTHER), { identity: true, service: true })).toEqual(matching(use, grants))
  })

  test("a third account has nothing", () => {
    expect(allowedTo(root("777788889999"), { service: true })).toEqual([])
    expect(allowedTo(user("Dave", "777788889999"), { identity: true, service: true })).toEqual([])
  })

  test("a namesake in the other account is somebody else", () => {
    expect(allowedTo(user("KMSAdminUser", OTHER), { identity: true })).toEqual(matching(use))
  })

  test("lint finds no error in it, and tells of the other account", () => {
    const findings = lint(policy, { accountId: ACCOUNT })
    expect(findings.filter(({ severity }) => severity !== "note")).toEqual([])
    expect(findings.map(({ rule }) => rule)).toContain("external-account")
  })
})
