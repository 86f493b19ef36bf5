import { describe, expect, test } from "vitest"
import { allows, DENIED, OTHER, outcome, role } from "../authorization/world.ts"
import { senderOf } from "../doors.ts"
import { APP, CLERK, encrypts, grantWorld } from "./grant-world.ts"

const a1 = { a: "1" }
const a1b2 = { a: "1", b: "2" }

/** How it ends when the grantee of a grant with CreateGrant makes another. */
async function childOf(parent: object, child: object): Promise<string> {
  const { grant, app } = await grantWorld()
  await grant({ Operations: ["Encrypt", "Decrypt", "CreateGrant"], ...parent })
  return outcome(grant({ GranteePrincipal: CLERK, ...child }, app))
}

describe("GRT-4.5: a grantee with CreateGrant", () => {
  test.each([
    [["Encrypt"], "ok"],
    [["Decrypt", "Encrypt"], "ok"],
    [["Encrypt", "Decrypt", "CreateGrant"], "ok"],
    [["DescribeKey"], DENIED],
    [["Encrypt", "RetireGrant"], DENIED],
    [["GenerateDataKey"], DENIED],
  ])("making a grant of Encrypt, Decrypt and CreateGrant one for %s: %s", async (Operations, ends) => {
    expect(await childOf({}, { Operations })).toBe(ends)
  })

  const equals = (EncryptionContextEquals: object) => ({ EncryptionContextEquals })
  const subset = (EncryptionContextSubset: object) => ({ EncryptionContextSubset })
  const rows: [bound: string, object | undefined, to: string, object | undefined, ends: string][] = [
    ["none", undefined, "none", undefined, "ok"],
    ["none", undefined, "a subset", subset(a1), "ok"],
    ["a subset", subset(a1), "none", undefined, DENIED],
    ["a subset", subset(a1), "the same", subset(a1), "ok"],
    ["a subset", subset(a1), "one of more pairs", subset(a1b2), "ok"],
    ["a subset", subset(a1b2), "one of fewer pairs", subset(a1), DENIED],
    ["a subset", subset(a1), "one of another value", subset({ a: "2" }), DENIED],
    ["a subset", subset(a1), "equal pairs", equals(a1), "ok"],
    ["a subset", subset(a1), "more equal pairs", equals(a1b2), "ok"],
    ["a subset", subset(a1), "other equal pairs", equals({ b: "2" }), DENIED],
    ["equal pairs", equals(a1), "none", undefined, DENIED],
    ["equal pairs", equals(a1), "the same", equals(a1), "ok"],
    ["equal pairs", equals(a1), "the same in another case", equals({ A: "1" }), "ok"],
    ["equal pairs", equals(a1), "more equal pairs", equals(a1b2), DENIED],
    ["equal pairs", equals(a1), "a subset of the same", subset(a1), DENIED],
    ["no pairs at all", equals({}), "no pairs at all", equals({}), "ok"],
    ["no pairs at all", equals({}), "a subset", subset(a1), DENIED],
    ["a resource", { SourceArn: "arn:aws:s3:::b" }, "none", undefined, DENIED],
  ]
  test.each(rows.map(([bound, parent, to, child, ends]) => ({ bound, parent, to, child, ends })))(
    "bound to $bound, making a grant bound to $to: $ends",
    async ({ parent, child, ends }) => {
      expect(await childOf({ Constraints: parent }, { Constraints: child })).toBe(ends)
    },
  )

  test("bound to a resource, makes grants bound to the same one, on its behalf", async () => {
    const { kms, grant } = await grantWorld()
    const SourceArn = "arn:aws:s3:::bucket"
    await grant({ Operations: ["Encrypt", "CreateGrant"], Constraints: { SourceArn } })
    const through = senderOf(kms.service("s3").client({ onBehalfOf: APP, sourceArn: SourceArn }))
    const child = (Constraints?: object) => outcome(grant({ GranteePrincipal: CLERK, Constraints }, through))
    expect(await child({ SourceArn })).toBe("ok")
    expect(await child({ SourceArn: `${SourceArn}2` })).toBe(DENIED)
    expect(await child()).toBe(DENIED)
  })

  test("makes grants on that key only, and without CreateGrant none", async () => {
    const { createKey, grant, app } = await grantWorld()
    await grant()
    expect(await outcome(grant({}, app))).toBe(DENIED)
    await grant({ Operations: ["Encrypt", "CreateGrant"] })
    expect(await outcome(grant({}, app))).toBe("ok")
    expect(await outcome(grant({ KeyId: await createKey() }, app))).toBe(DENIED)
  })

  test("may be of another account, which is then the issuing one", async () => {
    const { as, owner, KeyId, grant } = await grantWorld()
    await grant({ GranteePrincipal: role("App", OTHER), Operations: ["Encrypt", "CreateGrant"] })
    const child = await grant({ GranteePrincipal: CLERK }, as(role("App", OTHER)))
    const { Grants } = await owner("ListGrants", { KeyId, GrantId: child.GrantId })
    expect(Grants[0].IssuingAccount).toBe(`arn:aws:iam::${OTHER}:root`)
  })

  test("is not limited where a policy lets it make grants", async () => {
    const { kms, grant, app } = await grantWorld()
    await kms.principals.createRole({ name: "App", policies: { grants: allows("kms:CreateGrant") } })
    await grant({ Operations: ["CreateGrant"] })
    expect(await outcome(grant({ Operations: ["Decrypt", "RetireGrant"] }, app))).toBe("ok")
  })
})

test("GRT-5.3: a grant that was made by another stays when the other is gone", async () => {
  const { owner, KeyId, grant, app, clerk } = await grantWorld()
  const parent = await grant({ Operations: ["Encrypt", "CreateGrant"] })
  await grant({ GranteePrincipal: CLERK }, app)
  await owner("RevokeGrant", { KeyId, GrantId: parent.GrantId })
  expect(await encrypts(app, KeyId)).toBe(DENIED)
  expect(await encrypts(clerk, KeyId)).toBe("ok")
  expect(await outcome(grant({ GranteePrincipal: CLERK }, app))).toBe(DENIED)
})
