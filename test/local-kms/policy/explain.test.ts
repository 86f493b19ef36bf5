import { describe, expect, test } from "vitest"
import {
  accessDeniedMessage,
  canPutKeyPolicyAgain,
  type Decision,
  evaluate,
  explain,
  namedPrincipals,
  type PolicyRequest,
  type PolicySet,
  renderExplanation,
} from "../../../src/local-kms/policy/index.ts"
import {
  ACCOUNT,
  ALICE,
  allowAll,
  delegation,
  identityPoliciesOf,
  KEY,
  keyPolicyOf,
  OTHER,
  policyOf,
  policyText,
  ROOT,
  requestOf,
  role,
  root,
  user,
} from "./world.ts"

const tenant = {
  Sid: "Tenant 42 encrypts",
  Effect: "Allow",
  Principal: { AWS: ALICE },
  Action: ["kms:Encrypt", "kms:GenerateDataKey*"],
  Resource: "*",
  Condition: { StringEquals: { "kms:EncryptionContext:tenant": "42" } },
}

describe("an explanation", () => {
  const policies: PolicySet = {
    keyPolicy: keyPolicyOf([delegation, tenant]),
    identityPolicies: [
      {
        policy: policyOf(
          "identity",
          policyText([{ Sid: "ReadOnly", Effect: "Allow", Action: "kms:Describe*", Resource: "*" }]),
        ),
        name: "ReadKeys",
        inheritedFrom: "group Staff",
      },
    ],
    grants: () => [{ grantId: "abc", allows: false, why: "the grantee is another principal" }],
  }

  test("tells of every statement which element failed", () => {
    const { decision, policies: explained } = explain(requestOf({ encryptionContext: { tenant: "43" } }), policies)
    expect(decision).toEqual({ allowed: false, reason: "implicitDeny", missing: "identityPolicy" })
    const [keyPolicy, readKeys] = explained
    expect(keyPolicy!.statements.map(({ applies, principal }) => [applies, principal])).toEqual([
      [true, "account"],
      [false, "direct"],
    ])
    expect(keyPolicy!.statements[1]!.elements.map(({ element, matched }) => [element, matched])).toEqual([
      ["Principal", true],
      ["Action", true],
      ["Resource", true],
      ["Condition StringEquals kms:EncryptionContext:tenant", false],
    ])
    expect(readKeys!.statements[0]!.elements.map(({ element, matched }) => [element, matched])).toEqual([
      ["Action", false],
      ["Resource", true],
    ])
  })

  test("reads as text", () => {
    expect(renderExplanation(explain(requestOf({ encryptionContext: { tenant: "43" } }), policies))).toBe(
      `REFUSED: kms:Encrypt on ${KEY}
  for ${ALICE}
  An identity policy would have to allow it, and none does.
  AccessDeniedException: User: ${ALICE} is not authorized to perform: kms:Encrypt on resource: ${KEY} because no identity-based policy allows the kms:Encrypt action
key policy:
  statement 1 "Enable IAM policies" (Allow): applies
    yes Principal: the account of the caller ${ALICE} is named by "${ROOT}": identity policies decide further
    yes Action: kms:Encrypt is among "kms:*"
    yes Resource: ${KEY} is among "*"
  statement 2 "Tenant 42 encrypts" (Allow): does not apply
    yes Principal: the caller ${ALICE} is named by "${ALICE}"
    yes Action: kms:Encrypt is among "kms:Encrypt", "kms:GenerateDataKey*"
    yes Resource: ${KEY} is among "*"
    no  Condition StringEquals kms:EncryptionContext:tenant: the policy asks for "42", the request has "43"
identity policy ReadKeys (from group Staff):
  statement 1 "ReadOnly" (Allow): does not apply
    no  Action: kms:Encrypt is not among "kms:Describe*"
    yes Resource: ${KEY} is among "*"
grant abc: does not allow: the grantee is another principal
`,
    )
  })

  test("tells what allowed a request", () => {
    const text = renderExplanation(explain(requestOf({ encryptionContext: { tenant: "42" } }), policies))
    expect(text).toMatch(
      /^ALLOWED: .*\n.*\n {2}Allowed by key policy, statement 2 "Tenant 42 encrypts", which names the caller\.\n/,
    )
  })

  test.each<[what: string, request: Partial<PolicyRequest>, set: Partial<PolicySet>, sentence: string]>([
    [
      "both policies",
      { action: "kms:DescribeKey" },
      {},
      `Allowed by key policy, statement 1 "Enable IAM policies", together with ReadKeys, statement 1 "ReadOnly".`,
    ],
    [
      "another account's root",
      { caller: root(OTHER) },
      { keyPolicy: keyPolicyOf([{ ...delegation, Principal: { AWS: OTHER } }]) },
      "which names the account of which the caller is the root.",
    ],
    ["a grant", {}, { grants: () => [{ grantId: "abc", allows: true, why: "" }] }, "Allowed by the grant abc."],
    [
      "no key policy to ask",
      { action: "kms:CreateKey", resource: "*" },
      { identityPolicies: identityPoliciesOf([allowAll]) },
      "Allowed by Attached, statement 1; no key policy has a say in it.",
    ],
    [
      "the root, without a key",
      { action: "kms:CreateKey", resource: "*", caller: root() },
      {},
      "the caller is the account's root",
    ],
    [
      "a Deny",
      {},
      { keyPolicy: keyPolicyOf([{ ...delegation, Effect: "Deny" }]) },
      `Explicitly denied by key policy, statement 1 "Enable IAM policies"; nothing can outweigh a Deny.`,
    ],
    [
      "no statement",
      {},
      { keyPolicy: keyPolicyOf([tenant]), identityPolicies: [] },
      "No statement of the key policy allows it",
    ],
    [
      "another account",
      { caller: user("Carol", OTHER), action: "kms:PutKeyPolicy" },
      {},
      "The action is never allowed from another account.",
    ],
    ["RetireGrant", { action: "kms:RetireGrant" }, {}, "Only a grant allows this action"],
  ])("says in one sentence what decided: %s", (_what, request, set, sentence) => {
    expect(renderExplanation(explain(requestOf(request), { ...policies, ...set }))).toContain(sentence)
  })

  test("tells that a statement has no effect, and what NotAction means", () => {
    const keyPolicy = keyPolicyOf([
      { Effect: "Allow", Principal: "*", Action: "kms:*" },
      { Effect: "Allow", Principal: "*", NotAction: "kms:Encrypt", Resource: "*" },
      { Effect: "Deny", NotPrincipal: { AWS: [ALICE, ROOT] }, Action: "kms:*", Resource: "*" },
    ])
    const text = renderExplanation(explain(requestOf(), { keyPolicy, identityPolicies: [] }))
    expect(text).toContain("no  Resource: the statement has no Resource, and so no effect")
    expect(text).toContain(`no  NotAction: kms:Encrypt is among "kms:Encrypt"`)
    expect(text).toContain(`no  NotPrincipal: the caller ${ALICE} is excepted by`)
  })

  test("a Deny on an account is about everybody in it, whatever identity policies say", () => {
    const keyPolicy = keyPolicyOf([{ ...delegation, Effect: "Deny" }])
    const explanation = explain(requestOf(), { keyPolicy, identityPolicies: [] })
    expect(explanation.policies[0]!.statements[0]!.principal).toBe("direct")
    expect(renderExplanation(explanation)).not.toContain("identity policies decide further")
  })

  test("shows a role as its session and as the role", () => {
    const text = renderExplanation(explain(requestOf({ caller: role("App") }), policies))
    expect(text).toContain(`the caller arn:aws:sts::${ACCOUNT}:assumed-role/App/s1 (arn:aws:iam::${ACCOUNT}:role/App)`)
  })
})

describe("the text of a refusal (POL-7.1)", () => {
  const text = (set: PolicySet, request: Partial<PolicyRequest> = {}): string => {
    const asked = requestOf(request)
    const decision: Decision = evaluate(asked, set)
    if (decision.allowed) throw new Error("allowed")
    return accessDeniedMessage(asked, decision)
  }
  const start = `User: ${ALICE} is not authorized to perform: kms:Encrypt on resource: ${KEY} `
  const deny = { Effect: "Deny", Action: "kms:*", Resource: "*" }

  test("names the kind of policy that denies", () => {
    expect(text({ keyPolicy: keyPolicyOf([{ ...deny, Principal: "*" }]), identityPolicies: [] })).toBe(
      `${start}with an explicit deny in a resource-based policy`,
    )
    expect(text({ keyPolicy: keyPolicyOf([delegation]), identityPolicies: identityPoliciesOf([deny]) })).toBe(
      `${start}with an explicit deny in an identity-based policy`,
    )
  })

  test("names the kind of policy that does not allow", () => {
    expect(text({ keyPolicy: keyPolicyOf([delegation]), identityPolicies: [] })).toBe(
      `${start}because no identity-based policy allows the kms:Encrypt action`,
    )
    expect(text({ keyPolicy: keyPolicyOf([tenant]), identityPolicies: identityPoliciesOf([allowAll]) })).toBe(
      `${start}because no resource-based policy allows the kms:Encrypt action`,
    )
  })

  test("shows the session of a role", () => {
    expect(text({ keyPolicy: keyPolicyOf([delegation]), identityPolicies: [] }, { caller: role("App") })).toContain(
      `User: arn:aws:sts::${ACCOUNT}:assumed-role/App/s1 is not authorized`,
    )
  })
})

describe("the lockout check (POL-8.1)", () => {
  const named = keyPolicyOf([{ ...delegation, Principal: { AWS: ALICE } }])

  test("the caller is named by the new policy", () => {
    expect(canPutKeyPolicyAgain(named, requestOf(), [])).toBe(true)
    expect(canPutKeyPolicyAgain(named, requestOf({ caller: user("Bob") }), identityPoliciesOf([allowAll]))).toBe(false)
    expect(canPutKeyPolicyAgain(named, requestOf({ caller: root() }), [])).toBe(false)
  })

  test("the new policy names the account, and an identity policy allows", () => {
    const delegated = keyPolicyOf([delegation])
    expect(canPutKeyPolicyAgain(delegated, requestOf(), identityPoliciesOf([allowAll]))).toBe(true)
    expect(canPutKeyPolicyAgain(delegated, requestOf(), [])).toBe(false)
    expect(canPutKeyPolicyAgain(delegated, requestOf({ caller: root() }), [])).toBe(true)
  })

  test("a Deny counts, a condition as well", () => {
    const denied = keyPolicyOf([delegation, { Effect: "Deny", Principal: "*", Action: "kms:Put*", Resource: "*" }])
    expect(canPutKeyPolicyAgain(denied, requestOf({ caller: root() }), [])).toBe(false)
    const conditioned = keyPolicyOf([{ ...delegation, Condition: { IpAddress: { "aws:SourceIp": "192.0.2.0/24" } } }])
    const from = (ip: string) => requestOf({ caller: root(), conditions: { "aws:SourceIp": ip } })
    expect(canPutKeyPolicyAgain(conditioned, from("192.0.2.1"), [])).toBe(true)
    expect(canPutKeyPolicyAgain(conditioned, from("198.51.100.1"), [])).toBe(false)
  })

  test("somebody of another account can never pass it", () => {
    expect(
      canPutKeyPolicyAgain(keyPolicyOf([{ ...delegation, Principal: "*" }]), requestOf({ caller: root(OTHER) }), []),
    ).toBe(false)
  })

  test("the principals that must exist are those named by ARN or unique id (POL-8.2)", () => {
    const policy = keyPolicyOf([
      delegation,
      {
        ...delegation,
        Sid: "b",
        Principal: { AWS: [ALICE, OTHER, "AIDACKCEVSQ6C2EXAMPLE"], Service: "s3.amazonaws.com" },
      },
      { ...tenant, Sid: "c" },
    ])
    expect(namedPrincipals(policy)).toEqual([ALICE, "AIDACKCEVSQ6C2EXAMPLE"])
  })
})
