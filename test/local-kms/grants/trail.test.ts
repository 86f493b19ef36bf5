import { expect, test } from "vitest"
import { ACCOUNT, DENIED, outcome, Plaintext, role } from "../authorization/world.ts"
import { senderOf } from "../doors.ts"
import { REGION, sendTo } from "../helpers.ts"
import { APP, CLERK, encrypts, grantWorld } from "./grant-world.ts"

test("GRT-6.3: making, revoking and retiring leave the events that CloudTrail records", async () => {
  const { kms, owner, KeyId, grant, clerk } = await grantWorld()
  const Constraints = { EncryptionContextSubset: { ContextKey1: "Value1" } }
  const input = { RetiringPrincipal: CLERK, Operations: ["Encrypt", "RetireGrant"], Constraints, Name: "n" }
  const first = await grant(input)
  const second = await grant({ ...input, Name: "m" })
  await owner("RevokeGrant", { KeyId, GrantId: first.GrantId })
  await clerk("RetireGrant", { GrantToken: second.GrantToken })
  const third = await grant(input)
  await owner("RetireGrant", { KeyId, GrantId: third.GrantId })
  await owner("ListGrants", { KeyId })
  const last = async (eventName: string) => (await kms.events({ eventName })).at(-1)!
  const common = {
    eventSource: "kms.amazonaws.com",
    awsRegion: REGION,
    eventType: "AwsApiCall",
    readOnly: false,
    resources: [{ accountId: ACCOUNT, type: "AWS::KMS::Key", ARN: KeyId }],
  }
  const [made] = await kms.events({ eventName: "CreateGrant" })
  expect(made).toMatchObject(common)
  expect(made!.requestParameters).toEqual({
    keyId: KeyId,
    granteePrincipal: APP,
    retiringPrincipal: CLERK,
    operations: ["Encrypt", "RetireGrant"],
    constraints: { encryptionContextSubset: { ContextKey1: "Value1" } },
    name: "n",
  })
  expect(made!.responseElements).toEqual({ grantId: first.GrantId, keyId: KeyId })
  const revoked = await last("RevokeGrant")
  expect(revoked).toMatchObject(common)
  expect(revoked.requestParameters).toEqual({ keyId: KeyId, grantId: first.GrantId })
  expect(revoked.responseElements).toEqual({ keyId: KeyId })
  const [byToken, byId] = await kms.events({ eventName: "RetireGrant" })
  expect(byToken).toMatchObject({
    ...common,
    userIdentity: { sessionContext: { sessionIssuer: { arn: CLERK } } },
    requestParameters: {},
    responseElements: { keyId: KeyId },
    additionalEventData: { grantId: second.GrantId },
  })
  expect(byId).toMatchObject({ ...common, requestParameters: { keyId: KeyId, grantId: third.GrantId } })
  expect(await last("ListGrants")).toMatchObject({ readOnly: true, responseElements: null })
})

test("GRT-6.2: no event, error or list shows a token, not even of a request that is refused", async () => {
  const { kms, owner, KeyId, grant, app } = await grantWorld()
  const { GrantToken, GrantId } = await grant({ Name: "n", RetiringPrincipal: CLERK })
  const errors: unknown[] = []
  const failing = (operation: string, input: object) =>
    owner(operation, input).then(
      () => expect.fail("the call should have failed"),
      (error) => errors.push(error.message),
    )
  await app("Encrypt", { KeyId, Plaintext, GrantTokens: [GrantToken] })
  await grant({ Name: "n", RetiringPrincipal: CLERK, GrantTokens: [GrantToken] })
  await failing("Encrypt", { KeyId, Plaintext, GrantTokens: Array.from({ length: 11 }, () => GrantToken) })
  await failing("Encrypt", { KeyId, Plaintext, GrantTokens: [GrantToken, GrantToken.repeat(100)] })
  await failing("Encrypt", { KeyId, Plaintext, GrantTokens: [`${GrantToken}x`] })
  await failing("RetireGrant", { GrantToken: GrantToken.repeat(100) })
  await failing("RetireGrant", { GrantToken, KeyId, GrantId })
  await failing("RetireGrant", { GrantToken, DryRun: true })
  const shown = JSON.stringify([
    await kms.events(),
    errors,
    (await owner("ListGrants", { KeyId })).Grants,
    (await owner("ListRetirableGrants", { RetiringPrincipal: CLERK })).Grants,
    await kms.explain({ action: "Encrypt", keyId: KeyId, principal: APP, grantTokens: [GrantToken] }),
  ])
  expect(errors).toHaveLength(6)
  expect(shown).not.toContain(GrantToken.slice(0, 40))
  expect(shown).not.toContain(GrantToken.slice(-40))
})

/** The way of an EBS volume: EC2 makes the data key and a grant for the instance, which decrypts through EC2. */
test.each(["a customer's key", "alias/aws/ebs"])(
  "an EBS volume under %s: grant, decrypt, revoke, refused",
  async (which) => {
    const { kms, owner, KeyId: customers } = await grantWorld()
    const named = which === "alias/aws/ebs" ? which : customers
    const EncryptionContext = { "aws:ebs:id": "vol-0cfb133e847d28be9" }
    const instance = `arn:aws:sts::${ACCOUNT}:assumed-role/aws:ec2-infrastructure/i-0123456789abcdef0`
    const ALICE = role("Alice")
    await kms.principals.createRole({
      name: "Alice",
      policies: {
        volumes: {
          Version: "2012-10-17",
          Statement: [
            { Effect: "Allow", Action: "kms:GenerateDataKeyWithoutPlaintext", Resource: "*" },
            {
              Effect: "Allow",
              Action: ["kms:CreateGrant", "kms:RevokeGrant"],
              Resource: "*",
              Condition: { Bool: { "kms:GrantIsForAWSResource": "true" } },
            },
          ],
        },
      },
    })
    const forAlice = senderOf(kms.service("ec2").client({ onBehalfOf: ALICE }))
    const forInstance = senderOf(kms.service("ec2").client({ onBehalfOf: instance }))

    const volume = await forAlice("GenerateDataKeyWithoutPlaintext", {
      KeyId: named,
      NumberOfBytes: 64,
      EncryptionContext,
    })
    const { CiphertextBlob, KeyId } = volume
    const attach = { KeyId, GranteePrincipal: instance, Operations: ["Decrypt"], RetiringPrincipal: instance }
    const Constraints = { EncryptionContextSubset: EncryptionContext }
    // Alice alone cannot make the grant: her policy lets EC2 only.
    const alone = sendTo(kms.directClient({ principal: ALICE }))
    await expect(alone("CreateGrant", { ...attach, Constraints })).rejects.toMatchObject({ name: DENIED })
    const decrypt = (context: object) => forInstance("Decrypt", { CiphertextBlob, EncryptionContext: context })
    if (named === customers) expect(await outcome(decrypt(EncryptionContext))).toBe(DENIED)
    const { GrantId } = await forAlice("CreateGrant", { ...attach, Constraints })

    expect((await decrypt(EncryptionContext)).Plaintext).toHaveLength(64)
    const [made] = await kms.events({ eventName: "CreateGrant", last: 1 })
    expect(made).toMatchObject({
      sourceIPAddress: "ec2.amazonaws.com",
      userIdentity: { invokedBy: "AWS Internal" },
      requestParameters: { granteePrincipal: instance, constraints: { encryptionContextSubset: EncryptionContext } },
      responseElements: { grantId: GrantId, keyId: KeyId },
    })
    const [decrypted] = await kms.events({ eventName: "Decrypt", last: 1 })
    expect(decrypted).toMatchObject({
      userIdentity: { type: "AssumedRole", arn: instance, invokedBy: "AWS Internal" },
      requestParameters: { encryptionContext: EncryptionContext },
    })

    await forAlice("RevokeGrant", { KeyId, GrantId })
    if (named !== customers) {
      // The AWS managed key is for all of the account, through EC2; nobody reaches it otherwise, with a grant or without.
      const direct = sendTo(kms.directClient({ principal: instance }))
      await expect(direct("Decrypt", { CiphertextBlob, EncryptionContext })).rejects.toMatchObject({ name: DENIED })
      return
    }
    expect(await outcome(decrypt(EncryptionContext))).toBe(DENIED)
    expect(await encrypts(owner, KeyId)).toBe("ok")
  },
)
