import { existsSync, readFileSync } from "node:fs"
import { describe, expect, test } from "vitest"
import { allows, DENIED, OPERATIONS, OTHER, outcome, permitted, role, root, USES, user, VIEWS, world } from "./world.ts"

/** AWS's own example of a key policy, loaded as it is published; every call goes through the AWS SDK's client. */
const path = "../shared/reference/key-policy-example.json"
const policy = existsSync(path) ? readFileSync(path, "utf8") : ""

const administrators = OPERATIONS.filter(
  (name) => !USES.includes(name) && !["RotateKeyOnDemand", "ReplicateKey"].includes(name) && name !== "none",
).filter((name) => name !== "GetParametersForImport")
const users = [...USES, "DescribeKey"]
const grantActions = ["CreateGrant", "ListGrants", "RevokeGrant"]

describe.skipIf(policy === "")(`the published key policy (${path}), end to end`, () => {
  async function tried(principal: string, identity?: object): Promise<{ operations: string[]; grants: string[][] }> {
    const here = world()
    const { kms } = here
    const [, , , , accountId = "", resource = ""] = principal.split(":")
    const name = resource.split("/")[1]!
    if (identity !== undefined) await kms.principals.createUser({ name, accountId, policies: { identity } })
    const operations = await permitted(here, here.as(principal), policy, OPERATIONS)
    const KeyId = await here.createKey(policy)
    const grant = { KeyId, GranteePrincipal: role("Somebody"), Operations: ["Decrypt"] }
    const may = async (service?: string): Promise<string[]> => {
      const { GrantId } = await here.owner("CreateGrant", grant)
      const inputs: object[] = [grant, { KeyId }, { KeyId, GrantId }]
      const allowed: string[] = []
      for (const [i, action] of grantActions.entries()) {
        const ends = await outcome(here.as(principal, service)(action, inputs[i]))
        if (ends === "ok") allowed.push(action)
        else expect(ends).toBe(DENIED)
      }
      return allowed
    }
    return { operations, grants: [await may(), await may("ebs")] }
  }

  test("the account's root may do everything", async () => {
    expect(await tried(root())).toEqual({ operations: OPERATIONS, grants: [grantActions, grantActions] })
  })

  test("a user of the account may do what an identity policy allows, and without one nothing", async () => {
    expect((await tried(user("Somebody"))).operations).toEqual([])
    expect((await tried(user("Somebody"), allows("kms:*"))).operations).toEqual(OPERATIONS)
    expect((await tried(user("Somebody"), allows("kms:Describe*"))).operations).toEqual(["DescribeKey"])
  })

  test.each([user("KMSAdminUser"), role("KMSAdminRole")])(
    "the administrator %s manages and does not use",
    async (arn) => {
      const { operations, grants } = await tried(arn)
      expect(operations.sort()).toEqual([...administrators, "GetParametersForImport"].sort())
      // The published statement has kms:Create*, which CreateGrant is among.
      expect(grants).toEqual([grantActions, grantActions])
    },
  )

  test.each([user("ExampleUser"), role("ExampleRole"), root(OTHER)])(
    "%s uses the key, and makes grants for AWS resources only",
    async (arn) => {
      const { operations, grants } = await tried(arn)
      expect(operations.sort()).toEqual([...users].sort())
      expect(grants).toEqual([[], grantActions])
    },
  )

  test("a grant that the other account made through a service is of use until the account revokes it through one", async () => {
    const here = world()
    const KeyId = await here.createKey(policy)
    const instance = `arn:aws:sts::${OTHER}:assumed-role/aws:ec2-infrastructure/i-0123456789abcdef0`
    const ebs = here.as(root(OTHER), "ebs")
    const EncryptionContext = { "aws:ebs:id": "vol-0cfb133e847d28be9" }
    const dataKey = { KeyId, NumberOfBytes: 64, EncryptionContext }
    const { CiphertextBlob } = await ebs("GenerateDataKeyWithoutPlaintext", dataKey)
    const { GrantId } = await ebs("CreateGrant", {
      KeyId,
      GranteePrincipal: instance,
      Operations: ["Decrypt"],
      Constraints: { EncryptionContextSubset: EncryptionContext },
    })
    const decrypt = () => outcome(here.as(instance, "ebs")("Decrypt", { CiphertextBlob, EncryptionContext }))
    expect(await decrypt()).toBe("ok")
    expect(await outcome(here.as(root(OTHER))("RevokeGrant", { KeyId, GrantId }))).toBe(DENIED)
    expect(await decrypt()).toBe("ok")
    await ebs("RevokeGrant", { KeyId, GrantId })
    expect(await decrypt()).toBe(DENIED)
  })

  test("a user of the other account needs an identity policy there", async () => {
    expect((await tried(user("Carol", OTHER))).operations).toEqual([])
    expect((await tried(user("Carol", OTHER), allows("kms:*"))).operations.sort()).toEqual([...users].sort())
    expect(VIEWS).toContain("DescribeKey")
  })

  test("a third account has nothing", async () => {
    expect((await tried(user("Dave", "777788889999"), allows("kms:*"))).operations).toEqual([])
    expect((await tried(root("777788889999"))).operations).toEqual([])
  })
})
