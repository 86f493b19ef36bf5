import { describe, expect, test } from "vitest"
import {
  type AttachedPolicy,
  accountUsePolicy,
  administratorsPolicy,
  type Caller,
  canPutKeyPolicyAgain,
  evaluate,
  formatPolicy,
  kmsActions,
  lint,
  managementPolicy,
  type PolicyDocument,
  splitUsePolicy,
  usePolicy,
  usersOnlyPolicy,
} from "../../../src/local-kms/policy/index.ts"
import { ACCOUNT, allowAll, identityPoliciesOf, KEY, OTHER, policyOf, requestOf, role, root, user } from "./world.ts"

const arnOf = ({ identityArn }: Caller): string => identityArn

const use = ["Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext"]
const management = kmsActions
  .filter(({ kind, authority }) => kind === "manage" && authority === "key")
  .map(({ name }) => name.slice(4))

const attached = (document: PolicyDocument): AttachedPolicy[] => [
  { policy: policyOf("identity", formatPolicy(document)), name: "Attached", inheritedFrom: "group KeyAdmins" },
]
const everything = identityPoliciesOf([allowAll])

/** What the caller may do of the actions named, with these identity policies. */
function allowedOf(
  document: PolicyDocument,
  caller: Caller,
  actions: readonly string[],
  identityPolicies: readonly AttachedPolicy[] = [],
): string[] {
  const keyPolicy = policyOf("key", formatPolicy(document))
  return actions.filter(
    (action) => evaluate(requestOf({ caller, action: `kms:${action}` }), { keyPolicy, identityPolicies }).allowed,
  )
}

const canBeChangedBy = (
  document: PolicyDocument,
  caller: Caller,
  identityPolicies: readonly AttachedPolicy[] = [],
): boolean => canPutKeyPolicyAgain(policyOf("key", formatPolicy(document)), requestOf({ caller }), identityPolicies)

const [alice, bob, mallory] = [user("Alice"), user("Bob"), user("Mallory")]
const [appA, appB] = [role("AppA"), role("AppB")]
const owner = { accountId: ACCOUNT }

describe("only named users and roles of the account may encrypt and decrypt (POL-10.1)", () => {
  const policy = usersOnlyPolicy(owner, [arnOf(alice), arnOf(appA)])

  test("the named user and the named role may", () => {
    expect(allowedOf(policy, alice, use)).toEqual(use)
    expect(allowedOf(policy, appA, use)).toEqual(use)
  })

  test("another user may not, even with an identity policy that allows everything", () => {
    expect(allowedOf(policy, mallory, use, everything)).toEqual([])
  })

  test("a user of the same name in another account may not", () => {
    expect(allowedOf(policy, user("Alice", OTHER), use, everything)).toEqual([])
  })

  test("the named user manages nothing", () => {
    expect(allowedOf(policy, alice, [...management, "CreateGrant"])).toEqual([])
  })

  test("the key stays manageable, by the root and through identity policies", () => {
    expect(canBeChangedBy(policy, root())).toBe(true)
    expect(canBeChangedBy(policy, bob, everything)).toBe(true)
    expect(canBeChangedBy(policy, bob)).toBe(false)
  })
})

describe("application A may only encrypt, application B only decrypt (POL-10.2)", () => {
  const policy = splitUsePolicy(owner, { encrypt: [arnOf(appA)], decrypt: [arnOf(appB)] })

  test("A encrypts, and makes data keys", () => {
    expect(allowedOf(policy, appA, use)).toEqual(["Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext"])
  })

  test("B decrypts, and nothing else", () => {
    expect(allowedOf(policy, appB, use)).toEqual(["Decrypt"])
  })

  test("neither can win the other's part through an identity policy", () => {
    expect(allowedOf(policy, appA, ["Decrypt", "ReEncryptFrom", "CreateGrant"], everything)).toEqual([])
    expect(allowedOf(policy, appB, ["Encrypt", "GenerateDataKey", "CreateGrant"], everything)).toEqual([])
  })
})

describe("administrators manage the key and do not use it (POL-10.3)", () => {
  const keyAdmin = role("KeyAdmin")
  const policy = administratorsPolicy({ ...owner, administrators: [arnOf(keyAdmin)] }, [arnOf(appA)])
  const ofTheGroup = attached(managementPolicy([KEY]))

  test("the named role manages the key", () => {
    expect(allowedOf(policy, keyAdmin, management)).toEqual(management)
  })

  test("a member of the group manages the key, through the account", () => {
    expect(allowedOf(policy, bob, management, ofTheGroup)).toEqual(management)
  })

  test("somebody outside the group does not", () => {
    expect(allowedOf(policy, mallory, management)).toEqual([])
  })

  test("neither the role nor the group can use the key, or hand its use to somebody", () => {
    const useAndDelegation = [...use, "CreateGrant"]
    expect(allowedOf(policy, keyAdmin, useAndDelegation, everything)).toEqual([])
    expect(allowedOf(policy, bob, useAndDelegation, ofTheGroup)).toEqual([])
    expect(allowedOf(policy, bob, useAndDelegation, everything)).toEqual([])
  })

  test("the application uses the key and manages nothing", () => {
    expect(allowedOf(policy, appA, [...use, ...management])).toEqual(use)
  })
})

describe("an account may encrypt and decrypt, and neither manage nor delegate (POL-10.4)", () => {
  const carol = user("Carol", OTHER)
  const forbidden = ["CreateGrant", ...management]

  describe("another account", () => {
    const policy = accountUsePolicy(owner, OTHER)

    test("its principals use the key as far as their identity policies go", () => {
      expect(allowedOf(policy, carol, use, attached(usePolicy([KEY])))).toEqual(use)
      expect(allowedOf(policy, carol, use)).toEqual([])
    })

    test("its root uses the key", () => {
      expect(allowedOf(policy, root(OTHER), use)).toEqual(use)
    })

    test("deleting, changing the policy and granting are refused, whatever its identity policies say", () => {
      expect(allowedOf(policy, carol, forbidden, everything)).toEqual([])
      expect(allowedOf(policy, root(OTHER), forbidden)).toEqual([])
    })

    test("a third account has nothing", () => {
      expect(allowedOf(policy, user("Dave", "777788889999"), [...use, ...forbidden], everything)).toEqual([])
    })
  })

  describe("the key's own account", () => {
    const policy = accountUsePolicy({ ...owner, administrators: [arnOf(role("KeyAdmin"))] }, ACCOUNT)

    test("its principals use the key and do nothing else with it", () => {
      expect(allowedOf(policy, bob, [...use, ...forbidden], everything)).toEqual(use)
      expect(allowedOf(policy, root(), [...use, ...forbidden])).toEqual(use)
    })

    test("the administrators manage it", () => {
      expect(canBeChangedBy(policy, role("KeyAdmin"))).toBe(true)
    })

    test("without administrators nobody could, so that is refused", () => {
      expect(() => accountUsePolicy(owner, ACCOUNT)).toThrow(TypeError)
    })
  })
})

describe("every new policy", () => {
  const policies: [string, PolicyDocument][] = [
    ["for users only", usersOnlyPolicy({ ...owner, administrators: [arnOf(role("KeyAdmin"))] }, [arnOf(alice)])],
    ["for split use", splitUsePolicy(owner, { encrypt: [arnOf(appA)], decrypt: [arnOf(appB)] })],
    ["for administrators", administratorsPolicy({ ...owner, administrators: [arnOf(role("KeyAdmin"))] })],
    ["for another account", accountUsePolicy(owner, OTHER)],
  ]

  test.each(policies)("%s has nothing that lint warns of", (_what, document) => {
    const findings = lint(policyOf("key", formatPolicy(document)), { accountId: ACCOUNT })
    expect(findings.filter(({ severity }) => severity !== "note")).toEqual([])
  })

  test("management is every action on a key but its use and CreateGrant", () => {
    const [policy] = attached(managementPolicy([KEY]))
    const allowed = kmsActions
      .filter(({ authority }) => authority === "key")
      .filter(
        ({ name }) =>
          evaluate(requestOf({ action: name }), {
            keyPolicy: policyOf("key", formatPolicy(usersOnlyPolicy(owner, []))),
            identityPolicies: [policy!],
          }).allowed,
      )
    const expected = kmsActions.filter(
      ({ authority, kind, name }) => authority === "key" && kind !== "use" && name !== "kms:CreateGrant",
    )
    expect(allowed.map(({ name }) => name)).toEqual(expected.map(({ name }) => name))
  })

  test("a principal that no policy may name is refused", () => {
    expect(() => usersOnlyPolicy(owner, [`arn:aws:iam::${ACCOUNT}:group/Users`])).toThrow(/a group is no principal/)
    expect(() => usersOnlyPolicy({ accountId: "12" }, [])).toThrow(TypeError)
  })

  test("the partition is that of the owner", () => {
    const text = formatPolicy(usersOnlyPolicy({ ...owner, partition: "aws-cn" }, []))
    expect(text).toContain(`arn:aws-cn:iam::${ACCOUNT}:root`)
  })
})
