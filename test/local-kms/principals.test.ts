import { expect, test } from "vitest"
import { LocalKms } from "../../src/local-kms/index.ts"
import { ACCOUNT, bytes, createKey, memoryKms, OTHER_ACCOUNT_ROLE, register, sendTo } from "./helpers.ts"

test.each([
  ["root", "Root", `arn:aws:iam::${ACCOUNT}:root`],
  ["user/Alice", "IAMUser", `arn:aws:iam::${ACCOUNT}:user/Alice`],
  ["user/team/Alice", "IAMUser", `arn:aws:iam::${ACCOUNT}:user/team/Alice`],
  ["role/AppA", "AssumedRole", `arn:aws:sts::${ACCOUNT}:assumed-role/AppA/kms-envelope`],
  ["role/service/AppA", "AssumedRole", `arn:aws:sts::${ACCOUNT}:assumed-role/AppA/kms-envelope`],
])("%s may use a key of its account when an identity policy says so", async (resource, type, arn) => {
  const { kms, send } = memoryKms()
  if (resource !== "root") await register(kms, `arn:aws:iam::${ACCOUNT}:${resource}`)
  const { keyId } = await createKey(send)
  const caller = sendTo(kms.directClient({ principal: `arn:aws:iam::${ACCOUNT}:${resource}` }))
  await caller("Encrypt", { KeyId: keyId, Plaintext: bytes(1) })
  expect((await kms.events({ last: 1 }))[0]!.userIdentity).toMatchObject({ type, arn, accountId: ACCOUNT })
})

test("a role session is shown with its name and its role", async () => {
  const { kms } = memoryKms()
  await register(kms, `arn:aws:iam::${ACCOUNT}:role/AppA`)
  const principal = `arn:aws:sts::${ACCOUNT}:assumed-role/AppA/i-0123`
  await sendTo(kms.directClient({ principal }))("ListKeys")
  expect((await kms.events({ last: 1 }))[0]!.userIdentity).toMatchObject({
    type: "AssumedRole",
    arn: principal,
    principalId: expect.stringMatching(/^AROA[A-Z2-7]{17}:i-0123$/),
    sessionContext: { sessionIssuer: { type: "Role", arn: `arn:aws:iam::${ACCOUNT}:role/AppA`, userName: "AppA" } },
  })
})

test("a principal of another account is refused every use of a key, in AWS's words", async () => {
  const { kms, send } = memoryKms()
  const { keyId, arn } = await createKey(send)
  const { CiphertextBlob } = await send("Encrypt", { KeyId: keyId, Plaintext: bytes(1) })
  const stranger = sendTo(kms.directClient({ principal: OTHER_ACCOUNT_ROLE }))
  const shown = "arn:aws:sts::444455556666:assumed-role/Stranger/kms-envelope"
  const calls = {
    Encrypt: { KeyId: arn, Plaintext: bytes(1) },
    GenerateDataKey: { KeyId: arn, KeySpec: "AES_256" },
    GenerateDataKeyWithoutPlaintext: { KeyId: arn, KeySpec: "AES_256" },
    Decrypt: { KeyId: arn, CiphertextBlob },
    DescribeKey: { KeyId: arn },
    DisableKey: { KeyId: arn },
    ScheduleKeyDeletion: { KeyId: arn },
  }
  for (const [operation, input] of Object.entries(calls))
    await expect(stranger(operation, input)).rejects.toMatchObject({
      name: "AccessDeniedException",
      message:
        `User: ${shown} is not authorized to perform: kms:${operation} on resource: ${arn} ` +
        `because no resource-based policy allows the kms:${operation} action`,
    })
})

test("a stranger cannot tell a forbidden key from one that does not exist by its ciphertext", async () => {
  const { kms, send } = memoryKms()
  const { keyId } = await createKey(send)
  const { CiphertextBlob } = await send("Encrypt", { KeyId: keyId, Plaintext: bytes(1) })
  const elsewhere = memoryKms()
  const foreign = await createKey(elsewhere.send)
  const unknown = await elsewhere.send("Encrypt", { KeyId: foreign.keyId, Plaintext: bytes(1) })
  const stranger = sendTo(kms.directClient({ principal: OTHER_ACCOUNT_ROLE }))
  const failure = (blob: Uint8Array): Promise<Error> =>
    stranger("Decrypt", { CiphertextBlob: blob }).catch((error: Error) => error)
  const [forbidden, missing] = [await failure(CiphertextBlob), await failure(unknown.CiphertextBlob)]
  expect(forbidden).toMatchObject({ name: "AccessDeniedException", message: missing.message })
})

test("each account has keys and aliases of its own", async () => {
  const { kms, send } = memoryKms()
  await register(kms, OTHER_ACCOUNT_ROLE)
  await createKey(send)
  const other = sendTo(kms.directClient({ principal: OTHER_ACCOUNT_ROLE }))
  expect((await other("ListKeys")).Keys).toEqual([])
  const { arn } = await createKey(other)
  expect(arn).toContain(":444455556666:key/")
  expect((await other("ListKeys")).Keys).toHaveLength(1)
})

test.each(["root", "arn:aws:iam::1:root", "arn:aws:iam::111122223333:group/Admins", "arn:aws:s3:::bucket", ""])(
  "'%s' is no principal",
  (principal) => {
    const { kms } = memoryKms()
    expect(() => kms.directClient({ principal })).toThrow(TypeError)
    expect(() => kms.client({ principal })).toThrow(TypeError)
  },
)

test("wrong options are the caller's mistake", async () => {
  expect(() => LocalKms.inMemory({ accountId: "12" })).toThrow(TypeError)
  expect(() => LocalKms.inMemory({ region: "mars" })).toThrow(TypeError)
  expect(() => LocalKms.inMemory({ maxEvents: -1 })).toThrow(RangeError)
  await expect(LocalKms.open("unused", { region: "mars" })).rejects.toThrow(TypeError)
  await expect(LocalKms.open("unused", { passphrase: "a", rootKeyFile: "b" })).rejects.toThrow(TypeError)
  await expect(LocalKms.open("unused", { passphrase: "" })).rejects.toThrow(TypeError)
})
