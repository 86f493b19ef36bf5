import {
  CreateAliasCommand,
  CreateGrantCommand,
  CreateKeyCommand,
  DecryptCommand,
  DeleteAliasCommand,
  DescribeKeyCommand,
  DisabledException,
  DisableKeyCommand,
  EnableKeyCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  GenerateDataKeyWithoutPlaintextCommand,
  GenerateRandomCommand,
  IncorrectKeyException,
  InvalidCiphertextException,
  type KMSClient,
  ListAliasesCommand,
  ListGrantsCommand,
  ListKeysCommand,
  ListRetirableGrantsCommand,
  NotFoundException,
  paginateListAliases,
  paginateListKeys,
  ReEncryptCommand,
  RetireGrantCommand,
  RevokeGrantCommand,
  UpdateAliasCommand,
} from "@aws-sdk/client-kms"
import { describe, expect, test } from "vitest"
import { isLocalCiphertext } from "../../src/local-kms/index.ts"
import { doors } from "./doors.ts"
import { ACCOUNT, bytes, REGION } from "./helpers.ts"

const ARN = new RegExp(`^arn:aws:kms:${REGION}:${ACCOUNT}:key/[0-9a-f-]{36}$`)

describe.each(Object.entries(doors))("through %s", (_name, { isSdk, ...door }) => {
  const open = async (): Promise<KMSClient> => (await door.open()).client

  async function setUp() {
    const client = await open()
    const { KeyMetadata } = await client.send(new CreateKeyCommand({ Description: "test" }))
    return { client, keyId: KeyMetadata!.KeyId!, arn: KeyMetadata!.Arn! }
  }
  const failure = async (promise: Promise<unknown>): Promise<Error & { $metadata?: unknown }> =>
    promise.then(
      () => expect.fail("the call should have failed"),
      (error) => error,
    )

  test("a new key is described as AWS describes it", async () => {
    const { client, keyId, arn } = await setUp()
    const { KeyMetadata } = await client.send(new DescribeKeyCommand({ KeyId: arn }))
    expect(KeyMetadata).toEqual({
      AWSAccountId: ACCOUNT,
      KeyId: keyId,
      Arn: expect.stringMatching(ARN),
      CreationDate: expect.any(Date),
      CurrentKeyMaterialId: expect.stringMatching(/^[0-9a-f]{64}$/),
      CustomerMasterKeySpec: "SYMMETRIC_DEFAULT",
      Description: "test",
      Enabled: true,
      EncryptionAlgorithms: ["SYMMETRIC_DEFAULT"],
      KeyManager: "CUSTOMER",
      KeySpec: "SYMMETRIC_DEFAULT",
      KeyState: "Enabled",
      KeyUsage: "ENCRYPT_DECRYPT",
      MultiRegion: false,
      Origin: "AWS_KMS",
    })
    expect(Math.abs(KeyMetadata!.CreationDate!.getTime() - Date.now())).toBeLessThan(60_000)
  })

  test("a data key comes back from its encrypted copy, under the same context only", async () => {
    const { client, keyId, arn } = await setUp()
    const EncryptionContext = { tenant: "42", ключ: "значение" }
    const dataKey = await client.send(
      new GenerateDataKeyCommand({ KeyId: keyId, KeySpec: "AES_256", EncryptionContext }),
    )
    expect(dataKey.KeyId).toBe(arn)
    expect(dataKey.Plaintext).toHaveLength(32)
    expect(dataKey.CiphertextBlob).toHaveLength(184)
    expect(isLocalCiphertext(dataKey.CiphertextBlob!)).toBe(true)
    const { CiphertextBlob } = dataKey
    const opened = await client.send(new DecryptCommand({ CiphertextBlob, EncryptionContext }))
    expect(opened).toMatchObject({
      KeyId: arn,
      EncryptionAlgorithm: "SYMMETRIC_DEFAULT",
      KeyMaterialId: dataKey.KeyMaterialId,
    })
    expect(opened.Plaintext).toEqual(dataKey.Plaintext)
    const error = await failure(client.send(new DecryptCommand({ CiphertextBlob, EncryptionContext: { tenant: "4" } })))
    expect(error).toMatchObject({ name: "InvalidCiphertextException", message: "UnknownError", $fault: "client" })
    if (isSdk) expect(error).toBeInstanceOf(InvalidCiphertextException)
  })

  test("a data key has the length asked for", async () => {
    const { client, keyId } = await setUp()
    const aes128 = await client.send(new GenerateDataKeyCommand({ KeyId: keyId, KeySpec: "AES_128" }))
    expect(aes128.Plaintext).toHaveLength(16)
    for (const NumberOfBytes of [1, 64, 1024]) {
      const dataKey = await client.send(new GenerateDataKeyCommand({ KeyId: keyId, NumberOfBytes }))
      expect(dataKey.Plaintext).toHaveLength(NumberOfBytes)
      expect(dataKey.CiphertextBlob).toHaveLength(NumberOfBytes + 152)
    }
  })

  test("a data key without plaintext is there only in its encrypted copy", async () => {
    const { client, keyId, arn } = await setUp()
    const dataKey = await client.send(
      new GenerateDataKeyWithoutPlaintextCommand({ KeyId: keyId, NumberOfBytes: 64, EncryptionContext: { v: "1" } }),
    )
    expect(dataKey).not.toHaveProperty("Plaintext")
    expect(dataKey.KeyId).toBe(arn)
    const opened = await client.send(
      new DecryptCommand({ CiphertextBlob: dataKey.CiphertextBlob, EncryptionContext: { v: "1" } }),
    )
    expect(opened.Plaintext).toHaveLength(64)
  })

  test("Encrypt takes 1 to 4096 bytes and never gives the same ciphertext twice", async () => {
    const { client, keyId, arn } = await setUp()
    for (const length of [1, 4096]) {
      const Plaintext = bytes(length)
      const first = await client.send(new EncryptCommand({ KeyId: keyId, Plaintext }))
      const second = await client.send(new EncryptCommand({ KeyId: keyId, Plaintext }))
      expect(first).toMatchObject({ KeyId: arn, EncryptionAlgorithm: "SYMMETRIC_DEFAULT" })
      expect(first.CiphertextBlob).not.toEqual(second.CiphertextBlob)
      expect(Plaintext).toEqual(bytes(length))
      const opened = await client.send(new DecryptCommand({ CiphertextBlob: first.CiphertextBlob }))
      expect(opened.Plaintext).toEqual(Plaintext)
    }
  })

  test("a key answers to its id, its ARN, its alias and its alias's ARN", async () => {
    const { client, keyId, arn } = await setUp()
    await client.send(new CreateAliasCommand({ AliasName: "alias/app/main", TargetKeyId: arn }))
    const aliasArn = `arn:aws:kms:${REGION}:${ACCOUNT}:alias/app/main`
    const dataKey = await client.send(new GenerateDataKeyCommand({ KeyId: "alias/app/main", KeySpec: "AES_256" }))
    for (const KeyId of [keyId, arn, "alias/app/main", aliasArn]) {
      const encrypted = await client.send(new EncryptCommand({ KeyId, Plaintext: bytes(3) }))
      expect(encrypted.KeyId).toBe(arn)
      const opened = await client.send(new DecryptCommand({ KeyId, CiphertextBlob: dataKey.CiphertextBlob }))
      expect(opened.KeyId).toBe(arn)
    }
  })

  test("Decrypt with another key than the ciphertext's is refused by name", async () => {
    const { client, keyId } = await setUp()
    const other = await client.send(new CreateKeyCommand({}))
    const { CiphertextBlob } = await client.send(new EncryptCommand({ KeyId: keyId, Plaintext: bytes(3) }))
    const error = await failure(client.send(new DecryptCommand({ CiphertextBlob, KeyId: other.KeyMetadata!.KeyId! })))
    expect(error).toMatchObject({
      name: "IncorrectKeyException",
      message: "The key ID in the request does not identify a CMK that can perform this operation.",
    })
    if (isSdk) expect(error).toBeInstanceOf(IncorrectKeyException)
  })

  test("ReEncrypt moves a ciphertext to another key and context", async () => {
    const { client, keyId, arn } = await setUp()
    const other = (await client.send(new CreateKeyCommand({}))).KeyMetadata!
    const source = await client.send(
      new EncryptCommand({ KeyId: keyId, Plaintext: bytes(20), EncryptionContext: { from: "a" } }),
    )
    const moved = await client.send(
      new ReEncryptCommand({
        CiphertextBlob: source.CiphertextBlob,
        SourceEncryptionContext: { from: "a" },
        DestinationKeyId: other.Arn,
        DestinationEncryptionContext: { to: "b" },
      }),
    )
    expect(moved).toMatchObject({
      SourceKeyId: arn,
      KeyId: other.Arn,
      SourceEncryptionAlgorithm: "SYMMETRIC_DEFAULT",
      DestinationEncryptionAlgorithm: "SYMMETRIC_DEFAULT",
      DestinationKeyMaterialId: other.CurrentKeyMaterialId,
    })
    expect(moved.SourceKeyMaterialId).not.toBe(moved.DestinationKeyMaterialId)
    const opened = await client.send(
      new DecryptCommand({ CiphertextBlob: moved.CiphertextBlob, EncryptionContext: { to: "b" } }),
    )
    expect(opened.Plaintext).toEqual(bytes(20))
    expect(opened.KeyId).toBe(other.Arn)
  })

  test("GenerateRandom gives fresh bytes", async () => {
    const { client } = await setUp()
    const first = await client.send(new GenerateRandomCommand({ NumberOfBytes: 32 }))
    const second = await client.send(new GenerateRandomCommand({ NumberOfBytes: 32 }))
    expect(first.Plaintext).toHaveLength(32)
    expect(first.Plaintext).not.toEqual(second.Plaintext)
  })

  test("a disabled key refuses to work until it is enabled", async () => {
    const { client, keyId, arn } = await setUp()
    const { CiphertextBlob } = await client.send(new EncryptCommand({ KeyId: keyId, Plaintext: bytes(3) }))
    await client.send(new DisableKeyCommand({ KeyId: arn }))
    const error = await failure(client.send(new DecryptCommand({ CiphertextBlob })))
    expect(error).toMatchObject({ name: "DisabledException", message: `${arn} is disabled.` })
    if (isSdk) expect(error).toBeInstanceOf(DisabledException)
    await client.send(new EnableKeyCommand({ KeyId: keyId }))
    const opened = await client.send(new DecryptCommand({ CiphertextBlob }))
    expect(opened.Plaintext).toEqual(bytes(3))
  })

  test("an alias is moved to another key and deleted", async () => {
    const { client, keyId } = await setUp()
    const other = (await client.send(new CreateKeyCommand({}))).KeyMetadata!
    await client.send(new CreateAliasCommand({ AliasName: "alias/a", TargetKeyId: keyId }))
    const { CiphertextBlob } = await client.send(new EncryptCommand({ KeyId: "alias/a", Plaintext: bytes(3) }))
    await client.send(new UpdateAliasCommand({ AliasName: "alias/a", TargetKeyId: other.KeyId }))
    const encrypted = await client.send(new EncryptCommand({ KeyId: "alias/a", Plaintext: bytes(3) }))
    expect(encrypted.KeyId).toBe(other.Arn)
    await client.send(new DecryptCommand({ CiphertextBlob }))
    await client.send(new DeleteAliasCommand({ AliasName: "alias/a" }))
    const error = await failure(client.send(new EncryptCommand({ KeyId: "alias/a", Plaintext: bytes(3) })))
    expect(error).toMatchObject({
      name: "NotFoundException",
      message: `Alias arn:aws:kms:${REGION}:${ACCOUNT}:alias/a is not found.`,
    })
    if (isSdk) expect(error).toBeInstanceOf(NotFoundException)
  })

  test("lists come in pages, each entry once", async () => {
    const client = await open()
    const created = new Set<string>()
    for (let i = 0; i < 7; i++) {
      const { KeyMetadata } = await client.send(new CreateKeyCommand({}))
      created.add(KeyMetadata!.KeyId!)
      await client.send(new CreateAliasCommand({ AliasName: `alias/n${i}`, TargetKeyId: KeyMetadata!.KeyId! }))
    }
    const listed: string[] = []
    let Marker: string | undefined
    do {
      const page = await client.send(new ListKeysCommand({ Limit: 3, Marker }))
      expect(page.Truncated).toBe(page.NextMarker !== undefined)
      expect(page.Keys!.length).toBeLessThanOrEqual(3)
      for (const { KeyId, KeyArn } of page.Keys!) {
        expect(KeyArn).toMatch(ARN)
        listed.push(KeyId!)
      }
      Marker = page.NextMarker
    } while (Marker !== undefined)
    expect(listed).toHaveLength(7)
    expect(new Set(listed)).toEqual(created)

    const { Aliases, Truncated } = await client.send(new ListAliasesCommand({ KeyId: listed[0]! }))
    expect(Truncated).toBe(false)
    expect(Aliases).toEqual([
      {
        AliasName: expect.stringMatching(/^alias\/n\d$/),
        AliasArn: expect.stringContaining(":alias/n"),
        TargetKeyId: listed[0],
        CreationDate: expect.any(Date),
        LastUpdatedDate: expect.any(Date),
      },
    ])
    const error = await failure(client.send(new ListKeysCommand({ Marker: "nonsense" })))
    expect(error.name).toBe("InvalidMarkerException")
  })

  if (isSdk)
    test("the SDK's paginators reach the end", async () => {
      const client = await open()
      for (let i = 0; i < 5; i++) {
        const { KeyMetadata } = await client.send(new CreateKeyCommand({}))
        await client.send(new CreateAliasCommand({ AliasName: `alias/n${i}`, TargetKeyId: KeyMetadata!.KeyId! }))
      }
      const sizes: number[] = []
      for await (const page of paginateListKeys({ client, pageSize: 2 }, {})) sizes.push(page.Keys!.length)
      expect(sizes).toEqual([2, 2, 1])
      const names: string[] = []
      for await (const page of paginateListAliases({ client, pageSize: 5 }, {}))
        names.push(...page.Aliases!.map(({ AliasName }) => AliasName!))
      const own = names.filter((name) => !name.startsWith("alias/aws/"))
      expect(own).toEqual(["alias/n0", "alias/n1", "alias/n2", "alias/n3", "alias/n4"])
    })

  test("a grant is made, listed in pages, retired by its token and revoked", async () => {
    const { client, keyId, arn } = await setUp()
    const grantee = `arn:aws:iam::${ACCOUNT}:role/App`
    const made = []
    for (let i = 0; i < 5; i++)
      made.push(
        await client.send(
          new CreateGrantCommand({
            KeyId: keyId,
            GranteePrincipal: grantee,
            RetiringPrincipal: `arn:aws:iam::${ACCOUNT}:root`,
            Operations: ["Decrypt", "GenerateDataKey"],
            Constraints: { EncryptionContextSubset: { tenant: String(i) } },
            Name: `n${i}`,
          }),
        ),
      )
    const ids = made.map(({ GrantId }) => GrantId!).sort()
    const first = await client.send(new ListGrantsCommand({ KeyId: arn, Limit: 3 }))
    expect(first.Truncated).toBe(true)
    const second = await client.send(new ListGrantsCommand({ KeyId: arn, Limit: 3, Marker: first.NextMarker! }))
    expect(second.Truncated).toBe(false)
    expect([...first.Grants!, ...second.Grants!].map(({ GrantId }) => GrantId)).toEqual(ids)
    const zero = made[0]!.GrantId!
    const { Grants } = await client.send(new ListGrantsCommand({ KeyId: keyId, GrantId: zero }))
    expect(Grants).toEqual([
      {
        KeyId: arn,
        GrantId: zero,
        Name: "n0",
        CreationDate: expect.any(Date),
        GranteePrincipal: grantee,
        RetiringPrincipal: `arn:aws:iam::${ACCOUNT}:root`,
        IssuingAccount: `arn:aws:iam::${ACCOUNT}:root`,
        Operations: ["Decrypt", "GenerateDataKey"],
        Constraints: { EncryptionContextSubset: { tenant: "0" } },
      },
    ])
    const retirable = new ListRetirableGrantsCommand({ RetiringPrincipal: `arn:aws:iam::${ACCOUNT}:root` })
    expect((await client.send(retirable)).Grants).toHaveLength(5)
    await client.send(new RetireGrantCommand({ GrantToken: made[0]!.GrantToken }))
    await client.send(new RetireGrantCommand({ KeyId: arn, GrantId: made[1]!.GrantId }))
    const revoke = new RevokeGrantCommand({ KeyId: keyId, GrantId: made[2]!.GrantId })
    await client.send(revoke)
    expect((await client.send(retirable)).Grants).toHaveLength(2)
    const gone = await failure(client.send(revoke))
    expect(gone).toMatchObject({ name: "NotFoundException", message: `Grant ID ${made[2]!.GrantId} not found` })
    if (isSdk) expect(gone).toBeInstanceOf(NotFoundException)
  })

  test("a grant lets its grantee in on its context, from the next request on and until it is revoked", async () => {
    const { client, as } = await door.open()
    const KeyId = (await client.send(new CreateKeyCommand({}))).KeyMetadata!.Arn!
    const grantee = `arn:aws:iam::${ACCOUNT}:role/App`
    const app = await as(grantee)
    const encrypt = (tenant: string) =>
      app.send(new EncryptCommand({ KeyId, Plaintext: bytes(3), EncryptionContext: { tenant } }))
    expect((await failure(encrypt("42"))).name).toBe("AccessDeniedException")
    const { GrantId } = await client.send(
      new CreateGrantCommand({
        KeyId,
        GranteePrincipal: grantee,
        Operations: ["Encrypt"],
        Constraints: { EncryptionContextEquals: { tenant: "42" } },
      }),
    )
    expect((await encrypt("42")).KeyId).toBe(KeyId)
    expect((await failure(encrypt("43"))).name).toBe("AccessDeniedException")
    const more = new CreateGrantCommand({ KeyId, GranteePrincipal: grantee, Operations: ["Decrypt"] })
    expect((await failure(app.send(more))).name).toBe("AccessDeniedException")
    await client.send(new RevokeGrantCommand({ KeyId, GrantId }))
    expect((await failure(encrypt("42"))).name).toBe("AccessDeniedException")
  })

  test("DryRun checks everything and does nothing", async () => {
    const { client, keyId } = await setUp()
    const { CiphertextBlob } = await client.send(new EncryptCommand({ KeyId: keyId, Plaintext: bytes(3) }))
    const dryRuns = [
      new EncryptCommand({ KeyId: keyId, Plaintext: bytes(3), DryRun: true }),
      new DecryptCommand({ CiphertextBlob, DryRun: true }),
      new DecryptCommand({ KeyId: keyId, DryRun: true, DryRunModifiers: ["IGNORE_CIPHERTEXT"] }),
      new GenerateDataKeyCommand({ KeyId: keyId, KeySpec: "AES_256", DryRun: true }),
      new GenerateDataKeyWithoutPlaintextCommand({ KeyId: keyId, KeySpec: "AES_256", DryRun: true }),
      new ReEncryptCommand({ CiphertextBlob, DestinationKeyId: keyId, DryRun: true }),
    ]
    for (const dryRun of dryRuns)
      expect(await failure(client.send(dryRun as DecryptCommand))).toMatchObject({
        name: "DryRunOperationException",
        message: "The request would have succeeded, but the DryRun option is set.",
      })
    const refused = await failure(
      client.send(new DecryptCommand({ CiphertextBlob, EncryptionContext: { a: "b" }, DryRun: true })),
    )
    expect(refused.name).toBe("InvalidCiphertextException")
  })

  test("outputs and errors carry the request id of their audit event", async () => {
    const { client, keyId } = await setUp()
    const described = await client.send(new DescribeKeyCommand({ KeyId: keyId }))
    expect(described.$metadata).toMatchObject({ httpStatusCode: 200, requestId: expect.any(String), attempts: 1 })
    const error = await failure(client.send(new DescribeKeyCommand({ KeyId: "no-key" })))
    expect(error.$metadata).toMatchObject({ httpStatusCode: 400, requestId: expect.any(String), attempts: 1 })
  })

  test("an aborted call ends with AbortError", async () => {
    const { client, keyId } = await setUp()
    const before = AbortSignal.abort()
    const call = new DescribeKeyCommand({ KeyId: keyId })
    expect(await failure(client.send(call, { abortSignal: before }))).toMatchObject({ name: "AbortError" })
    const controller = new AbortController()
    const running = client.send(call, { abortSignal: controller.signal })
    controller.abort()
    expect(await failure(running)).toMatchObject({ name: "AbortError" })
  })
})
