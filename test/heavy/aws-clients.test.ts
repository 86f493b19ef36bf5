import { execFile } from "node:child_process"
import { existsSync } from "node:fs"
import { writeFile } from "node:fs/promises"
import { join, resolve } from "node:path"
import { promisify } from "node:util"
import { beforeAll, describe, expect, onTestFinished, test } from "vitest"
import { LocalKms } from "../../src/local-kms/index.ts"
import { commandPath } from "../cli/command.ts"
import { temporaryFolder } from "../local-kms/helpers.ts"
import { startServer } from "../support/kms-server.ts"

const run = promisify(execFile)
const bin = resolve(import.meta.dirname, "../../.cache/aws/bin")
const isInstalled = existsSync(join(bin, "aws"))
const how = isInstalled ? "" : " (skipped: scripts/install-python.sh .cache/aws scripts/aws-requirements.txt)"

const ALICE = "arn:aws:iam::111122223333:user/Alice"
/** A user without any policy. */
const BOB = "arn:aws:iam::111122223333:user/Bob"
const secretAccessKey = "a-secret-access-key-for-tests"
const everything = {
  Version: "2012-10-17",
  Statement: [{ Effect: "Allow", Action: ["kms:*", "sts:*"], Resource: "*" }],
}

type Environment = Record<string, string>

/** `envelope kms serve` on a store with a user, as a team's CI starts it, and what its clients' environment says. */
async function serve(): Promise<{ readonly dir: string; readonly env: Environment }> {
  const dir = await temporaryFolder()
  const kms = await LocalKms.open(dir)
  await kms.seed({
    users: [{ name: "Alice", policies: { everything } }, { name: "Bob" }],
    roles: [{ name: "App", policies: { everything } }],
    accessKeys: [
      { accessKeyId: "AKIATESTS", secretAccessKey, principal: ALICE },
      { accessKeyId: "AKIABOB", secretAccessKey, principal: BOB },
    ],
  })
  await kms.close()
  const server = await startServer(await commandPath(), ["--kms", `local:${dir}`])
  onTestFinished(async () => {
    server.child.kill()
    expect(await server.exited).toEqual([0, null])
  })
  return {
    dir,
    env: {
      PATH: process.env.PATH!,
      HOME: dir,
      AWS_ENDPOINT_URL: server.endpoint,
      AWS_ACCESS_KEY_ID: "AKIATESTS",
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
      AWS_DEFAULT_REGION: "eu-west-1",
      AWS_EC2_METADATA_DISABLED: "true",
      AWS_MAX_ATTEMPTS: "1",
      PYTHONUTF8: "1",
    },
  }
}

const aws =
  (env: Environment) =>
  async (...args: string[]) => {
    const { stdout } = await run(join(bin, "aws"), [...args, "--output", "json"], { env })
    return stdout === "" ? undefined : JSON.parse(stdout)
  }

/** What the CLI says of a refusal. */
const refusal = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "",
    ({ stderr }) => stderr.trim(),
  )

describe.skipIf(!isInstalled)(`unmodified clients against envelope kms serve${how}`, () => {
  let command: string
  beforeAll(async () => {
    command = await commandPath()
  })

  test("AWS CLI", async () => {
    const { dir, env } = await serve()
    const cli = aws(env)
    expect((await cli("sts", "get-caller-identity")).Arn).toBe(ALICE)
    const { KeyMetadata } = await cli("kms", "create-key", "--description", "from the CLI")
    const { KeyId, Arn } = KeyMetadata
    expect(Arn).toBe(`arn:aws:kms:eu-west-1:111122223333:key/${KeyId}`)
    await cli("kms", "create-alias", "--alias-name", "alias/cli", "--target-key-id", KeyId)
    const aliases = await cli("kms", "list-aliases", "--key-id", KeyId)
    expect(aliases.Aliases.map(({ AliasName }: { AliasName: string }) => AliasName)).toEqual(["alias/cli"])

    // Version 1 of the CLI takes bytes as they are, version 2 base64: both take files.
    const file = async (name: string, base64: string): Promise<string> => {
      await writeFile(join(dir, name), Buffer.from(base64, "base64"))
      return `fileb://${join(dir, name)}`
    }
    const context = ["--encryption-context", "tenant=42"]
    const plaintext = Buffer.from("hello").toString("base64")
    const input = ["--plaintext", await file("plaintext", plaintext)]
    const encrypted = await cli("kms", "encrypt", "--key-id", "alias/cli", ...input, ...context)
    const blob = ["--ciphertext-blob", await file("blob", encrypted.CiphertextBlob)]
    expect((await cli("kms", "decrypt", ...blob, ...context)).Plaintext).toBe(plaintext)
    const dataKey = await cli("kms", "generate-data-key", "--key-id", Arn, "--key-spec", "AES_256")
    const opened = await cli("kms", "decrypt", "--ciphertext-blob", await file("key", dataKey.CiphertextBlob))
    expect([opened.Plaintext, opened.KeyId]).toEqual([dataKey.Plaintext, Arn])

    expect(await refusal(cli("kms", "decrypt", ...blob))).toMatch(/^An error occurred \(InvalidCiphertextException\)/m)
    await cli("kms", "disable-key", "--key-id", KeyId)
    expect(await refusal(cli("kms", "decrypt", ...blob, ...context))).toContain(
      `An error occurred (DisabledException) when calling the Decrypt operation: ${Arn} is disabled.`,
    )
    await cli("kms", "enable-key", "--key-id", KeyId)
    for (let i = 0; i < 3; i++) await cli("kms", "create-key")
    expect((await cli("kms", "list-keys", "--page-size", "2")).Keys).toHaveLength(4)
    const first = await cli("kms", "list-keys", "--page-size", "2", "--max-items", "3")
    const rest = await cli("kms", "list-keys", "--page-size", "2", "--starting-token", first.NextToken)
    expect([first.Keys.length, rest.Keys.length]).toEqual([3, 1])

    const wrong = { ...env, AWS_SECRET_ACCESS_KEY: "another-secret" }
    expect(await refusal(aws(wrong)("kms", "list-keys"))).toContain("(InvalidSignatureException)")
    expect(await refusal(aws(wrong)("sts", "get-caller-identity"))).toContain("(SignatureDoesNotMatch)")
    const unknown = { ...env, AWS_ACCESS_KEY_ID: "AKIAUNKNOWN" }
    expect(await refusal(aws(unknown)("kms", "list-keys"))).toContain(
      "(UnrecognizedClientException) when calling the ListKeys operation: The security token included in the request is invalid.",
    )

    const role = ["--role-arn", "arn:aws:iam::111122223333:role/App", "--role-session-name", "build"]
    const { Credentials } = await cli("sts", "assume-role", ...role)
    const session = {
      ...env,
      AWS_ACCESS_KEY_ID: Credentials.AccessKeyId,
      AWS_SECRET_ACCESS_KEY: Credentials.SecretAccessKey,
      AWS_SESSION_TOKEN: Credentials.SessionToken,
    }
    expect((await aws(session)("sts", "get-caller-identity")).Arn).toBe(
      "arn:aws:sts::111122223333:assumed-role/App/build",
    )
    expect((await aws(session)("kms", "decrypt", ...blob, ...context)).Plaintext).toBe(plaintext)

    const bob = aws({ ...env, AWS_ACCESS_KEY_ID: "AKIABOB" })
    expect(await refusal(bob("kms", "decrypt", ...blob, ...context))).toContain("(AccessDeniedException)")
    const constraints = ["--constraints", "EncryptionContextSubset={tenant=42}"]
    const grant = ["kms", "create-grant", "--key-id", KeyId, "--grantee-principal", BOB, "--operations", "Decrypt"]
    const { GrantId, GrantToken } = await cli(...grant, ...constraints, "--retiring-principal", BOB, "--name", "bob")
    expect((await bob("kms", "decrypt", ...blob, ...context, "--grant-tokens", GrantToken)).Plaintext).toBe(plaintext)
    expect((await cli("kms", "list-grants", "--key-id", KeyId)).Grants).toMatchObject([
      { GrantId, KeyId: Arn, Name: "bob", Constraints: { EncryptionContextSubset: { tenant: "42" } } },
    ])
    const retirable = await cli("kms", "list-retirable-grants", "--retiring-principal", BOB)
    expect(retirable.Grants).toHaveLength(1)
    expect(await refusal(bob("kms", "revoke-grant", "--key-id", KeyId, "--grant-id", GrantId))).toContain(
      "(AccessDeniedException)",
    )
    await bob("kms", "retire-grant", "--grant-token", GrantToken)
    expect(await refusal(bob("kms", "decrypt", ...blob, ...context))).toContain("(AccessDeniedException)")
    const again = await cli(...grant)
    await cli("kms", "revoke-grant", "--key-id", KeyId, "--grant-id", again.GrantId)
    expect((await cli("kms", "list-grants", "--key-id", KeyId)).Grants).toEqual([])

    const listed = await run(process.execPath, [command, "key", "list", "--json", "--kms", `local:${dir}`])
    expect(JSON.parse(listed.stdout)).toBeInstanceOf(Array)
  })

  test("boto3", async () => {
    const { env } = await serve()
    const { stdout } = await run(join(bin, "python"), [join(import.meta.dirname, "kms_boto3.py")], { env })
    const out = JSON.parse(stdout)
    const { Arn } = out.key
    expect(out).toMatchObject({
      identity: ALICE,
      key: {
        Arn: expect.stringMatching(/^arn:aws:kms:eu-west-1:111122223333:key\//),
        KeyState: "Enabled",
        Description: "from boto3",
        KeySpec: "SYMMETRIC_DEFAULT",
        Origin: "AWS_KMS",
      },
      aliases: ["alias/boto3"],
      decrypted: "hello",
      data_key: true,
      without_plaintext: [false, 64],
      moved: true,
      random: 32,
      rotation: 180,
      policies: ["default"],
      tags: [{ TagKey: "team", TagValue: "a" }],
      pages: [2, 2, 1],
      grant: {
        GranteePrincipal: BOB,
        IssuingAccount: "arn:aws:iam::111122223333:root",
        Operations: ["Encrypt"],
        Constraints: { EncryptionContextEquals: { tenant: "42" } },
      },
      same_grant: true,
      granted: [true, "AccessDeniedException"],
      retirable: 1,
      grant_pages: [2, 2, 1],
      grants_left: 0,
      deletion: ["PendingDeletion", 7],
    })
    expect(Math.abs(Date.parse(out.created) - Date.now())).toBeLessThan(120_000)
    expect(out.errors).toEqual({
      disabled: ["DisabledException", "DisabledException", `${Arn} is disabled.`, 400],
      wrong_context: ["InvalidCiphertextException", "InvalidCiphertextException", "", 400],
      unknown: ["NotFoundException", "NotFoundException", expect.stringMatching(/^Key 'arn:.*' does not exist$/), 400],
      dry_run: [
        "DryRunOperationException",
        "DryRunOperationException",
        "The request would have succeeded, but the DryRun option is set.",
        400,
      ],
      validation: ["ClientError", "ValidationException", expect.stringMatching(/^1 validation error detected: /), 400],
    })
  })
})
