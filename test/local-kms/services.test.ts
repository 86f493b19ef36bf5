import { DecryptCommand, GenerateDataKeyCommand } from "@aws-sdk/client-kms"
import { expect, test } from "vitest"
import { ACCOUNT, createKey, memoryKms, REGION, register, sendTo } from "./helpers.ts"

const NOW = Date.UTC(2026, 4, 20, 20, 45)
const ROLE = `arn:aws:iam::${ACCOUNT}:role/Admin`
const SESSION = `arn:aws:sts::${ACCOUNT}:assumed-role/Admin/user01`

test("an S3 read leaves the record that CloudTrail publishes, field by field", async () => {
  const { kms, send } = memoryKms({ clock: () => NOW })
  await register(kms, ROLE)
  const { keyId, arn } = await createKey(send)
  const s3 = kms.service("s3").client({ onBehalfOf: SESSION })
  const EncryptionContext = { "aws:s3:arn": "arn:aws:s3:::bucket/key" }
  const { CiphertextBlob, KeyMaterialId } = await s3.send(
    new GenerateDataKeyCommand({ KeyId: keyId, KeySpec: "AES_256", EncryptionContext }),
  )
  const { $metadata } = await s3.send(new DecryptCommand({ CiphertextBlob, EncryptionContext }))
  const UUID = expect.stringMatching(/^[0-9a-f-]{36}$/)
  const ROLE_ID = /^AROA[A-Z2-7]{17}$/
  expect((await kms.events({ eventName: "Decrypt" }))[0]).toEqual({
    eventVersion: "1.11",
    userIdentity: {
      type: "AssumedRole",
      principalId: expect.stringMatching(/^AROA[A-Z2-7]{17}:user01$/),
      arn: SESSION,
      accountId: ACCOUNT,
      sessionContext: {
        sessionIssuer: {
          type: "Role",
          principalId: expect.stringMatching(ROLE_ID),
          arn: `arn:aws:iam::${ACCOUNT}:role/Admin`,
          accountId: ACCOUNT,
          userName: "Admin",
        },
        attributes: { creationDate: "2026-05-20T20:45:00Z", mfaAuthenticated: "false" },
      },
      invokedBy: "AWS Internal",
    },
    eventTime: "2026-05-20T20:45:00Z",
    eventSource: "kms.amazonaws.com",
    eventName: "Decrypt",
    awsRegion: REGION,
    sourceIPAddress: "s3.amazonaws.com",
    userAgent: "s3.amazonaws.com",
    requestParameters: { encryptionAlgorithm: "SYMMETRIC_DEFAULT", encryptionContext: EncryptionContext },
    responseElements: null,
    additionalEventData: { keyMaterialId: KeyMaterialId },
    requestID: $metadata.requestId,
    eventID: UUID,
    readOnly: true,
    resources: [{ accountId: ACCOUNT, type: "AWS::KMS::Key", ARN: arn }],
    eventType: "AwsApiCall",
    managementEvent: true,
    recipientAccountId: ACCOUNT,
    eventCategory: "Management",
  })
})

test("a caller cannot claim to be a service", async () => {
  const { kms, send } = memoryKms()
  await register(kms, ROLE)
  const { keyId } = await createKey(send)
  const client = kms.directClient({ principal: SESSION, service: { name: "s3", endpoint: "s3" } } as object)
  await sendTo(client)("GenerateDataKey", { KeyId: keyId, KeySpec: "AES_256" })
  const [event] = await kms.events({ eventName: "GenerateDataKey" })
  expect(event!.userIdentity).not.toHaveProperty("invokedBy")
  await expect(sendTo(client)("GenerateDataKey", { KeyId: "alias/aws/s3", KeySpec: "AES_256" })).rejects.toMatchObject({
    name: "NotFoundException",
  })
})

test("a volume is EC2's: that is the service in kms:ViaService and in the trail", async () => {
  const { kms } = memoryKms()
  const ebs = kms.service("ebs")
  expect(ebs.name).toBe("ebs")
  expect(kms.service("ec2").name).toBe("ebs")
  await sendTo(ebs.directClient({ onBehalfOf: SESSION }))("GenerateDataKeyWithoutPlaintext", {
    KeyId: "alias/aws/ebs",
    NumberOfBytes: 64,
    EncryptionContext: { "aws:ebs:id": "vol-0cfb133e847d28be9" },
  })
  expect((await kms.events({ last: 1 }))[0]).toMatchObject({
    sourceIPAddress: "ec2.amazonaws.com",
    requestParameters: { keyId: "alias/aws/ebs", numberOfBytes: 64 },
  })
})
