import { describe, expect, test } from "vitest"
import { DENIED, keyPolicy, outcome, role, root, user } from "../authorization/world.ts"
import { senderOf } from "../doors.ts"
import { APP, CLERK, grantWorld } from "./grant-world.ts"

const BOSS = user("Boss")
const SourceArn = "arn:aws:s3:::bucket"

/** How it ends when Boss makes this grant on a key that lets him under this condition only. */
async function underCondition(Condition: object, input: object): Promise<string> {
  const { as, owner, KeyId, grant } = await grantWorld()
  const Everything = { Principal: { AWS: root() }, Action: "kms:*" }
  const Conditioned = { Principal: { AWS: BOSS }, Action: "kms:CreateGrant", Condition }
  await owner("PutKeyPolicy", { KeyId, Policy: keyPolicy(Everything, Conditioned) })
  return outcome(grant(input, as(BOSS)))
}

const subset = (EncryptionContextSubset: object) => ({ Constraints: { EncryptionContextSubset } })
const ofService = {
  GranteePrincipal: undefined,
  GranteeServicePrincipal: "s3.amazonaws.com",
  RetiringServicePrincipal: "ec2.amazonaws.com",
  Constraints: { SourceArn },
}

describe("GRT-6.1: a policy may let somebody make grants only", () => {
  const rows: [what: string, condition: object, meets: object, misses: object][] = [
    [
      "with a constraint of some kind",
      { StringEquals: { "kms:GrantConstraintType": "EncryptionContextSubset" } },
      subset({ a: "1" }),
      { Constraints: { EncryptionContextEquals: { a: "1" } } },
    ],
    [
      "with a constraint",
      { StringEquals: { "kms:GrantConstraintType": ["EncryptionContextSubset", "EncryptionContextEquals"] } },
      subset({ a: "1" }),
      {},
    ],
    [
      "constrained to a resource",
      { StringEquals: { "kms:GrantConstraintSourceArn": SourceArn } },
      { Constraints: { SourceArn } },
      { Constraints: { SourceArn: `${SourceArn}2` } },
    ],
    [
      "of some operations",
      { "ForAllValues:StringEquals": { "kms:GrantOperations": ["Encrypt", "Decrypt"] } },
      { Operations: ["Decrypt"] },
      { Operations: ["Decrypt", "GenerateDataKey"] },
    ],
    [
      "to somebody",
      { StringEquals: { "kms:GranteePrincipal": APP } },
      { GranteePrincipal: APP },
      { GranteePrincipal: CLERK },
    ],
    [
      "that somebody retires",
      { StringEquals: { "kms:RetiringPrincipal": CLERK } },
      { RetiringPrincipal: CLERK },
      { RetiringPrincipal: APP },
    ],
    ["that anybody retires", { Null: { "kms:RetiringPrincipal": "false" } }, { RetiringPrincipal: APP }, {}],
    ["to a service", { StringEquals: { "kms:GranteeServicePrincipal": "s3.amazonaws.com" } }, ofService, {}],
    [
      "that a service retires",
      { StringEquals: { "kms:RetiringServicePrincipal": "ec2.amazonaws.com" } },
      ofService,
      {},
    ],
    [
      "on some encryption context",
      { StringEquals: { "kms:EncryptionContext:tenant": "42" } },
      subset({ tenant: "42", more: "1" }),
      subset({ tenant: "43" }),
    ],
  ]
  test.each(rows.map(([what, condition, meets, misses]) => ({ what, condition, meets, misses })))(
    "$what",
    async ({ condition, meets, misses }) => {
      expect(await underCondition(condition, meets)).toBe("ok")
      expect(await underCondition(condition, misses)).toBe(DENIED)
    },
  )

  test("and list and revoke them, through a service", async () => {
    const { kms, as, owner, KeyId, grant } = await grantWorld()
    const Everything = { Principal: { AWS: root() }, Action: "kms:*" }
    const ForResources = {
      Principal: { AWS: BOSS },
      Action: ["kms:CreateGrant", "kms:ListGrants", "kms:RevokeGrant"],
      Condition: { Bool: { "kms:GrantIsForAWSResource": "true" } },
    }
    await owner("PutKeyPolicy", { KeyId, Policy: keyPolicy(Everything, ForResources) })
    const { GrantId } = await grant()
    for (const [operation, input] of [
      ["CreateGrant", { KeyId, GranteePrincipal: APP, Operations: ["Decrypt"] }],
      ["ListGrants", { KeyId }],
      ["RevokeGrant", { KeyId, GrantId }],
    ] as const) {
      expect([operation, await outcome(as(BOSS)(operation, input))]).toEqual([operation, DENIED])
      const through = senderOf(kms.service("rds").client({ onBehalfOf: BOSS }))
      expect([operation, await outcome(through(operation, input))]).toEqual([operation, "ok"])
    }
  })
})

test("a new policy is replayed on recorded calls about grants, through a service and not", async () => {
  const { kms, as, owner, KeyId, grant } = await grantWorld()
  const Everything = { Principal: { AWS: root() }, Action: "kms:*" }
  const Boss = { Principal: { AWS: BOSS }, Action: ["kms:CreateGrant", "kms:ListGrants", "kms:RevokeGrant"] }
  await owner("PutKeyPolicy", { KeyId, Policy: keyPolicy(Everything, Boss) })
  const through = senderOf(kms.service("ebs").client({ onBehalfOf: BOSS }))
  for (const send of [as(BOSS), through]) {
    const { GrantId } = await grant({}, send)
    await send("ListGrants", { KeyId })
    await send("RevokeGrant", { KeyId, GrantId })
  }
  const { GrantId } = await grant({ RetiringPrincipal: CLERK })
  await as(role("Clerk"))("RetireGrant", { KeyId, GrantId })
  const Condition = { Bool: { "kms:GrantIsForAWSResource": "true" } }
  const { refused, skipped } = await kms.replayPolicy(KeyId, keyPolicy(Everything, { ...Boss, Condition }))
  expect(refused.map(({ action }) => action)).toEqual(["kms:CreateGrant", "kms:ListGrants", "kms:RevokeGrant"])
  // No key policy decides about retiring.
  expect(skipped.map(({ eventName }) => eventName)).toContain("RetireGrant")
})
