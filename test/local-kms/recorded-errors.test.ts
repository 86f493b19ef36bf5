import { describe, expect, test } from "vitest"
import { keyMaterialId } from "../../src/local-kms/ciphertext.ts"
import type { LocalKms } from "../../src/local-kms/index.ts"
import { ACCOUNT, bytes, createKey, memoryKms, REGION, type Send, sendTo } from "./helpers.ts"
import { FOREVER, importInto, WRAPPING } from "./importing.ts"

interface Prepared {
  /** An enabled symmetric key. */
  readonly arn: string
  readonly keyId: string
  readonly otherRegion: Send
}

interface Row {
  readonly name: string
  readonly message: string | ((prepared: Prepared) => string)
  readonly when: string
  call(send: Send, prepared: Prepared): Promise<unknown>
}

const UNKNOWN_ID = "134f2428-cec1-4b25-a1ae-9048164dba47"
const MRK_ID = `mrk-${"0".repeat(32)}`
const arnOf = (keyId: string, region = REGION): string => `arn:aws:kms:${region}:${ACCOUNT}:key/${keyId}`
const failed = (value: string, path: string, constraint: string): string =>
  `1 validation error detected: ${value} at '${path}' failed to satisfy constraint: ${constraint}`

const APP = `arn:aws:iam::${ACCOUNT}:role/App`
const grantOn = ({ arn }: Prepared): object => ({ KeyId: arn, GranteePrincipal: APP, Operations: ["Encrypt"] })

/** Replies of AWS KMS as recorded there, for the operations that exist here. */
const rows: readonly Row[] = [
  {
    name: "DryRunOperationException",
    message: "The request would have succeeded, but the DryRun option is set.",
    when: "DryRun is set",
    call: (send, { keyId }) => send("GenerateDataKey", { KeyId: keyId, KeySpec: "AES_256", DryRun: true }),
  },
  ...Object.entries({
    CreateGrant: (key: Prepared) => grantOn(key),
    RevokeGrant: (key: Prepared, GrantId: string) => ({ KeyId: key.arn, GrantId }),
    RetireGrant: (key: Prepared, GrantId: string) => ({ KeyId: key.arn, GrantId }),
  }).map(
    ([operation, input]): Row => ({
      name: "DryRunOperationException",
      message: "The request would have succeeded, but the DryRun option is set.",
      when: `DryRun is set in ${operation}`,
      async call(send, key) {
        const { GrantId } = await send("CreateGrant", grantOn(key))
        return send(operation, { ...input(key, GrantId), DryRun: true })
      },
    }),
  ),
  {
    name: "IncorrectKeyException",
    message: "The key ID in the request does not identify a CMK that can perform this operation.",
    when: "the ciphertext is under another key",
    async call(send, { keyId }) {
      const other = await createKey(send)
      const { CiphertextBlob } = await send("Encrypt", { KeyId: other.keyId, Plaintext: bytes(1) })
      return send("Decrypt", { CiphertextBlob, KeyId: keyId })
    },
  },
  {
    name: "InvalidCiphertextException",
    message: "UnknownError",
    when: "the encryption context differs (AWS sends no text)",
    async call(send, { keyId }) {
      const input = { KeyId: keyId, Plaintext: bytes(1), EncryptionContext: { a: "b" } }
      const { CiphertextBlob } = await send("Encrypt", input)
      return send("Decrypt", { CiphertextBlob, EncryptionContext: { a: "c" } })
    },
  },
  ...["134f2428cec14b25a1ae9048164dba47", "fake-key-id", "mrk-fake-key-id", "key_id"].map(
    (KeyId): Row => ({
      name: "NotFoundException",
      message: `Invalid keyId '${KeyId}'`,
      when: `the key id is ${KeyId}`,
      call: (send) => send("DescribeKey", { KeyId }),
    }),
  ),
  ...[UNKNOWN_ID, arnOf(UNKNOWN_ID), MRK_ID, arnOf(MRK_ID)].map(
    (KeyId): Row => ({
      name: "NotFoundException",
      message: `Key '${KeyId.startsWith("arn:") ? KeyId : arnOf(KeyId)}' does not exist`,
      when: `there is no key ${KeyId}`,
      call: (send) => send("DescribeKey", { KeyId }),
    }),
  ),
  ...["CreateGrant", "ListGrants", "RevokeGrant", "RetireGrant"].map(
    (operation): Row => ({
      name: "NotFoundException",
      message: `Key '${arnOf(UNKNOWN_ID)}' does not exist`,
      when: `${operation} names no key`,
      call: (send, key) => send(operation, { ...grantOn(key), GrantId: "0".repeat(64), KeyId: arnOf(UNKNOWN_ID) }),
    }),
  ),
  {
    name: "NotFoundException",
    message: "Invalid keyId 'fake-key-id'",
    when: "CreateGrant names no key at all",
    call: (send, key) => send("CreateGrant", { ...grantOn(key), KeyId: "fake-key-id" }),
  },
  {
    name: "NotFoundException",
    message: ({ keyId }) => `Key '${arnOf(keyId, "eu-west-1")}' does not exist`,
    when: "the key id lives in another Region",
    call: (_send, { keyId, otherRegion }) => otherRegion("DescribeKey", { KeyId: keyId }),
  },
  {
    name: "NotFoundException",
    message: "Invalid arn us-east-1",
    when: "the key ARN is of another Region",
    call: (_send, { arn, otherRegion }) => otherRegion("DescribeKey", { KeyId: arn }),
  },
  {
    name: "TagException",
    message: "Duplicate tag keys",
    when: "a tag key is given twice",
    call: (send) =>
      send("CreateKey", {
        Tags: [
          { TagKey: "a", TagValue: "1" },
          { TagKey: "a", TagValue: "2" },
        ],
      }),
  },
  {
    name: "TagException",
    message: "Tags beginning with aws: are reserved",
    when: "a tag key begins with aws: in any case",
    call: (send) => send("CreateKey", { Tags: [{ TagKey: "aWs:x", TagValue: "1" }] }),
  },
  {
    name: "TagException",
    message: "Too many tags",
    when: "there are 51 tags",
    call: (send) =>
      send("CreateKey", { Tags: Array.from({ length: 51 }, (_, i) => ({ TagKey: `k${i}`, TagValue: "v" })) }),
  },
  {
    name: "UnsupportedOperationException",
    message: ({ keyId }) => `${arnOf(keyId)} is not a multi-region primary key.`,
    when: "a key to replicate is no primary key",
    call: (send, { keyId }) => send("ReplicateKey", { KeyId: keyId, ReplicaRegion: "eu-west-1" }),
  },
  {
    name: "ValidationException",
    message: failed("Value '0'", "numberOfBytes", "Member must have value greater than or equal to 1"),
    when: "no random bytes are asked for",
    call: (send) => send("GenerateRandom", { NumberOfBytes: 0 }),
  },
  {
    name: "ValidationException",
    message: failed("Value '1025'", "numberOfBytes", "Member must have value less than or equal to 1024"),
    when: "1025 random bytes are asked for",
    call: (send) => send("GenerateRandom", { NumberOfBytes: 1025 }),
  },
  {
    name: "ValidationException",
    message: "NumberOfBytes is required.",
    when: "no number of random bytes is given",
    call: (send) => send("GenerateRandom", {}),
  },
  {
    name: "ValidationException",
    message: failed(
      "Value 'HMAC_random'",
      "keySpec",
      "Member must satisfy enum value set: [RSA_2048, ECC_NIST_P384, ECC_NIST_P256, ECC_NIST_P521, HMAC_384, RSA_3072, " +
        "ECC_SECG_P256K1, RSA_4096, SYMMETRIC_DEFAULT, HMAC_256, HMAC_224, HMAC_512]",
    ),
    when: "there is no such key spec",
    call: (send) => send("CreateKey", { KeySpec: "HMAC_random", KeyUsage: "GENERATE_VERIFY_MAC" }),
  },
  {
    name: "ValidationException",
    message: failed(
      "Value 'RANDOM'",
      "keyUsage",
      "Member must satisfy enum value set: [ENCRYPT_DECRYPT, SIGN_VERIFY, GENERATE_VERIFY_MAC]",
    ),
    when: "there is no such key usage",
    call: (send) => send("CreateKey", { KeySpec: "HMAC_256", KeyUsage: "RANDOM" }),
  },
  {
    name: "ValidationException",
    message: "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.",
    when: "an HMAC key has no usage",
    call: (send) => send("CreateKey", { KeySpec: "HMAC_256" }),
  },
  {
    name: "ValidationException",
    message: "KeyUsage KEY_AGREEMENT is not compatible with KeySpec RSA_2048",
    when: "usage and spec do not fit together",
    call: (send) => send("CreateKey", { KeySpec: "RSA_2048", KeyUsage: "KEY_AGREEMENT" }),
  },
  {
    name: "ValidationException",
    message: failed(
      `Value '${"a".repeat(129)}'`,
      "tags.1.member.tagKey",
      "Member must have length less than or equal to 128",
    ),
    when: "a tag key has 129 characters",
    call: (send) => send("CreateKey", { Tags: [{ TagKey: "a".repeat(129), TagValue: "v" }] }),
  },
  {
    name: "ValidationException",
    message: failed(
      `Value '${"v".repeat(257)}'`,
      "tags.1.member.tagValue",
      "Member must have length less than or equal to 256",
    ),
    when: "a tag value has 257 characters",
    call: (send) => send("CreateKey", { Tags: [{ TagKey: "k", TagValue: "v".repeat(257) }] }),
  },
  {
    name: "ValidationException",
    message: failed("Value", "plaintext", "Member must have length less than or equal to 4096"),
    when: "a plaintext has 4097 bytes, and its value is not repeated",
    call: (send, { keyId }) => send("Encrypt", { KeyId: keyId, Plaintext: bytes(4097) }),
  },
  {
    name: "ValidationException",
    message:
      'Alias must start with the prefix "alias/". Please see https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html',
    when: "an alias lacks its prefix",
    call: (send, { keyId }) => send("CreateAlias", { AliasName: "app", TargetKeyId: keyId }),
  },
]

const hmacKey = (send: Send, KeySpec: string) => createKey(send, { KeySpec, KeyUsage: "GENERATE_VERIFY_MAC" })
const failure = (promise: Promise<unknown>): Promise<Error> =>
  promise.then(
    () => expect.fail(),
    (error) => error,
  )

/** Recorded replies about keys other than an enabled symmetric one; the texts name the key that the call made. */
const otherKeys: Record<
  string,
  (send: Send, kms: LocalKms) => Promise<{ error: Error; name: string; message: string }>
> = {
  "a disabled key to rotate on demand": async (send) => {
    const { keyId, arn } = await createKey(send)
    await send("DisableKey", { KeyId: keyId })
    const error = await failure(send("RotateKeyOnDemand", { KeyId: keyId }))
    return { error, name: "DisabledException", message: `${arn} is disabled.` }
  },
  "a disabled key to grant, and one to use by a grant": async (send, kms) => {
    const { keyId, arn } = await createKey(send)
    const grant = { KeyId: keyId, GranteePrincipal: APP, Operations: ["Encrypt"] }
    await send("CreateGrant", grant)
    await send("DisableKey", { KeyId: keyId })
    const used = await failure(
      sendTo(kms.directClient({ principal: APP }))("Encrypt", { KeyId: arn, Plaintext: bytes(1) }),
    )
    const expected = { name: "DisabledException", message: `${arn} is disabled.` }
    expect(used).toMatchObject(expected)
    return { error: await failure(send("CreateGrant", grant)), ...expected }
  },
  "a key to grant that waits for its import": async (send) => {
    const { keyId, arn } = await createKey(send, { Origin: "EXTERNAL" })
    const grant = { KeyId: keyId, GranteePrincipal: APP, Operations: ["Encrypt"] }
    const message = `${arn} is pending import.`
    return { error: await failure(send("CreateGrant", grant)), name: "KMSInvalidStateException", message }
  },
  "an algorithm longer than the HMAC key": async (send) => {
    const { keyId } = await hmacKey(send, "HMAC_224")
    const input = { KeyId: keyId, Message: bytes(1), MacAlgorithm: "HMAC_SHA_256" }
    const message = "Algorithm HMAC_SHA_256 is incompatible with key spec HMAC_224."
    return { error: await failure(send("GenerateMac", input)), name: "InvalidKeyUsageException", message }
  },
  "an algorithm to verify with that is not the HMAC key's": async (send) => {
    const { keyId } = await hmacKey(send, "HMAC_256")
    const input = { KeyId: keyId, Message: bytes(1), MacAlgorithm: "HMAC_SHA_512", Mac: bytes(64) }
    const message = "Algorithm HMAC_SHA_512 is incompatible with key spec HMAC_256."
    return { error: await failure(send("VerifyMac", input)), name: "InvalidKeyUsageException", message }
  },
  "a symmetric key to make a MAC with": async (send) => {
    const { keyId, arn } = await createKey(send)
    const input = { KeyId: keyId, Message: bytes(1), MacAlgorithm: "HMAC_SHA_256" }
    const message = `${arn} key usage is ENCRYPT_DECRYPT which is not valid for GenerateMac.`
    return { error: await failure(send("GenerateMac", input)), name: "InvalidKeyUsageException", message }
  },
  "a MAC of another message (AWS sends no text)": async (send) => {
    const { keyId } = await hmacKey(send, "HMAC_256")
    const input = { KeyId: keyId, Message: bytes(1), MacAlgorithm: "HMAC_SHA_256" }
    const { Mac } = await send("GenerateMac", input)
    const error = await failure(send("VerifyMac", { ...input, Message: bytes(2), Mac }))
    return { error, name: "KMSInvalidMacException", message: "UnknownError" }
  },
  "a MAC algorithm that there is not": async (send) => {
    const { keyId } = await hmacKey(send, "HMAC_256")
    const message = failed(
      "Value 'INVALID'",
      "macAlgorithm",
      "Member must satisfy enum value set: [HMAC_SHA_384, HMAC_SHA_256, HMAC_SHA_224, HMAC_SHA_512]",
    )
    const input = { KeyId: keyId, Message: bytes(1), MacAlgorithm: "INVALID" }
    return { error: await failure(send("GenerateMac", input)), name: "ValidationException", message }
  },
  "an HMAC key to rotate on demand (AWS sends no text)": async (send) => {
    const { keyId } = await hmacKey(send, "HMAC_256")
    const error = await failure(send("RotateKeyOnDemand", { KeyId: keyId }))
    return { error, name: "UnsupportedOperationException", message: "UnknownError" }
  },
  "an imported key to rotate automatically": async (send) => {
    const { keyId, arn } = await createKey(send, { Origin: "EXTERNAL" })
    const message = `${arn} origin is EXTERNAL which is not valid for this operation.`
    const error = await failure(send("EnableKeyRotation", { KeyId: keyId }))
    return { error, name: "UnsupportedOperationException", message }
  },
  "an import into a key with material of KMS": async (send) => {
    const { keyId, arn } = await createKey(send)
    const message = `${arn} origin is AWS_KMS which is not valid for this operation.`
    const error = await failure(send("GetParametersForImport", { KeyId: keyId, ...WRAPPING }))
    return { error, name: "UnsupportedOperationException", message }
  },
  "a key that waits for its import": async (send) => {
    const { keyId, arn } = await createKey(send, { Origin: "EXTERNAL" })
    const error = await failure(send("Encrypt", { KeyId: keyId, Plaintext: bytes(1) }))
    return { error, name: "KMSInvalidStateException", message: `${arn} is pending import.` }
  },
  "material that expires, and no time": async (send) => {
    const { keyId } = await createKey(send, { Origin: "EXTERNAL" })
    const message = "A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES"
    return { error: await failure(importInto(send, keyId, bytes(32), {})), name: "ValidationException", message }
  },
  "a second material while one is pending rotation": async (send) => {
    const { keyId } = await createKey(send, { Origin: "EXTERNAL" })
    const NEW = { ...FOREVER, ImportType: "NEW_KEY_MATERIAL" }
    await importInto(send, keyId, bytes(32, 1))
    const second = await importInto(send, keyId, bytes(32, 2), NEW)
    const error = await failure(importInto(send, keyId, bytes(32, 3), NEW))
    const third = keyMaterialId(keyId, bytes(32, 3))
    const message =
      `New key material (id: ${third}) cannot be imported into KMS key ${keyId}, ` +
      `because another key material (id: ${second.KeyMaterialId}) is pending rotation.`
    return { error, name: "KMSInvalidStateException", message }
  },
  "an imported key without another material to rotate to": async (send) => {
    const { keyId, arn } = await createKey(send, { Origin: "EXTERNAL" })
    await importInto(send, keyId, bytes(32, 1))
    const message = `No available key material pending rotation for the key: ${arn}.`
    return {
      error: await failure(send("RotateKeyOnDemand", { KeyId: keyId })),
      name: "KMSInvalidStateException",
      message,
    }
  },
  "a 26th rotation on demand": async (send) => {
    const { keyId, arn } = await createKey(send)
    for (let i = 0; i < 25; i++) await send("RotateKeyOnDemand", { KeyId: keyId })
    const message =
      "The on-demand rotations limit has been reached for the given keyId. " +
      `No more on-demand rotations can be performed for this key: ${arn}`
    return {
      error: await failure(send("RotateKeyOnDemand", { KeyId: keyId })),
      name: "LimitExceededException",
      message,
    }
  },
  "a replica to replicate": async (send, kms) => {
    const { keyId, arn } = await createKey(send, { MultiRegion: true })
    await send("ReplicateKey", { KeyId: keyId, ReplicaRegion: "eu-west-1" })
    const abroad = sendTo(kms.directClient({ region: "eu-west-1" }))
    const error = await failure(abroad("ReplicateKey", { KeyId: keyId, ReplicaRegion: "eu-west-2" }))
    const message = `${arn.replace(REGION, "eu-west-1")} is not a multi-region primary key.`
    return { error, name: "UnsupportedOperationException", message }
  },
}

test.each(Object.entries(otherKeys))("error reply (recorded) for %s", async (_title, attempt) => {
  const { kms, send } = memoryKms()
  const { error, name, message } = await attempt(send, kms)
  expect({ name: error.name, message: error.message }).toEqual({ name, message })
})

/** Replies without a recording, taken from the service model, other emulators and users' reports. */
const unrecorded: readonly Row[] = [
  {
    name: "AccessDeniedException",
    message:
      "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access.",
    when: "the ciphertext's key lives in another Region",
    async call(send, { keyId, otherRegion }) {
      const { CiphertextBlob } = await send("Encrypt", { KeyId: keyId, Plaintext: bytes(1) })
      return otherRegion("Decrypt", { CiphertextBlob })
    },
  },
  {
    name: "ValidationException",
    message: "Please specify either number of bytes or key spec.",
    when: "a data key has neither size nor spec",
    call: (send, { keyId }) => send("GenerateDataKey", { KeyId: keyId }),
  },
  {
    name: "ValidationException",
    message: "Please specify either number of bytes or key spec.",
    when: "a data key has both size and spec",
    call: (send, { keyId }) => send("GenerateDataKey", { KeyId: keyId, KeySpec: "AES_256", NumberOfBytes: 32 }),
  },
  {
    name: "ValidationException",
    message: failed("Value null", "keyId", "Member must not be null"),
    when: "a required member is missing",
    call: (send) => send("DescribeKey", {}),
  },
  {
    name: "ValidationException",
    message:
      "2 validation errors detected: Value '' at 'keyId' failed to satisfy constraint: Member must have length greater " +
      "than or equal to 1; Value at 'plaintext' failed to satisfy constraint: Member must have length greater than or equal to 1",
    when: "two members are wrong",
    call: (send) => send("Encrypt", { KeyId: "", Plaintext: bytes(0) }),
  },
  {
    name: "ValidationException",
    message: failed(
      "Value 'alias/ä'",
      "aliasName",
      "Member must satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$",
    ),
    when: "an alias has a letter that is not allowed",
    call: (send, { keyId }) => send("CreateAlias", { AliasName: "alias/ä", TargetKeyId: keyId }),
  },
  {
    name: "ValidationException",
    message: "alias/a:b contains invalid characters for an alias",
    when: "an alias has a colon",
    call: (send, { keyId }) => send("CreateAlias", { AliasName: "alias/a:b", TargetKeyId: keyId }),
  },
  {
    name: "NotAuthorizedException",
    message: "Names beginning with alias/aws/ are reserved.",
    when: "an alias is in AWS's name space",
    call: (send, { keyId }) => send("CreateAlias", { AliasName: "alias/aws/s3", TargetKeyId: keyId }),
  },
  {
    name: "AlreadyExistsException",
    message: `An alias with the name arn:aws:kms:${REGION}:${ACCOUNT}:alias/a already exists`,
    when: "an alias is created twice",
    async call(send, { keyId }) {
      await send("CreateAlias", { AliasName: "alias/a", TargetKeyId: keyId })
      return send("CreateAlias", { AliasName: "alias/a", TargetKeyId: keyId })
    },
  },
  ...["UpdateAlias", "DeleteAlias"].map(
    (operation): Row => ({
      name: "NotFoundException",
      message: `Alias arn:aws:kms:${REGION}:${ACCOUNT}:alias/none is not found.`,
      when: `${operation} names no alias`,
      call: (send, { keyId }) =>
        send(operation, { AliasName: "alias/none", ...(operation === "UpdateAlias" ? { TargetKeyId: keyId } : {}) }),
    }),
  ),
  {
    name: "NotFoundException",
    message: "Invalid keyId 'alias/a'",
    when: "a key is managed by its alias",
    async call(send, { keyId }) {
      await send("CreateAlias", { AliasName: "alias/a", TargetKeyId: keyId })
      return send("DisableKey", { KeyId: "alias/a" })
    },
  },
  {
    name: "InvalidArnException",
    message: "Invalid arn arn:aws:s3:::bucket",
    when: "the ARN is of another service",
    call: (send) => send("DescribeKey", { KeyId: "arn:aws:s3:::bucket" }),
  },
  {
    name: "InvalidKeyUsageException",
    message: "Algorithm RSAES_OAEP_SHA_1 is incompatible with key spec SYMMETRIC_DEFAULT.",
    when: "the algorithm does not fit the key",
    call: (send, { keyId }) =>
      send("Encrypt", { KeyId: keyId, Plaintext: bytes(1), EncryptionAlgorithm: "RSAES_OAEP_SHA_1" }),
  },
  {
    name: "InvalidCiphertextException",
    message: "UnknownError",
    when: "the ciphertext was made by AWS",
    call: (send) => send("Decrypt", { CiphertextBlob: new Uint8Array([1, 2, 2, 0, 0x78, ...new Uint8Array(179)]) }),
  },
  {
    name: "InvalidGrantTokenException",
    message: "The grant token is not valid.",
    when: "a grant token is unknown",
    call: (send, { keyId }) => send("DescribeKey", { KeyId: keyId, GrantTokens: ["token"] }),
  },
  {
    name: "InvalidArnException",
    message: `ARN does not refer to a valid principal: arn:aws:iam::${ACCOUNT}:group/Admins`,
    when: "a grant is to a group",
    call: (send, key) =>
      send("CreateGrant", { ...grantOn(key), GranteePrincipal: `arn:aws:iam::${ACCOUNT}:group/Admins` }),
  },
  {
    name: "InvalidGrantIdException",
    message: "Invalid grant ID x",
    when: "a grant id is none",
    call: (send, { keyId }) => send("RevokeGrant", { KeyId: keyId, GrantId: "x" }),
  },
  {
    name: "NotFoundException",
    message: `Grant ID ${"0".repeat(64)} not found`,
    when: "there is no such grant",
    call: (send, { keyId }) => send("RevokeGrant", { KeyId: keyId, GrantId: "0".repeat(64) }),
  },
  {
    name: "ValidationException",
    message: "The encryption context is larger than 8192 bytes.",
    when: "the encryption context is huge",
    call: (send, { keyId }) =>
      send("Encrypt", { KeyId: keyId, Plaintext: bytes(1), EncryptionContext: { a: "x".repeat(8192) } }),
  },
  {
    name: "UnsupportedOperationException",
    message: "Sign is not supported by the embedded KMS.",
    when: "the operation is not built",
    call: (send, { keyId }) => send("Sign", { KeyId: keyId }),
  },
  {
    name: "UnsupportedOperationException",
    message: "Keys of spec RSA_2048 are not supported.",
    when: "the key kind is not built",
    call: (send) => send("CreateKey", { KeySpec: "RSA_2048", KeyUsage: "SIGN_VERIFY" }),
  },
  {
    name: "MalformedPolicyDocumentException",
    message: "Statement: A policy must have at least one statement",
    when: "a policy says nothing",
    call: (send) => send("CreateKey", { Policy: "{}" }),
  },
  {
    name: "UnknownOperationException",
    message: "There is no operation MakeCoffee.",
    when: "AWS has no such operation",
    call: (send) => send("MakeCoffee"),
  },
  {
    name: "SerializationException",
    message: "NUMBER_VALUE can not be converted to a String",
    when: "a member has the wrong type",
    call: (send) => send("DescribeKey", { KeyId: 5 }),
  },
]

describe.each([
  ["recorded", rows],
  ["not recorded", unrecorded],
] as const)("error replies (%s)", (_title, table) => {
  test.each(table.map((row) => [row.name, row.when, row] as const))("%s when %s", async (_name, _when, row) => {
    const { kms, send } = memoryKms()
    const key = await createKey(send)
    const prepared: Prepared = { ...key, otherRegion: sendTo(kms.directClient({ region: "eu-west-1" })) }
    const message = typeof row.message === "string" ? row.message : row.message(prepared)
    await expect(row.call(send, prepared)).rejects.toMatchObject({ name: row.name, message })
  })
})
