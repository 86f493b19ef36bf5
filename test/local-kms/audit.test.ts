import { EncryptCommand } from "@aws-sdk/client-kms"
import { expect, test } from "vitest"
import { LocalKms } from "../../src/local-kms/index.ts"
import { ACCOUNT, bytes, createKey, memoryKms, OTHER_ACCOUNT_ROLE, REGION, register, sendTo } from "./helpers.ts"

const NOW = Date.UTC(2026, 4, 20, 20, 45, 0, 123)
const UUID = expect.stringMatching(/^[0-9a-f-]{36}$/)

test("a Decrypt leaves the event that CloudTrail would show", async () => {
  const { kms, send } = memoryKms({ clock: () => NOW })
  const { keyId, arn } = await createKey(send)
  const EncryptionContext = { Department: "Engineering" }
  const { CiphertextBlob, KeyMaterialId } = await send("GenerateDataKey", {
    KeyId: keyId,
    KeySpec: "AES_256",
    EncryptionContext,
  })
  await register(kms, `arn:aws:iam::${ACCOUNT}:user/Alice`)
  const alice = sendTo(kms.directClient({ principal: `arn:aws:iam::${ACCOUNT}:user/Alice` }))
  const { $metadata } = await alice("Decrypt", { CiphertextBlob, EncryptionContext })
  const events = await kms.events({ eventSource: "kms.amazonaws.com" })
  expect(events.map(({ eventName }) => eventName)).toEqual(["CreateKey", "GenerateDataKey", "Decrypt"])
  expect(events[2]).toEqual({
    eventVersion: "1.11",
    userIdentity: {
      type: "IAMUser",
      principalId: expect.stringMatching(/^AIDA[A-Z2-7]{17}$/),
      arn: `arn:aws:iam::${ACCOUNT}:user/Alice`,
      accountId: ACCOUNT,
      userName: "Alice",
    },
    eventTime: "2026-05-20T20:45:00Z",
    eventSource: "kms.amazonaws.com",
    eventName: "Decrypt",
    awsRegion: REGION,
    sourceIPAddress: "127.0.0.1",
    userAgent: "kms-envelope",
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

test("a change of a key is not read-only, and its event answers with the key's ARN", async () => {
  const { kms, send } = memoryKms()
  const { keyId, arn } = await createKey(send, { Tags: [{ TagKey: "team", TagValue: "a" }] })
  await send("DisableKey", { KeyId: keyId })
  await send("CreateAlias", { AliasName: "alias/a", TargetKeyId: keyId })
  const [created, disabled, alias] = await kms.events()
  expect(created).toMatchObject({
    readOnly: false,
    requestParameters: { tags: [{ tagKey: "team", tagValue: "a" }] },
    responseElements: { keyMetadata: { keyId, arn, keyState: "Enabled" } },
    resources: [{ ARN: arn }],
  })
  expect(disabled).toMatchObject({ readOnly: false, requestParameters: { keyId }, responseElements: { keyId: arn } })
  expect(alias).toMatchObject({
    readOnly: false,
    requestParameters: { aliasName: "alias/a", targetKeyId: keyId },
    responseElements: { keyId: arn },
    resources: [
      { type: "AWS::KMS::Alias", ARN: `arn:aws:kms:${REGION}:${ACCOUNT}:alias/a` },
      { type: "AWS::KMS::Key", ARN: arn },
    ],
  })
})

test("KMS-3.7: refused and failed requests are recorded with their error", async () => {
  const { kms, send } = memoryKms()
  const { keyId, arn } = await createKey(send)
  const stranger = sendTo(kms.directClient({ principal: OTHER_ACCOUNT_ROLE }))
  await expect(stranger("Encrypt", { KeyId: arn, Plaintext: bytes(1) })).rejects.toThrow()
  await expect(send("Encrypt", { KeyId: keyId, Plaintext: bytes(4097) })).rejects.toThrow()
  await expect(send("Sign", { KeyId: keyId })).rejects.toThrow()
  const [, refused, invalid, unsupported] = await kms.events()
  expect(refused).toMatchObject({
    eventName: "Encrypt",
    errorCode: "AccessDenied",
    errorMessage: expect.stringContaining("is not authorized to perform: kms:Encrypt"),
    userIdentity: { type: "AssumedRole", accountId: "444455556666" },
    requestParameters: { keyId: arn },
    resources: [{ ARN: arn }],
    recipientAccountId: "444455556666",
  })
  expect(invalid).toMatchObject({ errorCode: "ValidationException", requestParameters: null, responseElements: null })
  expect(unsupported).toMatchObject({ eventName: "Sign", errorCode: "UnsupportedOperationException" })
})

test("no event holds plaintext, ciphertext, a data key or key material", async () => {
  const { kms, send } = memoryKms()
  const { keyId } = await createKey(send)
  const Plaintext = new TextEncoder().encode("attack at dawn, said the general")
  const encrypted = await kms.client().send(new EncryptCommand({ KeyId: keyId, Plaintext }))
  const dataKey = await send("GenerateDataKey", { KeyId: keyId, KeySpec: "AES_256" })
  await send("Decrypt", { CiphertextBlob: encrypted.CiphertextBlob })
  await send("ReEncrypt", { CiphertextBlob: encrypted.CiphertextBlob, DestinationKeyId: keyId })
  await expect(send("Encrypt", { KeyId: keyId, Plaintext: bytes(5000) })).rejects.toThrow()
  await expect(send("Encrypt", { KeyId: "bad", Plaintext })).rejects.toThrow()
  const trail = JSON.stringify(await kms.events())
  for (const secret of [Plaintext, encrypted.CiphertextBlob!, dataKey.Plaintext, dataKey.CiphertextBlob])
    for (const encoding of ["base64", "base64url", "hex", "latin1"] as const)
      expect(trail).not.toContain(Buffer.from(secret).toString(encoding).slice(0, 20))
})

test("events are found by name, key, error, caller and time", async () => {
  let now = NOW
  const { kms, send } = memoryKms({ clock: () => now })
  const first = await createKey(send)
  const second = await createKey(send)
  now += 60_000
  await register(kms, `arn:aws:iam::${ACCOUNT}:role/AppA`)
  const role = sendTo(kms.directClient({ principal: `arn:aws:iam::${ACCOUNT}:role/AppA` }))
  await role("DescribeKey", { KeyId: first.keyId })
  await expect(role("DescribeKey", { KeyId: "nothing" })).rejects.toThrow()
  await send("DescribeKey", { KeyId: second.keyId })
  const names = async (query: Parameters<LocalKms["events"]>[0]): Promise<string[]> =>
    (await kms.events(query)).map(({ eventName }) => eventName)
  expect(await names({ eventName: "CreateKey" })).toEqual(["CreateKey", "CreateKey"])
  expect(await names({ keyArn: first.arn })).toEqual(["CreateKey", "DescribeKey"])
  expect(await names({ errorCode: "NotFoundException" })).toEqual(["DescribeKey"])
  expect(await names({ errorCode: null, eventName: "DescribeKey" })).toEqual(["DescribeKey", "DescribeKey"])
  const session = `arn:aws:sts::${ACCOUNT}:assumed-role/AppA/kms-envelope`
  expect(await names({ principal: session })).toEqual(["DescribeKey", "DescribeKey"])
  expect(await names({ since: new Date(now), eventSource: "iam.amazonaws.com" })).toEqual([
    "CreateRole",
    "PutRolePolicy",
  ])
  expect(await names({ since: new Date(now), eventSource: "kms.amazonaws.com" })).toEqual([
    "DescribeKey",
    "DescribeKey",
    "DescribeKey",
  ])
  expect(await names({ until: new Date(now - 1000) })).toEqual(["CreateKey", "CreateKey"])
  expect(await names({ last: 2 })).toEqual(["DescribeKey", "DescribeKey"])
  expect(await names({ last: 0 })).toEqual([])
})

test("in memory the oldest events are dropped, and the counts stay", async () => {
  const kms = LocalKms.inMemory({ maxEvents: 500 })
  const send = sendTo(kms.directClient())
  for (let i = 0; i < 2500; i++) await send("GenerateRandom", { NumberOfBytes: 1 })
  const events = await kms.events()
  expect(events.length).toBeGreaterThanOrEqual(500)
  expect(events.length).toBeLessThan(1600)
  expect((await kms.usage()).requests).toBe(2500)
  await kms.close()
})

test("KMS-3.8: usage counts every request by operation, key and month", async () => {
  let now = Date.UTC(2026, 0, 31, 23, 59)
  const { kms, send } = memoryKms({ clock: () => now })
  const { keyId, arn } = await createKey(send)
  await send("GenerateDataKey", { KeyId: keyId, KeySpec: "AES_256" })
  now += 60_000
  await send("GenerateDataKey", { KeyId: keyId, KeySpec: "AES_256" })
  await expect(send("GenerateDataKey", { KeyId: keyId })).rejects.toThrow()
  await send("GenerateRandom", { NumberOfBytes: 1 })
  expect(await kms.usage()).toEqual({
    requests: 5,
    byOperation: { CreateKey: 1, GenerateDataKey: 3, GenerateRandom: 1 },
    byKey: { [arn]: { CreateKey: 1, GenerateDataKey: 3 } },
    byMonth: { "2026-01": 2, "2026-02": 3 },
  })
})
