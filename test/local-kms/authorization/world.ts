import * as sdk from "@aws-sdk/client-kms"
import { onTestFinished } from "vitest"
import { LocalKms, type LocalKmsOptions } from "../../../src/local-kms/index.ts"
import { senderOf } from "../doors.ts"
import type { Send } from "../helpers.ts"

export const ACCOUNT = "111122223333"
export const OTHER = "444455556666"
export const user = (name: string, account = ACCOUNT): string => `arn:aws:iam::${account}:user/${name}`
export const role = (name: string, account = ACCOUNT): string => `arn:aws:iam::${account}:role/${name}`
export const root = (account = ACCOUNT): string => `arn:aws:iam::${account}:root`

/** An identity policy. */
export const allows = (Action: string | readonly string[], Resource: string = "*"): object => ({
  Version: "2012-10-17",
  Statement: { Effect: "Allow", Action, Resource },
})

/** A key policy of these statements, each about this key. */
export const keyPolicy = (...statements: readonly object[]): string =>
  JSON.stringify({
    Version: "2012-10-17",
    Statement: statements.map((statement) => ({ Effect: "Allow", Resource: "*", ...statement })),
  })

/** What the default key policy says. */
export const delegation = { Principal: { AWS: root() }, Action: "kms:*" }

/** An embedded KMS, called through the AWS SDK's client. */
export function world(options: LocalKmsOptions = {}) {
  const kms = LocalKms.inMemory(options)
  onTestFinished(() => kms.close())
  const as = (principal: string, service?: string): Send =>
    senderOf(service === undefined ? kms.client({ principal }) : kms.service(service).client({ onBehalfOf: principal }))
  const owner = as(root())
  const createKey = async (Policy?: string | object): Promise<string> =>
    (await owner("CreateKey", { Policy: typeof Policy === "object" ? JSON.stringify(Policy) : Policy })).KeyMetadata.Arn
  return { kms, as, owner, createKey }
}

/** How a call ended: `ok`, or the name of the error. */
export const outcome = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => "ok",
    (error: Error) => {
      if (!(error instanceof sdk.KMSServiceException)) throw error
      return error.name
    },
  )

export const DENIED = "AccessDeniedException"
export const Plaintext = new Uint8Array([1, 2, 3])

/** Which of these operations a caller may call on a key. Every other error than a refusal comes after permission. */
export async function permitted(
  { createKey, owner }: ReturnType<typeof world>,
  caller: Send,
  policy: string,
  operations: readonly string[],
): Promise<string[]> {
  const allowed: string[] = []
  for (const operation of operations) {
    // A key for each: some operations change what the next one finds.
    const KeyId = await createKey(policy)
    const { CiphertextBlob } = await owner("Encrypt", { KeyId, Plaintext })
    if ((await outcome(caller(operation, inputOf(operation, KeyId, CiphertextBlob)))) !== DENIED)
      allowed.push(operation)
  }
  return allowed
}

const inputs: Readonly<Record<string, object>> = {
  Encrypt: { Plaintext },
  GenerateDataKey: { KeySpec: "AES_256" },
  GenerateDataKeyWithoutPlaintext: { KeySpec: "AES_256" },
  PutKeyPolicy: { Policy: keyPolicy(delegation) },
  UpdateKeyDescription: { Description: "changed" },
  TagResource: { Tags: [{ TagKey: "a", TagValue: "b" }] },
  UntagResource: { TagKeys: ["a"] },
  ScheduleKeyDeletion: { PendingWindowInDays: 7 },
  ReplicateKey: { ReplicaRegion: "eu-west-1" },
  GetParametersForImport: { WrappingAlgorithm: "RSAES_OAEP_SHA_256", WrappingKeySpec: "RSA_2048" },
}

function inputOf(operation: string, KeyId: string, CiphertextBlob: Uint8Array): object {
  if (operation === "Decrypt") return { KeyId, CiphertextBlob }
  if (operation === "ReEncrypt") return { CiphertextBlob, SourceKeyId: KeyId, DestinationKeyId: KeyId }
  return { KeyId, ...inputs[operation] }
}

export const USES = ["Encrypt", "Decrypt", "ReEncrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext"]
export const CHANGES = [
  "PutKeyPolicy",
  "UpdateKeyDescription",
  "TagResource",
  "UntagResource",
  "EnableKey",
  "DisableKey",
  "EnableKeyRotation",
  "DisableKeyRotation",
  "ScheduleKeyDeletion",
  "CancelKeyDeletion",
]
export const VIEWS = ["DescribeKey", "GetKeyPolicy", "ListKeyPolicies", "GetKeyRotationStatus", "ListResourceTags"]
const OTHERS = ["RotateKeyOnDemand", "ReplicateKey", "GetParametersForImport"]
export const OPERATIONS = [...USES, ...CHANGES, ...VIEWS, ...OTHERS]
