import { DecryptCommand, EncryptCommand } from "@aws-sdk/client-kms"
import { describe, expect, test } from "vitest"
import {
  bucketKeyKeyring,
  decrypt,
  encrypt,
  inspect,
  type Keyring,
  kmsKeyring,
  multiKeyring,
  rawAesKeyring,
} from "../../src/index.ts"
import { codeOf, errorOf } from "../support/errors.ts"
import { testKeyring } from "./contract.ts"
import { awsError, createWorld, type Recorder, recorder } from "./kms-world.ts"
import { unwrapRequest } from "./requests.ts"

const BUCKET_ARN = "arn:aws:s3:::reports"
const NAMESPACE = "kms-envelope/bucket-key"
const context = (key: string, bucket = "reports") => ({ "aws:s3:arn": `arn:aws:s3:::${bucket}/${key}` })

async function setUp(options: object = {}) {
  const world = await createWorld()
  const client = recorder(world.home)
  const kms = kmsKeyring({ client, generatorKeyId: world.keyArn })
  const make = (keyring: Keyring = kms) => bucketKeyKeyring(keyring, { maxAgeSeconds: 300, ...options })
  return { ...world, client, kms, make, keyring: make() }
}

const operations = ({ sent }: Recorder) => sent.map(({ operation }) => operation)

testKeyring("bucketKeyKeyring", async () => {
  const { kms, home, otherArn } = await setUp()
  const options = { maxAgeSeconds: 300, bucketArn: BUCKET_ARN }
  const stranger = kmsKeyring({ client: home, generatorKeyId: otherArn })
  return { keyring: bucketKeyKeyring(kms, options), stranger: bucketKeyKeyring(stranger, options) }
})

describe("a bucket key", () => {
  // KMS_OBJECTS=10000 KMS_READS=100000 for the full figures.
  const objects = Number(process.env.KMS_OBJECTS ?? 500)
  const reads = Number(process.env.KMS_READS ?? 5000)

  test(`costs under 1 % of the calls: ${objects} objects written and ${reads} times read`, async () => {
    const { client, keyring, make } = await setUp()
    const messages: Uint8Array[] = []
    for (let i = 0; i < objects; i++)
      messages.push(await encrypt(`${i}`, { keyring, encryptionContext: context(`${i}`) }))
    expect(operations(client)).toEqual(["GenerateDataKey"])
    const reader = make()
    for (let i = 0; i < reads; i++) {
      const at = i % objects
      const { text } = await decrypt(messages[at]!, { keyring: reader, encryptionContext: context(`${at}`) })
      expect(text()).toBe(`${at}`)
    }
    expect(operations(client)).toEqual(["GenerateDataKey", "Decrypt"])
    expect(client.sent.length).toBeLessThan((objects + reads) / 100)
  })

  test("is bound to the bucket at KMS, and every object to itself (OBJ-7.1, OBJ-7.2)", async () => {
    const { client, keyring } = await setUp()
    const one = await encrypt("one", { keyring, encryptionContext: context("a/b/1") })
    const two = await encrypt("two", { keyring, encryptionContext: context("a/b/2") })
    expect(client.sent.map(({ input }) => input.EncryptionContext)).toEqual([{ "aws:s3:arn": BUCKET_ARN }])
    const [first, second] = [inspect(one), inspect(two)]
    expect(first.wrappedKeys[0]!.ciphertext).not.toEqual(second.wrappedKeys[0]!.ciphertext)
    const request = unwrapRequest(first.wrappedKeys, { encryptionContext: context("a/b/2") })
    expect(await codeOf(() => keyring.unwrap(request))).toBe("UnwrapFailed")
  })

  test("reads with kms:Decrypt and a raw AES keyring, as documented (OBJ-7.3, OBJ-7.4)", async () => {
    const { home, keyArn, keyring } = await setUp()
    const message = await encrypt("plaintext", { keyring, encryptionContext: context("k") })
    const [entry] = inspect(message).wrappedKeys
    expect(entry!.providerId).toBe(NAMESPACE)
    const keyName = Buffer.from(entry!.providerInfo.subarray(0, -20)).toString()
    const [arn, wrapped] = keyName.split("#")
    expect(arn).toBe(keyArn)
    const input = {
      CiphertextBlob: Buffer.from(wrapped!, "base64"),
      EncryptionContext: { "aws:s3:arn": BUCKET_ARN },
      KeyId: keyArn,
    }
    const { Plaintext } = await home.send(new DecryptCommand(input))
    const raw = rawAesKeyring({ keyNamespace: NAMESPACE, keyName, wrappingKey: Plaintext! })
    expect((await decrypt(message, { keyring: raw })).text()).toBe("plaintext")
  })

  test("is one for each bucket, each value of contextKeys, and after its age or count a new one", async () => {
    let now = 0
    const { client, keyring } = await setUp({ contextKeys: ["tenant"], maxMessages: 2, clock: () => now })
    const put = (bucket: string, tenant: string) =>
      encrypt("x", { keyring, encryptionContext: { ...context("k", bucket), tenant, other: `${Math.random()}` } })
    await put("one", "a")
    await put("one", "a")
    expect(client.sent.length).toBe(1)
    expect(client.sent[0]!.input.EncryptionContext).toEqual({ "aws:s3:arn": "arn:aws:s3:::one", tenant: "a" })
    await put("one", "a")
    expect(client.sent.length).toBe(2)
    await put("one", "b")
    await put("two", "b")
    expect(client.sent.length).toBe(4)
    now = 299_999
    await put("two", "b")
    expect(client.sent.length).toBe(4)
    now = 300_000
    await put("two", "b")
    expect(client.sent.length).toBe(5)
  })

  test("counts bytes, and gives what is too long or of unknown length a key of its own", async () => {
    const { client, keyring } = await setUp({ maxBytes: 10 })
    const put = (text: string) => encrypt(text, { keyring, encryptionContext: context("k") })
    for (const text of ["12345", "12345", "1", "12345678901"]) await put(text)
    expect(client.sent.length).toBe(3)
  })

  test("has one wrapped key for each KMS key, any of which reads", async () => {
    const { home, away, keyArn, awayArn, make } = await setUp()
    const two = multiKeyring({
      generator: kmsKeyring({ client: home, generatorKeyId: keyArn }),
      children: [kmsKeyring({ client: away, keyIds: [awayArn] })],
    })
    const message = await encrypt("x", { keyring: make(two), encryptionContext: context("k") })
    expect(inspect(message).wrappedKeys.length).toBe(2)
    const reader = make(kmsKeyring({ client: away, keyIds: [awayArn] }))
    expect((await decrypt(message, { keyring: reader })).text()).toBe("x")
  })

  test("leaves messages without one to the keyring below", async () => {
    const { kms, keyring, client } = await setUp()
    const message = await encrypt("direct", { keyring: kms, encryptionContext: context("k") })
    expect((await decrypt(message, { keyring })).text()).toBe("direct")
    expect(operations(client)).toEqual(["GenerateDataKey", "Decrypt"])
  })

  test("signs where the suite signs", async () => {
    const { keyring } = await setUp()
    const message = await encrypt("signed", { keyring, encryptionContext: context("k"), signed: true })
    expect((await decrypt(message, { keyring, requireSigned: true })).text()).toBe("signed")
  })

  test("is not kept after a failure, and its refusal reaches the caller by AWS's name", async () => {
    const { home, keyArn, make } = await setUp()
    let refuse = true
    const client = recorder(home, {
      before: () => {
        if (refuse) throw awsError("AccessDeniedException")
      },
    })
    const keyring = make(kmsKeyring({ client, generatorKeyId: keyArn }))
    const put = () => encrypt("x", { keyring, encryptionContext: context("k") })
    expect((await errorOf(put)).name).toBe("AccessDeniedException")
    refuse = false
    const message = await put()
    refuse = true
    const reader = make(kmsKeyring({ client, generatorKeyId: keyArn }))
    for (let i = 0; i < 2; i++) {
      expect((await errorOf(() => decrypt(message, { keyring: reader }))).name).toBe("AccessDeniedException")
    }
  })

  test("of another bucket does not read, and a changed key name is refused", async () => {
    const { home, keyArn, make, keyring } = await setUp()
    const message = await encrypt("x", { keyring, encryptionContext: context("k") })
    const wrappedKeys = inspect(message).wrappedKeys
    const elsewhere = make()
    const request = unwrapRequest(wrappedKeys, { encryptionContext: context("k", "other") })
    expect(await codeOf(() => elsewhere.unwrap(request))).toBe("KmsError")
    // Somebody who may encrypt under the KMS key puts a bucket key of their own into the name.
    const own = await home.send(
      new EncryptCommand({
        KeyId: keyArn,
        Plaintext: new Uint8Array(32).fill(7),
        EncryptionContext: { "aws:s3:arn": BUCKET_ARN },
      }),
    )
    const [entry] = wrappedKeys
    const forgedName = Buffer.from(`${keyArn}#${Buffer.from(own.CiphertextBlob!).toString("base64")}`)
    const providerInfo = new Uint8Array(Buffer.concat([forgedName, entry!.providerInfo.subarray(-20)]))
    const forged = unwrapRequest([{ ...entry!, providerInfo }], { encryptionContext: context("k") })
    expect(await codeOf(() => elsewhere.unwrap(forged))).toBe("UnwrapFailed")
  })

  test("refuses what makes no sense", async () => {
    const { kms, keyring } = await setUp()
    for (const maxMessages of [0, 2 ** 27 + 1, 1.5]) {
      expect(() => bucketKeyKeyring(kms, { maxAgeSeconds: 1, maxMessages })).toThrow(RangeError)
    }
    expect(() => bucketKeyKeyring(kms, { maxAgeSeconds: 0 })).toThrow(RangeError)
    expect(() => bucketKeyKeyring(keyring, { maxAgeSeconds: 1 })).toThrow(TypeError)
    expect(() => bucketKeyKeyring(kms, { maxAgeSeconds: 1, bucketArn: "" })).toThrow(TypeError)
    await expect(encrypt("x", { keyring })).rejects.toThrow(TypeError)
    const local = rawAesKeyring({ keyNamespace: "ns", keyName: "n", wrappingKey: new Uint8Array(32) })
    const overLocal = bucketKeyKeyring(local, { maxAgeSeconds: 1 })
    expect(await codeOf(() => encrypt("x", { keyring: overLocal, encryptionContext: context("k") }))).toBe("WrapFailed")
  })

  test("is gone with close", async () => {
    const { keyring } = await setUp()
    const message = await encrypt("x", { keyring, encryptionContext: context("k") })
    keyring.close()
    expect(await codeOf(() => decrypt(message, { keyring }))).toBe("Closed")
    expect(await codeOf(() => encrypt("x", { keyring, encryptionContext: context("k") }))).toBe("Closed")
  })
})
