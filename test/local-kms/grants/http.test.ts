import { KMSClient } from "@aws-sdk/client-kms"
import { expect, onTestFinished, test } from "vitest"
import { DENIED, keyPolicy, outcome, role, root, world } from "../authorization/world.ts"
import { senderOf } from "../doors.ts"
import type { Send } from "../helpers.ts"

const OPERATOR = role("Operator")
const INSTANCE = "arn:aws:sts::111122223333:assumed-role/aws:ec2-infrastructure/i-0123456789abcdef0"

test("over HTTP, grants for AWS resources are made with an access key of a service, and with no other", async () => {
  const { kms, owner, createKey } = world()
  const ForResources = {
    Principal: { AWS: OPERATOR },
    Action: ["kms:GenerateDataKeyWithoutPlaintext", "kms:CreateGrant", "kms:RevokeGrant"],
    Condition: { StringEquals: { "kms:ViaService": "ec2.us-east-1.amazonaws.com" } },
  }
  const KeyId = await createKey(keyPolicy({ Principal: { AWS: root() }, Action: "kms:*" }, ForResources))
  const { endpoint } = await kms.listen({ port: 0 })
  const signedBy = async (principal: string, service?: string): Promise<Send> => {
    const credentials = await kms.accessKeys.create({ principal, ...(service !== undefined && { service }) })
    const client = new KMSClient({ endpoint, region: "us-east-1", credentials })
    onTestFinished(() => client.destroy())
    // What a caller says of itself in a request is nobody's business.
    client.middlewareStack.add(
      (next) => (args) => {
        const { headers } = args.request as { headers: Record<string, string> }
        Object.assign(headers, { "x-amz-source-arn": "arn:aws:s3:::b", "x-amz-via-service": "ec2.amazonaws.com" })
        return next(args)
      },
      { step: "build" },
    )
    return senderOf(client)
  }
  const EncryptionContext = { "aws:ebs:id": "vol-0cfb133e847d28be9" }
  const ec2 = await signedBy(OPERATOR, "ec2")
  const instance = await signedBy(INSTANCE, "ec2")
  const { CiphertextBlob } = await ec2("GenerateDataKeyWithoutPlaintext", {
    KeyId,
    NumberOfBytes: 64,
    EncryptionContext,
  })
  const grant = { KeyId, GranteePrincipal: INSTANCE, Operations: ["Decrypt"] }
  for (const send of [await signedBy(OPERATOR), await signedBy(OPERATOR, "s3")])
    expect(await outcome(send("CreateGrant", grant))).toBe(DENIED)
  const Constraints = { EncryptionContextEquals: EncryptionContext }
  const { GrantId } = await ec2("CreateGrant", { ...grant, Constraints })
  expect((await instance("Decrypt", { CiphertextBlob, EncryptionContext })).Plaintext).toHaveLength(64)
  await ec2("RevokeGrant", { KeyId, GrantId })
  expect(await outcome(instance("Decrypt", { CiphertextBlob, EncryptionContext }))).toBe(DENIED)
  expect((await owner("ListGrants", { KeyId })).Grants).toEqual([])
})
