import fc from "fast-check"
import { describe, expect, test } from "vitest"
import {
  type Caller,
  evaluate,
  explain,
  lint,
  type PolicyRequest,
  parseIdentityPolicy,
  parseKeyPolicy,
  renderExplanation,
} from "../../../src/local-kms/policy/index.ts"
import {
  ACCOUNT,
  ALICE,
  OTHER,
  ROOT,
  requestOf,
  role,
  root,
  rootOf,
  type StatementJson,
  service,
  user,
} from "./world.ts"

const RUNS = 250

const callers: readonly Caller[] = [
  user("Alice", ACCOUNT, { tags: { team: "blue" }, userId: "AIDACKCEVSQ6C2EXAMPLE" }),
  user("Bob"),
  role("App"),
  role("App", "s2"),
  root(),
  user("Carol", OTHER),
  root(OTHER),
  service("s3.amazonaws.com"),
]

const principals: readonly unknown[] = [
  "*",
  { AWS: "*" },
  { AWS: ROOT },
  { AWS: ACCOUNT },
  { AWS: ALICE },
  { AWS: [ALICE, `arn:aws:iam::${ACCOUNT}:role/App`] },
  { AWS: `arn:aws:sts::${ACCOUNT}:assumed-role/App/s1` },
  { AWS: rootOf(OTHER) },
  { AWS: `arn:aws:iam::${OTHER}:user/Carol` },
  { AWS: "AIDACKCEVSQ6C2EXAMPLE" },
  { Service: "s3.amazonaws.com" },
]

const actionPatterns = ["kms:*", "*", "kms:Encrypt", "kms:Decrypt", "kms:*crypt", "kms:Generate*", "kms:Put*", "s3:*"]

const conditions: readonly object[] = [
  {},
  { StringEquals: { "kms:EncryptionContext:tenant": ["1", "2"] } },
  { StringNotEquals: { "kms:EncryptionContext:tenant": "1" } },
  { "ForAllValues:StringEquals": { "kms:EncryptionContextKeys": ["tenant"] } },
  { "ForAnyValue:StringLike": { "kms:EncryptionContextKeys": "t*" } },
  { StringEqualsIfExists: { "kms:ViaService": "s3.us-west-2.amazonaws.com" } },
  { Null: { "kms:ViaService": true } },
  { Bool: { "kms:MultiRegion": false } },
  { StringEquals: { "kms:EncryptionContext:team": `\${aws:PrincipalTag/team, 'red'}` } },
  { DateLessThan: { "aws:CurrentTime": "2026-06-01T00:00:00Z" }, NumericGreaterThan: { "aws:EpochTime": 5 } },
  { ArnLike: { "aws:PrincipalArn": "arn:aws:iam::*:role/*" } },
]

const body = {
  Resource: fc.constantFrom("*", "arn:aws:kms:*:*:key/*", "arn:aws:kms:*:*:alias/*"),
  Condition: fc.constantFrom(...conditions),
}
const actionElement = fc.tuple(fc.constantFrom("Action", "NotAction"), fc.subarray(actionPatterns, { minLength: 1 }))

const keyStatement: fc.Arbitrary<StatementJson> = fc
  .record({
    Effect: fc.constantFrom("Allow", "Deny"),
    Principal: fc.constantFrom(...principals),
    ...body,
    action: actionElement,
  })
  .map(({ action: [name, values], ...rest }) => ({ ...rest, [name]: values }))
const identityStatement: fc.Arbitrary<StatementJson> = fc
  .record({ Effect: fc.constantFrom("Allow", "Deny"), ...body, action: actionElement })
  .map(({ action: [name, values], ...rest }) => ({ ...rest, [name]: values }))

const request: fc.Arbitrary<PolicyRequest> = fc
  .record({
    caller: fc.constantFrom(...callers),
    action: fc.constantFrom("kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey", "kms:PutKeyPolicy", "kms:DescribeKey"),
    encryptionContext: fc.constantFrom(
      {},
      { tenant: "1" },
      { tenant: "3" },
      { team: "blue" },
      { team: "red", tenant: "2" },
    ),
    conditions: fc.constantFrom({}, { "kms:ViaService": "s3.us-west-2.amazonaws.com" }),
  })
  .map(requestOf)

const world = fc.record({
  key: fc.array(keyStatement, { minLength: 1, maxLength: 6 }),
  identity: fc.array(identityStatement, { maxLength: 4 }),
  request,
  granted: fc.boolean(),
})

type World = typeof world extends fc.Arbitrary<infer W> ? W : never

function policiesOf({ key, identity, granted }: World) {
  const keyPolicy = parseKeyPolicy(JSON.stringify({ Version: "2012-10-17", Statement: key }))
  if (!keyPolicy.ok) throw new Error(JSON.stringify(keyPolicy.problems))
  const attached =
    identity.length === 0
      ? undefined
      : parseIdentityPolicy(JSON.stringify({ Version: "2012-10-17", Statement: identity }))
  if (attached?.ok === false) throw new Error(JSON.stringify(attached.problems))
  return {
    keyPolicy: keyPolicy.policy,
    identityPolicies: attached === undefined ? [] : [{ policy: attached.policy, name: "Attached" }],
    grants: () => [{ grantId: "g", allows: granted, why: "" }],
  }
}

const isAllowed = (w: World): boolean => evaluate(w.request, policiesOf(w)).allowed

describe("whatever the policies", () => {
  test("the generated worlds are of all kinds", () => {
    const verdicts = new Set(
      fc.sample(world, 2000).map((w) => {
        const decision = evaluate(w.request, policiesOf(w))
        return decision.allowed ? decision.by : decision.reason === "explicitDeny" ? decision.reason : decision.missing
      }),
    )
    for (const kind of ["accountDelegation", "crossAccount", "explicitDeny", "grant", "identityPolicy", "keyPolicy"])
      expect(verdicts).toContain(kind)
  })

  test("adding a Deny never turns a refusal into permission", () => {
    fc.assert(
      fc.property(world, keyStatement, fc.nat(), (w, extra, at) => {
        const key = w.key.toSpliced(at % (w.key.length + 1), 0, { ...extra, Effect: "Deny" })
        expect(isAllowed({ ...w, key }) && !isAllowed(w)).toBe(false)
      }),
      { numRuns: RUNS },
    )
  })

  test("adding a Deny to an identity policy never turns a refusal into permission", () => {
    fc.assert(
      fc.property(world, identityStatement, (w, extra) => {
        const identity = [...w.identity, { ...extra, Effect: "Deny" }]
        expect(isAllowed({ ...w, identity }) && !isAllowed(w)).toBe(false)
      }),
      { numRuns: RUNS },
    )
  })

  test("removing an Allow never permits more", () => {
    fc.assert(
      fc.property(world, fc.nat(), (w, at) => {
        const index = at % w.key.length
        fc.pre(w.key.length > 1 && w.key[index]!.Effect === "Allow")
        expect(isAllowed({ ...w, key: w.key.toSpliced(index, 1) }) && !isAllowed(w)).toBe(false)
      }),
      { numRuns: RUNS },
    )
  })

  test("removing a Deny never refuses more", () => {
    fc.assert(
      fc.property(world, fc.nat(), (w, at) => {
        const index = at % w.key.length
        fc.pre(w.key.length > 1 && w.key[index]!.Effect === "Deny")
        expect(!isAllowed({ ...w, key: w.key.toSpliced(index, 1) }) && isAllowed(w)).toBe(false)
      }),
      { numRuns: RUNS },
    )
  })

  test("adding a grant never refuses more, and outweighs no Deny", () => {
    fc.assert(
      fc.property(world, (w) => {
        const [without, granted] = [false, true].map((value) =>
          evaluate(w.request, policiesOf({ ...w, granted: value })),
        )
        expect(without!.allowed && !granted!.allowed).toBe(false)
        if (!without!.allowed && without!.reason === "explicitDeny") expect(granted).toEqual(without)
      }),
      { numRuns: RUNS },
    )
  })

  test("the order of statements changes nothing", () => {
    fc.assert(
      fc.property(world, fc.infiniteStream(fc.nat()), (w, random) => {
        const shuffled = w.key.map((statement) => ({ statement, order: random.next().value as number }))
        const key = shuffled.sort((a, b) => a.order - b.order).map(({ statement }) => statement)
        const identity = w.identity.toReversed()
        expect(isAllowed({ ...w, key, identity })).toBe(isAllowed(w))
      }),
      { numRuns: RUNS },
    )
  })

  test("the case of actions changes nothing, neither in policies nor in requests", () => {
    const upper = (statements: readonly StatementJson[]): StatementJson[] =>
      statements.map((statement) => ({
        ...statement,
        ...Object.fromEntries(
          ["Action", "NotAction"]
            .filter((name) => name in statement)
            .map((name) => [name, (statement[name] as string[]).map((action) => action.toUpperCase())]),
        ),
      }))
    fc.assert(
      fc.property(world, (w) => {
        const changed = {
          ...w,
          key: upper(w.key),
          identity: upper(w.identity),
          request: { ...w.request, action: w.request.action.toLowerCase() },
        }
        expect(isAllowed(changed)).toBe(isAllowed(w))
      }),
      { numRuns: RUNS },
    )
  })

  test("the case of condition key names changes nothing", () => {
    const upper = (text: string): string => text.replaceAll(/"(kms|aws):[^"$]*":/g, (key) => key.toUpperCase())
    fc.assert(
      fc.property(world, (w) => {
        const changed = { ...w, key: JSON.parse(upper(JSON.stringify(w.key))) as StatementJson[] }
        expect(isAllowed(changed)).toBe(isAllowed(w))
      }),
      { numRuns: RUNS },
    )
  })

  test("asking twice changes nothing, and an explanation decides alike", () => {
    fc.assert(
      fc.property(world, (w) => {
        const policies = policiesOf(w)
        const decision = evaluate(w.request, policies)
        expect(evaluate(w.request, policies)).toEqual(decision)
        const explanation = explain(w.request, policies)
        expect(explanation.decision).toEqual(decision)
        const text = renderExplanation(explanation)
        expect(text.startsWith(decision.allowed ? "ALLOWED" : "REFUSED")).toBe(true)
        const applying = explanation.policies.flatMap(({ name, statements }) =>
          statements.filter(({ applies }) => applies).map(({ index, effect }) => ({ name, index, effect })),
        )
        if (!decision.allowed) {
          if (decision.reason === "explicitDeny")
            expect(applying).toContainEqual({
              name: decision.statement.policy,
              index: decision.statement.index,
              effect: "Deny",
            })
          return
        }
        for (const { policy, index } of decision.statements)
          expect(applying).toContainEqual({ name: policy, index, effect: "Allow" })
      }),
      { numRuns: RUNS },
    )
  })

  test("nothing is allowed without an Allow, a grant or being a root", () => {
    fc.assert(
      fc.property(world, (w) => {
        const onlyDenies = w.key.filter(({ Effect }) => Effect === "Deny")
        fc.pre(onlyDenies.length > 0)
        expect(isAllowed({ ...w, key: onlyDenies, granted: false })).toBe(false)
      }),
      { numRuns: RUNS },
    )
  })

  test("lint takes every policy", () => {
    fc.assert(
      fc.property(world, (w) => {
        for (const { message } of lint(policiesOf(w).keyPolicy, { accountId: ACCOUNT })) expect(message).not.toBe("")
      }),
      { numRuns: 100 },
    )
  })
})
