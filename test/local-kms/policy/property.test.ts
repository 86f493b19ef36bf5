import fc from "fast-check"
import { describe, expect, test } from "vitest"
import {
  type Caller,
  evaluate,
  explain,
  kmsActions,
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

/** A literal implementation of wildcards, to compare with. */
const asRegExp = (pattern: string): RegExp =>
  new RegExp(
    `^${pattern
      .replaceAll(/[.+^${}()|[\]\\]/g, "\\$&")
      .replaceAll("*", "[\\s\\S]*")
      .replaceAll("?", "[\\s\\S]")}$`,
  )

const conditioned = (Condition: object, conditions: Record<string, string | string[]>): boolean => {
  const parsed = parseKeyPolicy(
    JSON.stringify({
      Version: "2012-10-17",
      Statement: { Effect: "Allow", Principal: "*", Action: "kms:*", Resource: "*", Condition },
    }),
  )
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems))
  return evaluate(requestOf({ conditions }), { keyPolicy: parsed.policy, identityPolicies: [] }).allowed
}

describe("conditions, compared with what they mean", () => {
  const letters = (alphabet: string, maxLength: number) =>
    fc.array(fc.constantFrom(...alphabet), { maxLength }).map((all) => all.join(""))

  test("wildcards match what a regular expression matches", () => {
    fc.assert(
      fc.property(letters("ab*?", 8), letters("abc", 8), (pattern, text) => {
        expect(conditioned({ StringLike: { "t:x": pattern } }, { "t:x": text })).toBe(asRegExp(pattern).test(text))
        expect(conditioned({ StringNotLike: { "t:x": pattern } }, { "t:x": text })).toBe(!asRegExp(pattern).test(text))
      }),
      { numRuns: RUNS },
    )
  })

  // A matcher that goes back to every asterisk would never come to an end.
  test("many asterisks come to an end", () => {
    const pattern = `${"*a".repeat(500)}*b`
    expect(conditioned({ StringLike: { "t:x": pattern } }, { "t:x": "a".repeat(5000) })).toBe(false)
  })

  test("a set operator is what every and some are", () => {
    const values = fc.array(fc.constantFrom("a", "b", "c"), { minLength: 1, maxLength: 3 })
    fc.assert(
      fc.property(values, values, (stated, actual) => {
        const holds = (operator: string): boolean => conditioned({ [operator]: { "t:x": stated } }, { "t:x": actual })
        expect(holds("ForAllValues:StringEquals")).toBe(actual.every((value) => stated.includes(value)))
        expect(holds("ForAnyValue:StringEquals")).toBe(actual.some((value) => stated.includes(value)))
        expect(holds("ForAllValues:StringNotEquals")).toBe(actual.every((value) => !stated.includes(value)))
        expect(holds("ForAnyValue:StringNotEquals")).toBe(actual.some((value) => !stated.includes(value)))
      }),
      { numRuns: RUNS },
    )
  })

  test("ForAllValues holds on a missing key, ForAnyValue never does", () => {
    const operator = fc.constantFrom("StringEquals", "StringLike", "StringNotEquals", "StringNotLike", "ArnLike")
    fc.assert(
      fc.property(operator, letters("ab*", 4), (name, value) => {
        expect(conditioned({ [`ForAllValues:${name}`]: { "t:x": value } }, {})).toBe(true)
        expect(conditioned({ [`ForAnyValue:${name}`]: { "t:x": value } }, {})).toBe(false)
      }),
      { numRuns: 100 },
    )
  })

  test("numbers compare as numbers", () => {
    const number = fc.integer({ min: -1000, max: 1000 })
    fc.assert(
      fc.property(number, number, (stated, actual) => {
        const holds = (operator: string): boolean =>
          conditioned({ [operator]: { "t:x": stated } }, { "t:x": `${actual}` })
        expect(holds("NumericEquals")).toBe(actual === stated)
        expect(holds("NumericNotEquals")).toBe(actual !== stated)
        expect(holds("NumericLessThan")).toBe(actual < stated)
        expect(holds("NumericGreaterThanEquals")).toBe(actual >= stated)
      }),
      { numRuns: RUNS },
    )
  })

  test("an IPv4 range holds the addresses that agree in its first bits", () => {
    const word = fc.integer({ min: 0, max: 0xffffffff })
    const dotted = (value: number): string => [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join(".")
    fc.assert(
      fc.property(word, word, fc.nat(32), (base, other, prefix) => {
        const mask = prefix === 0 ? 0 : (~0 << (32 - prefix)) >>> 0
        const address = fc.sample(fc.constantFrom(other, ((base & mask) | (other & ~mask)) >>> 0), 1)[0]!
        const expected = (base & mask) >>> 0 === (address & mask) >>> 0
        const range = `${dotted(base)}/${prefix}`
        expect(conditioned({ IpAddress: { "aws:SourceIp": range } }, { "aws:SourceIp": dotted(address) })).toBe(
          expected,
        )
      }),
      { numRuns: RUNS },
    )
  })

  test("an IPv6 address is the same however it is written", () => {
    const groups = fc.array(fc.integer({ min: 0, max: 0xffff }), { minLength: 8, maxLength: 8 })
    fc.assert(
      fc.property(groups, (all) => {
        const full = all.map((group) => group.toString(16).padStart(4, "0")).join(":")
        const zeros = all.map((group, index) => (index > 1 && index < 5 ? 0 : group))
        const long = zeros.map((group) => group.toString(16)).join(":")
        const head = zeros.slice(0, 2).map((group) => group.toString(16))
        const tail = zeros.slice(5).map((group) => group.toString(16).toUpperCase())
        const ip = (stated: string, actual: string): boolean =>
          conditioned({ IpAddress: { "aws:SourceIp": stated } }, { "aws:SourceIp": actual })
        expect(ip(full, full.toUpperCase())).toBe(true)
        expect(ip(`${head.join(":")}::${tail.join(":")}`, long)).toBe(true)
      }),
      { numRuns: 100 },
    )
  })
})

describe("a malformed policy never permits", () => {
  const base = JSON.stringify({
    Version: "2012-10-17",
    Statement: [
      {
        Sid: "a",
        Effect: "Allow",
        Principal: { AWS: ALICE },
        Action: ["kms:Encrypt", "kms:Describe*"],
        Resource: "*",
        Condition: { StringEquals: { "kms:CallerAccount": ACCOUNT } },
      },
    ],
  })
  const caller = user("Mallory")

  test("no mutation of a policy about Alice lets Mallory in, unless it says Mallory or everybody", () => {
    const mutated = fc
      .array(
        fc.record({
          at: fc.nat(base.length),
          remove: fc.nat(12),
          insert: fc.constantFrom(
            "",
            '"',
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "*",
            "null",
            "Not",
            "Allow",
            "Deny",
            "\\",
            "1",
            " ",
            '"AWS"',
            "AWS",
          ),
        }),
        {
          minLength: 1,
          maxLength: 4,
        },
      )
      .map((edits) =>
        edits.reduce((text, { at, remove, insert }) => text.slice(0, at) + insert + text.slice(at + remove), base),
      )
    let accepted = 0
    fc.assert(
      fc.property(mutated, (text) => {
        const parsed = parseKeyPolicy(text)
        if (!parsed.ok) {
          expect(parsed.problems.length).toBeGreaterThan(0)
          return
        }
        accepted++
        const says = /"\*"\s*[,}\]]|Mallory/.test(text.replace(/"Resource":\s*"\*"/, ""))
        for (const { name } of kmsActions) {
          const { allowed } = evaluate(requestOf({ caller, action: name }), {
            keyPolicy: parsed.policy,
            identityPolicies: [],
          })
          if (!says) expect(allowed).toBe(false)
        }
      }),
      { numRuns: 2000 },
    )
    expect(accepted).toBeGreaterThan(10)
  })

  test("JSON of any shape is refused with typed problems, never with an exception", () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 6 }), (text) => {
        for (const parsed of [parseKeyPolicy(text), parseIdentityPolicy(text)]) {
          expect(parsed.ok).toBe(false)
          if (!parsed.ok) for (const problem of parsed.problems) expect(typeof problem.message).toBe("string")
        }
      }),
      { numRuns: 1000 },
    )
  })

  test("text of any kind is refused, never with an exception", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 200 }), (text) => {
        expect(parseKeyPolicy(text).ok).toBe(false)
      }),
      { numRuns: 1000 },
    )
  })

  test("statements with elements of any type are refused, or evaluate without an exception", () => {
    const any = fc.oneof(
      fc.constantFrom<unknown>("Allow", "Deny", "*", "kms:*", { AWS: "*" }, { AWS: ALICE }, [], {}, null, "2012-10-17"),
      fc.anything({ maxDepth: 3, withNullPrototype: false }),
    )
    const element = fc.constantFrom(
      "Sid",
      "Effect",
      "Principal",
      "NotPrincipal",
      "Action",
      "NotAction",
      "Resource",
      "NotResource",
      "Condition",
    )
    fc.assert(
      fc.property(fc.dictionary(element, any), (stated) => {
        let text: string
        try {
          text = JSON.stringify({ Version: "2012-10-17", Statement: [stated] })
        } catch {
          return
        }
        const parsed = parseKeyPolicy(text)
        if (!parsed.ok) return
        const { Effect, Action, NotAction, Resource, NotResource, Principal } = JSON.parse(text).Statement[0]
        const { allowed } = evaluate(requestOf({ caller }), { keyPolicy: parsed.policy, identityPolicies: [] })
        if (!allowed) return
        expect(Effect).toBe("Allow")
        expect(Action ?? NotAction).toBeDefined()
        expect(Resource ?? NotResource).toBeDefined()
        expect(JSON.stringify(Principal)).toContain("*")
      }),
      { numRuns: 1000 },
    )
  })
})
