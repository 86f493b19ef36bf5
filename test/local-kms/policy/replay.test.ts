import { describe, expect, test } from "vitest"
import { LocalKms } from "../../../src/local-kms/index.ts"
import { type AttachedPolicy, type Policy, replay } from "../../../src/local-kms/policy/index.ts"
import { command } from "../command.ts"
import { register } from "../helpers.ts"
import { ACCOUNT, allowAll, identityPoliciesOf, keyPolicyOf, OTHER, ROOT, rootOf, type StatementJson } from "./world.ts"

const APP = `arn:aws:iam::${ACCOUNT}:role/App`
const BOB = `arn:aws:iam::${ACCOUNT}:user/Bob`
const STRANGER = `arn:aws:iam::${OTHER}:user/Carol`

const allow = (principal: string, Action: unknown, more: object = {}): StatementJson => ({
  Effect: "Allow",
  Principal: { AWS: principal },
  Action,
  Resource: "*",
  ...more,
})

/** A trail of real calls: the root makes two keys, App and Bob use the first, somebody else tries to. */
async function recordedTrail() {
  await using kms = LocalKms.inMemory({ accountId: ACCOUNT, region: "us-west-2" })
  await register(kms, APP)
  await register(kms, BOB)
  const as = (principal?: string) => kms.directClient(principal === undefined ? {} : { principal })
  const create = async (): Promise<string> => (await as().send(command("CreateKey", {}))).KeyMetadata.Arn
  const [key, other] = [await create(), await create()]
  await as().send(command("CreateAlias", { AliasName: "alias/app", TargetKeyId: key }))
  const Plaintext = new Uint8Array([1, 2, 3])
  const app = as(APP)
  const { CiphertextBlob } = await app.send(
    command("Encrypt", { KeyId: "alias/app", Plaintext, EncryptionContext: { tenant: "42" } }),
  )
  await app.send(command("Decrypt", { CiphertextBlob, EncryptionContext: { tenant: "42" } }))
  await as(BOB).send(
    command("GenerateDataKey", { KeyId: key, KeySpec: "AES_256", EncryptionContext: { tenant: "43" } }),
  )
  await as(BOB).send(
    command("ReEncrypt", {
      CiphertextBlob,
      SourceEncryptionContext: { tenant: "42" },
      DestinationKeyId: other,
      DestinationEncryptionContext: { tenant: "44" },
    }),
  )
  await as(BOB).send(command("Encrypt", { KeyId: other, Plaintext }))
  await expect(as(STRANGER).send(command("Encrypt", { KeyId: key, Plaintext }))).rejects.toThrow("not authorized")
  await as().send(command("ScheduleKeyDeletion", { KeyId: key, PendingWindowInDays: 7 }))
  return { key, other, events: await kms.events() }
}

const summary = (
  policy: Policy,
  trail: Awaited<ReturnType<typeof recordedTrail>>,
  keyArn: string,
  identity: readonly AttachedPolicy[] = [],
) => {
  const { refused, newlyAllowed, unchanged, skipped } = replay(policy, trail.events, {
    keyArn,
    identityPolicies: () => identity,
  })
  const show = (calls: typeof refused) =>
    calls.map(({ action, caller }) => `${action} ${caller.split(/[:/]/).slice(5, 7).join("/")}`)
  return {
    refused: show(refused),
    newlyAllowed: show(newlyAllowed),
    unchanged,
    skipped: skipped.map(({ eventName }) => eventName),
  }
}

describe("replaying recorded calls against a new policy (POL-11.1)", async () => {
  const trail = await recordedTrail()
  const { key, other } = trail
  const onKey = trail.events.filter(({ resources }) => resources?.some(({ ARN }) => ARN === key)).length

  test("a policy that allows the account as before refuses nothing", () => {
    const policy = keyPolicyOf([allow(ROOT, "kms:*")])
    expect(summary(policy, trail, key, identityPoliciesOf([allowAll]))).toEqual({
      refused: [],
      newlyAllowed: [],
      unchanged: onKey - 1,
      skipped: ["CreateKey"],
    })
  })

  test("without their identity policies users and roles would be refused", () => {
    expect(summary(keyPolicyOf([allow(ROOT, "kms:*")]), trail, key).refused).toEqual([
      "kms:Encrypt assumed-role/App",
      "kms:Decrypt assumed-role/App",
      "kms:GenerateDataKey user/Bob",
      "kms:ReEncryptFrom user/Bob",
    ])
  })

  test("a policy for the role alone refuses the user, on the side of the ReEncrypt that is this key (POL-11.2)", () => {
    const policy = keyPolicyOf([
      allow(ROOT, ["kms:Create*", "kms:Schedule*"]),
      allow(APP, ["kms:Encrypt", "kms:Decrypt"]),
    ])
    expect(summary(policy, trail, key).refused).toEqual(["kms:GenerateDataKey user/Bob", "kms:ReEncryptFrom user/Bob"])
    expect(summary(policy, trail, other).refused).toEqual(["kms:ReEncryptTo user/Bob", "kms:Encrypt user/Bob"])
  })

  test("conditions see what was recorded: context, alias, waiting period, time", () => {
    const refusedWith = (Condition: object, Effect = "Allow"): string[] =>
      summary(
        keyPolicyOf([
          allow(ROOT, "kms:*"),
          {
            Effect,
            Principal: "*",
            Action: ["kms:Encrypt", "kms:Decrypt", "kms:Generate*", "kms:ReEncrypt*", "kms:Schedule*"],
            Resource: "*",
            Condition,
          },
        ]),
        trail,
        key,
      ).refused
    expect(refusedWith({ StringEquals: { "kms:EncryptionContext:tenant": "42" } })).toEqual([
      "kms:GenerateDataKey user/Bob",
    ])
    expect(refusedWith({ StringEquals: { "kms:RequestAlias": "alias/app" } })).not.toContain(
      "kms:Encrypt assumed-role/App",
    )
    expect(refusedWith({ StringEquals: { "kms:RequestAlias": "alias/app" } })).toContain("kms:Decrypt assumed-role/App")
    expect(refusedWith({ DateGreaterThan: { "aws:CurrentTime": "2020-01-01T00:00:00Z" } })).toEqual([])
    expect(refusedWith({ NumericLessThan: { "kms:ScheduleKeyDeletionPendingWindowInDays": 30 } }, "Deny")).toContain(
      "kms:ScheduleKeyDeletion root",
    )
    expect(refusedWith({ Bool: { "kms:ReEncryptOnSameKey": false } })).not.toContain("kms:ReEncryptFrom user/Bob")
  })

  test("a policy that opens the key tells what it would newly allow", () => {
    const policy = keyPolicyOf([allow(ROOT, "kms:*"), allow(rootOf(OTHER), "kms:Encrypt")])
    const result = summary(policy, trail, key, identityPoliciesOf([allowAll]))
    expect(result.refused).toEqual([])
    expect(result.newlyAllowed).toEqual(["kms:Encrypt user/Carol"])
  })

  test("grants of today are taken into account", () => {
    const { refused } = replay(keyPolicyOf([allow(ROOT, "kms:*")]), trail.events, {
      keyArn: key,
      identityPolicies: () => [],
      grants: ({ caller }) => [{ grantId: "g", allows: caller.identityArn === APP, why: "" }],
    })
    expect(refused.map(({ caller }) => caller)).toEqual([BOB, BOB])
  })

  test("a call that failed for another reason was allowed, and stays so", () => {
    const [encrypt] = trail.events.filter(({ eventName }) => eventName === "Encrypt")
    const failed = { ...encrypt!, errorCode: "DisabledException", errorMessage: "" }
    const policy = keyPolicyOf([allow(APP, "kms:*")])
    expect(replay(policy, [failed], { keyArn: key, identityPolicies: () => [] })).toMatchObject({
      refused: [],
      newlyAllowed: [],
      unchanged: 1,
    })
  })

  test("a ReEncrypt that was refused at its destination says nothing about a source", () => {
    const [reEncrypt] = trail.events.filter(({ eventName }) => eventName === "ReEncrypt")
    const atDestination = {
      ...reEncrypt!,
      errorCode: "AccessDenied",
      resources: reEncrypt!.resources!.filter(({ ARN }) => ARN === other),
    }
    const policy = keyPolicyOf([allow(BOB, "kms:ReEncryptTo")])
    const { newlyAllowed } = replay(policy, [atDestination], { keyArn: other, identityPolicies: () => [] })
    expect(newlyAllowed.map(({ action }) => action)).toEqual(["kms:ReEncryptTo"])
  })

  test("events that no policy decided are left out", () => {
    const [event] = trail.events.filter(({ eventName }) => eventName === "Encrypt")
    const service = { ...event!, eventType: "AwsServiceEvent" as const }
    const nobody = { ...event!, userIdentity: { accountId: ACCOUNT, invokedBy: "AWS Internal" } }
    const result = replay(keyPolicyOf([allow(ROOT, "kms:*")]), [service, nobody], {
      keyArn: key,
      identityPolicies: () => [],
    })
    expect(result).toEqual({ refused: [], newlyAllowed: [], unchanged: 0, skipped: [nobody] })
  })

  test("an event through a service has kms:ViaService, and its grants are for AWS resources", () => {
    const [event] = trail.events.filter(({ eventName }) => eventName === "Encrypt")
    const through = {
      ...event!,
      eventName: "CreateGrant",
      userIdentity: { ...event!.userIdentity, invokedBy: "ec2.amazonaws.com" },
      requestParameters: {
        keyId: key,
        granteePrincipal: BOB,
        operations: ["Decrypt"],
        constraints: { encryptionContextSubset: { "aws:ebs:id": "vol-1" } },
      },
    }
    const Condition = {
      StringEquals: {
        "kms:ViaService": "ec2.us-west-2.amazonaws.com",
        "kms:GranteePrincipal": BOB,
        "kms:GrantConstraintType": "EncryptionContextSubset",
        "kms:EncryptionContext:aws:ebs:id": "vol-1",
      },
      "ForAllValues:StringEquals": { "kms:GrantOperations": ["Decrypt", "Encrypt"] },
      Bool: { "kms:GrantIsForAWSResource": true },
    }
    const policy = keyPolicyOf([allow(APP, "kms:CreateGrant", { Condition })])
    const outcome = (event: typeof through) =>
      replay(policy, [event], { keyArn: key, identityPolicies: () => [] }).refused.length
    expect(outcome(through)).toBe(0)
    expect(outcome({ ...through, userIdentity: { ...event!.userIdentity, invokedBy: "AWS Internal" } })).toBe(1)
  })
})
