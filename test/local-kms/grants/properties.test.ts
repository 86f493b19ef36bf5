import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { isAsStrict, meetsConstraint } from "../../../src/local-kms/grants/constraints.ts"
import { allFindings, grantsFor } from "../../../src/local-kms/grants/findings.ts"
import { type Grant, type GrantConstraints, putGrant } from "../../../src/local-kms/grants/records.ts"
import type { Key } from "../../../src/local-kms/keys.ts"
import type { Caller, PolicyRequest } from "../../../src/local-kms/policy/index.ts"
import { memoryStore } from "../../../src/local-kms/store/memory.ts"

const operations = ["Encrypt", "Decrypt", "GenerateDataKey", "ReEncryptFrom", "DescribeKey", "CreateGrant"] as const
const someOperations = fc.subarray([...operations], { minLength: 1 })
// Few names and values, in both cases: so that contexts meet.
const context = fc.dictionary(fc.constantFrom("a", "A", "b"), fc.constantFrom("1", "2"), { maxKeys: 3 })
const constraint = fc.record({
  type: fc.constantFrom("EncryptionContextEquals" as const, "EncryptionContextSubset" as const),
  context,
})
const constraints: fc.Arbitrary<GrantConstraints | undefined> = fc.option(
  constraint.map(({ type, context }) => ({ [type]: context })),
  { nil: undefined },
)

const caller = (name: string): Caller => {
  const arn = `arn:aws:iam::111122223333:user/${name}`
  return { type: "IAMUser", accountId: "111122223333", arn, identityArn: arn, name }
}
const [app, clerk] = [caller("App"), caller("Clerk")]

const scope = { partition: "aws", region: "us-east-1", accountId: "111122223333" }
const arn = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
const key = { scope, keyId: "1234abcd-12ab-34cd-56ef-1234567890ab", arn } as Key

/** Whether any of these grants allows the request. */
async function allowed(
  grants: readonly Grant[],
  request: Partial<PolicyRequest>,
  find: typeof grantsFor = grantsFor,
): Promise<boolean> {
  const store = memoryStore()
  const asked = { caller: app, action: "", resource: arn, resourceAccountId: scope.accountId, now: 0, ...request }
  const findings = await store.transaction((tx) => {
    for (const grant of grants) putGrant(tx, key, grant)
    return [...find(tx, key, asked, { tokenGrants: new Set() })]
  })
  return findings.some(({ allows }) => allows)
}

let count = 0
const grantTo = ({ arn: granteePrincipal }: Caller, more: Pick<Grant, "operations" | "constraints">): Grant => ({
  grantId: (++count).toString(16).padStart(64, "0"),
  createdAt: 0,
  issuingAccountId: scope.accountId,
  granteePrincipal,
  ...more,
})

/** What a request for a grant puts to the grants that might allow it. */
const asksFor = (child: Grant): Partial<PolicyRequest> => {
  const { EncryptionContextEquals, EncryptionContextSubset } = child.constraints ?? {}
  const encryptionContext = EncryptionContextEquals ?? EncryptionContextSubset
  const type = EncryptionContextEquals === undefined ? "EncryptionContextSubset" : "EncryptionContextEquals"
  return {
    action: "kms:CreateGrant",
    ...(encryptionContext && { encryptionContext }),
    conditions: {
      "kms:GrantOperations": child.operations,
      ...(encryptionContext && { "kms:GrantConstraintType": type }),
    },
  }
}

const lower = (pairs: object): string[] =>
  Object.entries(pairs).map(([name, value]) => `${name.toLowerCase()}=${value}`)

/** The same rule as GRT-4.2, told in another way. */
function holds({ EncryptionContextEquals, EncryptionContextSubset }: GrantConstraints, asked: object): boolean {
  if (EncryptionContextEquals !== undefined)
    return lower(asked).sort().join() === lower(EncryptionContextEquals).sort().join()
  return lower(EncryptionContextSubset ?? {}).every((pair) => lower(asked).includes(pair))
}

describe("properties of grants", () => {
  test("GRT-1.1, GRT-4.2: a grant gives its grantee its operations on its context, and nothing more to anybody", async () => {
    await fc.assert(
      fc.asyncProperty(
        someOperations,
        constraints,
        fc.constantFrom(...operations, "RevokeGrant", "PutKeyPolicy"),
        context,
        fc.constantFrom(app, clerk),
        async (given, limits, operation, encryptionContext, asking) => {
          // What CreateGrant takes is the next property's.
          fc.pre(operation !== "CreateGrant")
          const grant = grantTo(app, { operations: given, constraints: limits })
          const request = { caller: asking, action: `kms:${operation}`, encryptionContext }
          const isFree = operation === "DescribeKey" || limits === undefined
          const expected =
            asking === app && (given as string[]).includes(operation) && (isFree || holds(limits, encryptionContext))
          expect(await allowed([grant], request)).toBe(expected)
        },
      ),
      { numRuns: 500 },
    )
  })

  test("GRT-4.5: a child lets nobody do what its parent would not have let the parent's grantee do", async () => {
    let children = 0
    await fc.assert(
      fc.asyncProperty(
        someOperations,
        constraints,
        someOperations,
        constraints,
        fc.constantFrom("Encrypt", "Decrypt", "GenerateDataKey", "ReEncryptFrom", "DescribeKey"),
        context,
        async (parentOperations, parentLimits, childOperations, childLimits, operation, encryptionContext) => {
          const parent = grantTo(app, { operations: parentOperations, constraints: parentLimits })
          const child = grantTo(clerk, { operations: childOperations, constraints: childLimits })
          if (!(await allowed([parent], asksFor(child)))) return
          children++
          const request = { action: `kms:${operation}`, encryptionContext }
          if (await allowed([child], { ...request, caller: clerk }))
            expect(await allowed([parent], { ...request, caller: app })).toBe(true)
        },
      ),
      { numRuns: 2000 },
    )
    expect(children).toBeGreaterThan(20)
  })

  test("GRT-4.5: what is as strict allows no context that the other does not, and every constraint is as strict as itself", () => {
    fc.assert(
      fc.property(constraint, constraint, context, (child, parent, asked) => {
        expect(isAsStrict(parent, parent)).toBe(true)
        expect(isAsStrict(undefined, parent)).toBe(false)
        if (isAsStrict(child, parent) && meetsConstraint(child, asked))
          expect(meetsConstraint(parent, asked)).toBe(true)
      }),
      { numRuns: 2000 },
    )
  })

  test("GRT-5.6: the grants that are looked up decide as all grants would", async () => {
    let decided = 0
    const grant = fc.tuple(someOperations, constraints, fc.constantFrom(app, clerk))
    await fc.assert(
      fc.asyncProperty(
        fc.array(grant, { maxLength: 5 }),
        fc.constantFrom(...operations),
        context,
        grant,
        async (some, operation, encryptionContext, [given, limits]) => {
          const made = some.map(([names, limit, to]) => grantTo(to, { operations: names, constraints: limit }))
          const child = asksFor(grantTo(clerk, { operations: given, constraints: limits }))
          const request = operation === "CreateGrant" ? child : { action: `kms:${operation}`, encryptionContext }
          const [byIndex, byAll] = [await allowed(made, request), await allowed(made, request, allFindings)]
          expect(byIndex).toBe(byAll)
          if (byIndex) decided++
        },
      ),
      { numRuns: 1500 },
    )
    expect(decided).toBeGreaterThan(100)
  })

  test("more grants never refuse what fewer allowed", async () => {
    const grant = fc.tuple(someOperations, constraints, fc.constantFrom(app, clerk))
    await fc.assert(
      fc.asyncProperty(fc.array(grant, { maxLength: 4 }), grant, context, async (some, more, encryptionContext) => {
        const made = some.map(([given, limits, to]) => grantTo(to, { operations: given, constraints: limits }))
        const added = grantTo(more[2], { operations: more[0], constraints: more[1] })
        const request = { action: "kms:Encrypt", encryptionContext }
        if (await allowed(made, request)) expect(await allowed([...made, added], request)).toBe(true)
      }),
      { numRuns: 200 },
    )
  })
})
