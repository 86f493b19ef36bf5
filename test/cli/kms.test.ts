import { randomBytes } from "node:crypto"
import { chmodSync, existsSync, statSync } from "node:fs"
import { join } from "node:path"
import { expect, it } from "vitest"
import { encrypt, kmsKeyring, multiKeyring, rawAesKeyring } from "../../src/index.ts"
import { LocalKms } from "../../src/local-kms/index.ts"
import { fakeAws } from "./fake-aws.ts"
import { sandbox, sandboxWithKey } from "./sandbox.ts"

it("never asks the embedded KMS about a message that AWS wrapped, and says what it needs", async () => {
  const aws = await fakeAws()
  const box = await sandboxWithKey()
  const message = (await box.ok(["encrypt", "--kms", "aws", "--key", aws.keyArn], { input: "hello", env: aws.env }))
    .stdout
  const refused = await box.run(["decrypt"], { input: message })
  expect(refused.code).toBe(20)
  expect(refused.stderr).toMatch(`AWS KMS wrapped this message, under ${aws.keyArn}`)
  expect(refused.stderr).toContain("hint: add --kms aws")
  const moved = await box.run(["reencrypt"], { input: message })
  expect(moved.stderr).toContain("hint: add --from-kms aws")
})

it("never asks AWS about a message that an embedded KMS wrapped", async () => {
  const aws = await fakeAws()
  const box = await sandboxWithKey()
  const message = (await box.ok(["encrypt"], { input: "hello" })).stdout
  const refused = await box.run(["decrypt", "--kms", "aws"], { input: message, env: aws.env })
  expect(refused.code).toBe(20)
  expect(refused.stderr).toContain("an embedded KMS wrapped this message")
  expect(refused.stderr).toContain("hint: add --kms local")
  expect(aws.requests).toEqual([])
})

it("asks the embedded KMS about its own wrapped keys only, where AWS wrapped the data key as well", async () => {
  const box = await sandboxWithKey()
  const kms = await LocalKms.open(join(box.env.XDG_DATA_HOME!, "kms-envelope", "kms"))
  const awsArn = "arn:aws:kms:us-east-1:444455556666:key/1234abcd-12ab-34cd-56ef-1234567890ab"
  const aws = {
    send: async () => ({
      KeyId: awsArn,
      Plaintext: randomBytes(32),
      CiphertextBlob: Buffer.from("AQICAHhaaaaa", "base64"),
    }),
  }
  const keyring = multiKeyring({
    generator: kmsKeyring({ client: aws, generatorKeyId: awsArn }),
    children: [kmsKeyring({ client: kms.directClient(), keyIds: [box.keyArn] })],
  })
  const message = await encrypt("hello", { keyring })
  await kms.close()
  expect((await box.ok(["decrypt"], { input: message })).stdout.toString()).toBe("hello")
  const opened = await LocalKms.open(join(box.env.XDG_DATA_HOME!, "kms-envelope", "kms"))
  const events = await opened.events({ eventName: "Decrypt" })
  await opened.close()
  expect(events.map(({ errorCode, resources }) => [errorCode, resources?.[0]?.ARN])).toEqual([[undefined, box.keyArn]])
})

it("makes the user say whose key may decrypt at AWS", async () => {
  const aws = await fakeAws()
  const box = sandbox()
  const env = { ...aws.env, ENVELOPE_KMS: "aws", ENVELOPE_KEY: aws.keyArn }
  const message = (await box.ok(["encrypt"], { input: "hello", env })).stdout
  const decrypt = (...args: string[]) => box.run(["decrypt", ...args], { input: message, env })

  const unsure = await decrypt()
  expect(unsure.code).toBe(2)
  expect(unsure.stderr).toContain(`the message names ${aws.keyArn}: is that a key you trust?`)
  expect(unsure.stderr).toContain(`--key ${aws.keyArn}, or --account 444455556666`)
  expect(aws.requests).toEqual(["GenerateDataKey eu-west-1"])

  expect((await decrypt("--key", aws.keyArn)).stdout.toString()).toBe("hello")
  expect((await decrypt("--account", "444455556666")).stdout.toString()).toBe("hello")
  expect((await decrypt("--account", "any")).stdout.toString()).toBe("hello")
  expect((await decrypt("--account", "111111111111")).code).toBe(20)
  expect((await decrypt("--account", "42")).code).toBe(2)
  expect((await decrypt("--account", "any", "--key", aws.keyArn)).code).toBe(2)
})

it("goes to the Region of the key, or to the one that --kms names", async () => {
  const aws = await fakeAws()
  const box = sandbox()
  const env = { ...aws.env, AWS_REGION: "us-east-2" }
  await box.ok(["encrypt", "--kms", "aws", "--key", aws.keyArn], { input: "hello", env })
  await box.run(["key", "list", "--kms", "aws:ap-northeast-2"], { env })
  expect(aws.requests[0]).toBe("GenerateDataKey eu-west-1")
  expect(aws.requests[1]).toBe("ListKeys ap-northeast-2")
})

it("talks to any address that speaks the protocol", async () => {
  const aws = await fakeAws()
  const box = sandbox()
  const env = { ...aws.env, AWS_ENDPOINT_URL_KMS: "", ENVELOPE_KMS: aws.url }
  await box.ok(["alias", "create", "app", aws.keyArn], { env })
  const message = (await box.ok(["encrypt", "-k", "alias/app"], { input: "hello", env })).stdout
  expect((await box.ok(["decrypt", "-k", "alias/app"], { input: message, env })).stdout.toString()).toBe("hello")
  expect(JSON.parse((await box.ok(["key", "list", "--json"], { env })).stdout.toString())).toEqual([
    expect.objectContaining({ keyArn: aws.keyArn, state: "Enabled", aliases: ["alias/app"] }),
  ])
  const refused = await box.run(["key", "describe", "alias/none"], { env })
  expect(refused.code).toBe(21)
  expect(refused.stderr).toContain("NotFoundException")
})

it("tells a KMS that cannot be reached from one that refuses", async () => {
  const box = sandbox()
  const env = { AWS_ACCESS_KEY_ID: "a", AWS_SECRET_ACCESS_KEY: "b", AWS_MAX_ATTEMPTS: "1" }
  const closed = await box.run(["key", "list", "--kms", "http://127.0.0.1:9"], { env })
  expect(closed.code).toBe(22)
  expect(closed.stderr).toContain("KMS cannot be reached")
  const anonymous = await box.run(["key", "list", "--kms", "aws:eu-west-1"], { env: {} })
  expect(anonymous.code).toBe(22)
  expect(anonymous.stderr).toContain("the AWS SDK found no credentials")
})

it("makes the embedded KMS with the first key only, in the user's own folder", async () => {
  const box = sandbox()
  const store = join(box.env.XDG_DATA_HOME!, "kms-envelope", "kms")
  expect((await box.run(["key", "list"])).code).toBe(20)
  expect((await box.run(["encrypt"], { input: "hello" })).code).toBe(20)
  expect(existsSync(store)).toBe(false)
  await box.ok(["key", "create"])
  expect(statSync(store).mode & 0o777).toBe(0o700)
  expect(statSync(join(store, "root.key")).mode & 0o777).toBe(0o600)
  expect((await box.ok(["key", "create"])).stderr).toBe("")
})

it("keeps the keys under a passphrase when there is one", async () => {
  const box = sandbox()
  const env = { ENVELOPE_KMS_PASSPHRASE: "correct horse", ENVELOPE_KMS: "local:vault" }
  const made = await box.ok(["key", "create", "--alias", "default"], { env })
  expect(made.stderr).toContain("encrypted under your passphrase")
  expect(existsSync(box.path("vault/root.key"))).toBe(false)
  const message = (await box.ok(["encrypt"], { input: "hello", env })).stdout
  expect((await box.ok(["decrypt"], { input: message, env })).stdout.toString()).toBe("hello")

  const wrong = await box.run(["decrypt"], { input: message, env: { ...env, ENVELOPE_KMS_PASSPHRASE: "wrong" } })
  expect(wrong.code).toBe(23)
  expect(wrong.stderr).toContain("wrong passphrase")
  const none = await box.run(["decrypt"], { input: message, env: { ENVELOPE_KMS: "local:vault" } })
  expect(none.code).toBe(23)
  expect(none.stderr).toContain("ENVELOPE_KMS_PASSPHRASE")
})

it("takes a root key file from elsewhere, and none that others may read", async () => {
  const box = sandbox()
  const env = { ENVELOPE_KMS_ROOT_KEY: box.path("root"), ENVELOPE_KMS: "local:vault" }
  const made = await box.ok(["key", "create", "--alias", "default"], { env })
  expect(made.stderr).toContain(`the root key in ${box.path("root")}`)
  await box.ok(["encrypt"], { input: "hello", env })
  chmodSync(box.path("root"), 0o644)
  const refused = await box.run(["encrypt"], { input: "hello", env })
  expect(refused.code).toBe(23)
  expect(refused.stderr).toContain("chmod 600")
})

it("works for several processes on one embedded KMS at once", async () => {
  const box = await sandboxWithKey()
  const names = Array.from({ length: 6 }, (_, i) => `key-${i}`)
  await Promise.all(names.map((name) => box.ok(["key", "create", "--alias", name])))
  const aliases = JSON.parse((await box.ok(["alias", "list", "--json"])).stdout.toString())
  expect(aliases.map(({ alias }: { alias: string }) => alias)).toEqual(["default", ...names].map((n) => `alias/${n}`))
})

it("says that raw keys are for code", async () => {
  const box = await sandboxWithKey()
  const keyring = rawAesKeyring({ keyNamespace: "vault", keyName: "one", wrappingKey: new Uint8Array(32) })
  const refused = await box.run(["decrypt"], { input: await encrypt("hello", { keyring }) })
  expect(refused.code).toBe(20)
  expect(refused.stderr).toContain("raw keys did (vault)")
})
